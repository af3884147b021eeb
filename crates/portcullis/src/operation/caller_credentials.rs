//! Credentials of callers, set on requests to one origin and recorded.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use portcullis_auth::audit::{Audit, LogText, Verdict};
use portcullis_guard::Clock;
use portcullis_guard::fetch::FetchRequest;
use url::{Host, Url};

use crate::component::context::Context;
use crate::component::credential::{Credential, CredentialSource, Credentials};
use crate::component::tool_error::ToolError;
use crate::component::visibility::Within;
use crate::error::{Problem, ProblemKind};
use crate::operation::audit;

/// Sets the credentials of callers, and records each before a function has it.
pub(crate) struct RecordedCredentials {
    pub(crate) services: Vec<Service>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A service, and the credentials of callers there.
pub(crate) struct Service {
    url: Url,
    credentials: Arc<dyn Credentials>,
}

/// What became of one question.
struct Asked {
    answer: Result<FetchRequest, ToolError>,
    verdict: Verdict,
    outcome: &'static str,
}

/// Reads where services are, and names what is wrong with it.
pub(crate) fn services(
    declared: Vec<(String, Arc<dyn Credentials>)>,
) -> (Vec<Service>, Vec<Problem>) {
    let (mut services, mut problems) = (Vec::<Service>::new(), Vec::new());
    let invalid = |origin: &str, text: &str| {
        let problem = Problem::new(ProblemKind::InvalidCredentialOrigin, text);
        problem.within(format!("credentials({origin:?})"))
    };
    for (origin, credentials) in declared {
        match origin_of(&origin) {
            None => problems.push(invalid(
                &origin,
                "it is not an origin: write scheme, host and port alone, as in \
                 https://api.example.com (plain http is for loopback)",
            )),
            Some(url) if services.iter().any(|known| known.url == url) => {
                problems.push(invalid(&origin, "the origin is declared twice"));
            }
            Some(url) => services.push(Service { url, credentials }),
        }
    }
    (services, problems)
}

/// An origin to which credentials may go: scheme, host and port, and nothing else.
fn origin_of(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_loopback = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let is_protected = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    let bare = url.origin().ascii_serialization();
    let is_bare = url.as_str().strip_suffix('/') == Some(bare.as_str());
    (is_protected && is_bare).then_some(url)
}

impl CredentialSource for RecordedCredentials {
    fn authenticated<'a>(
        &'a self,
        context: &'a Context,
        request: FetchRequest,
    ) -> BoxFuture<'a, Result<FetchRequest, ToolError>> {
        Box::pin(self.recorded(context, request))
    }
}

impl RecordedCredentials {
    async fn recorded(
        &self,
        context: &Context,
        request: FetchRequest,
    ) -> Result<FetchRequest, ToolError> {
        let ready = self.audit.ready();
        ready.map_err(|error| ToolError::internal(error.to_string()))?;
        let origin = request.url().origin();
        let service = self.services.iter().find(|service| service.url.origin() == origin);
        let Asked { answer, verdict, outcome } = match service {
            Some(service) => ask(service, context, request).await,
            None => Asked {
                answer: Err(ToolError::internal(
                    "no credentials are declared for the origin of the request: add \
                     .credentials(origin, …)",
                )),
                verdict: Verdict::Failed,
                outcome: "unknown_origin",
            },
        };
        let Within { exchange, id } = context.within();
        let mut record = audit::record(exchange, id, self.clock.now(), "credentials");
        record.verdict = verdict;
        record.outcome = outcome;
        // One that is not declared may be a text of the caller's.
        let known = service.map(|service| service.url.origin().ascii_serialization());
        record.reason = known.as_deref().map(LogText::from);
        let recorded = self.audit.record(&record);
        recorded.map_err(|error| ToolError::internal(error.to_string()))?;
        answer
    }
}

async fn ask(service: &Service, context: &Context, request: FetchRequest) -> Asked {
    let missing = |cause: &'static str| Asked {
        answer: Err(ToolError::new("You have no credential for the service that this needs.")
            .with_cause(cause)),
        verdict: Verdict::Denied,
        outcome: "missing",
    };
    let failed = |error, outcome| Asked { answer: Err(error), verdict: Verdict::Failed, outcome };
    let Some(principal) = context.within().exchange.principal.as_deref() else {
        return missing("nobody is authenticated");
    };
    let credential: Credential = match service.credentials.credential(principal, context).await {
        Ok(Some(credential)) => credential,
        Ok(None) => return missing("the principal has none"),
        Err(error) => return failed(error, "unavailable"),
    };
    match credential.set_on(request, &service.url) {
        Ok(request) => Asked { answer: Ok(request), verdict: Verdict::Allowed, outcome: "given" },
        Err(error) => failed(error, "unusable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_credentials_are_for_one_bare_origin_over_https() {
        for good in [
            "https://api.example.com",
            "https://api.example.com/",
            "https://api.example.com:8443",
            "https://API.example.com:443",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost:8080",
        ] {
            assert!(origin_of(good).is_some(), "{good}");
        }
        for bad in [
            "api.example.com",
            "http://api.example.com",
            "http://127.0.0.1.evil.example",
            "https://api.example.com/v1",
            "https://api.example.com/?a",
            "https://api.example.com/#a",
            "https://user@api.example.com",
            "https://user:password@api.example.com",
            "ftp://api.example.com",
            "data:text/plain,api.example.com",
            "https://",
            "",
        ] {
            assert!(origin_of(bad).is_none(), "{bad}");
        }
        let none = |_: &portcullis_auth::Principal| None::<Credential>;
        let declared = |origin: &str| (origin.to_owned(), Arc::new(none) as Arc<dyn Credentials>);
        let twice = vec![declared("https://a.example"), declared("https://A.example:443/")];
        let (services, problems) = services(twice);
        assert_eq!((services.len(), problems.len()), (1, 1));
        assert_eq!(problems[0].kind(), ProblemKind::InvalidCredentialOrigin);
    }
}
