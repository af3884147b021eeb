//! The authorization server: its metadata (RFC 8414), its keys and its clock.

use std::time::{Duration, SystemTime};

use portcullis::guard::{Clock, ErrorChain, SystemClock, Url};
use serde_json::{Map, Value};

use super::client::{Answer, Client, is_loopback, unanswered};
use super::fault;
use super::report::{Report, Step};
use super::resource::{document, readable_by_pages};

/// By how much clocks may differ: twice the leeway that verifiers have by default.
const MOST_APART: Duration = Duration::from_secs(60);

/// What an authorization server says of itself.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) name: String,
    metadata: Map<String, Value>,
    /// Whether its metadata has no fault.
    pub(crate) is_sound: bool,
    /// The ids of its keys; nothing if they are not to be had.
    pub(crate) key_ids: Option<Vec<String>>,
}

impl Issuer {
    /// Looks at the authorization server of this name, as clients do.
    pub(crate) async fn look_at(client: &Client, name: &str, report: &mut Report) -> Option<Self> {
        let Ok(url) = Url::parse(name) else {
            report.failed(
                Step::Issuer,
                fault::ISSUER_UNREACHABLE,
                format_args!("{name:?} is no URL"),
            );
            return None;
        };
        if url.scheme() != "https" && !is_loopback(&url) {
            report.failed(Step::Issuer, fault::ISSUER_HTTP, format_args!("it is {name}"));
            return None;
        }
        let (at, answer) = find(client, &url, report).await?;
        let faults = report.failures(Step::Issuer);
        let metadata = document(Step::Issuer, &at, &answer, report)?;
        readable_by_pages(&at, &answer, report);
        clock(Step::Clock, &answer, report);
        let mut issuer = Self { name: name.to_owned(), metadata, is_sound: false, key_ids: None };
        issuer.judge(&at, report);
        issuer.is_sound = report.failures(Step::Issuer) == faults;
        issuer.key_ids = issuer.keys(client, report).await;
        Some(issuer)
    }

    /// A text of its metadata.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).and_then(Value::as_str)
    }

    /// A URL of its metadata.
    pub(crate) fn url(&self, name: &str) -> Option<Url> {
        self.text(name).and_then(|text| Url::parse(text).ok())
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.metadata.get(name) == Some(&Value::Bool(true))
    }

    fn judge(&self, at: &Url, report: &mut Report) {
        let said = self.text("issuer").unwrap_or_default();
        match said == self.name {
            true => report.passed(Step::Issuer, format_args!("{} has metadata at {at}", self.name)),
            false => {
                let seen = format!("it says {said:?}, the resource names {:?}", self.name);
                report.failed(Step::Issuer, fault::ISSUER_DIFFERS, seen);
            }
        }
        for name in ["authorization_endpoint", "token_endpoint"] {
            match self.url(name) {
                None => {
                    report.failed(Step::Issuer, fault::ENDPOINT_MISSING, format_args!("no {name}"))
                }
                Some(url) if url.scheme() != "https" && !is_loopback(&url) => {
                    report.failed(
                        Step::Issuer,
                        fault::ENDPOINT_HTTP,
                        format_args!("{name} is {url}"),
                    );
                }
                Some(_) => {}
            }
        }
        let methods = self.metadata.get("code_challenge_methods_supported");
        let methods: Vec<_> = methods.and_then(Value::as_array).into_iter().flatten().collect();
        if !methods.iter().any(|method| method.as_str() == Some("S256")) {
            report.failed(Step::Issuer, fault::S256_MISSING, format_args!("it has {methods:?}"));
        }
    }

    /// The ids of its keys, where it says that it has some.
    async fn keys(&self, client: &Client, report: &mut Report) -> Option<Vec<String>> {
        let Some(at) = self.url("jwks_uri") else {
            report.skipped(Step::Keys, "the authorization server names no key set");
            return None;
        };
        let unreachable = |seen: String, report: &mut Report| {
            report.failed(Step::Keys, fault::KEYS_UNREACHABLE, seen);
        };
        let answer = match client.get(&at).await {
            Ok(answer) if answer.is_success() => answer,
            Ok(answer) => {
                unreachable(format!("{at} answers {}", answer.told()), report);
                return None;
            }
            Err(error) => {
                unreachable(format!("{at}: {}", ErrorChain::new(&error)), report);
                return None;
            }
        };
        let document = answer.object().unwrap_or_default();
        let keys = document.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
        if keys.is_empty() {
            report.failed(Step::Keys, fault::KEYS_EMPTY, format_args!("{at} has none"));
            return None;
        }
        report.passed(Step::Keys, format_args!("{at} has {}", keys.len()));
        let id = |key: &Value| key.get("kid").and_then(Value::as_str).map(str::to_owned);
        Some(keys.iter().filter_map(id).collect())
    }
}

/// The metadata, at the first address of those where clients look that has any (RFC 8414 §3.1, OpenID
/// Connect Discovery §4.1).
async fn find(client: &Client, issuer: &Url, report: &mut Report) -> Option<(Url, Answer)> {
    let path = issuer.path().trim_end_matches('/');
    let mut forms = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        forms.push(format!("{path}/.well-known/openid-configuration"));
    }
    for place in forms.iter().filter_map(|form| issuer.join(form).ok()) {
        match client.get(&place).await {
            Ok(answer) if answer.is_success() => return Some((place, answer)),
            Ok(answer) if answer.status() >= 500 => {
                let seen = format!("{place} answers {}", answer.told());
                report.failed(Step::Issuer, fault::ISSUER_UNREACHABLE, seen);
                return None;
            }
            Ok(_) => {}
            Err(error) => {
                let why = unanswered(&error);
                let is_down = why.name == fault::CONNECTION.name;
                let why = if is_down { fault::ISSUER_UNREACHABLE } else { why };
                let error = ErrorChain::new(&error);
                report.failed(Step::Issuer, why, format_args!("{place}: {error}"));
                return None;
            }
        }
    }
    let seen = format!("none of {}", forms.join(", "));
    report.failed(Step::Issuer, fault::ISSUER_METADATA_MISSING, seen);
    None
}

/// Compares the clock of whoever answered with this machine's.
pub(crate) fn clock(step: Step, answer: &Answer, report: &mut Report) {
    let Ok(theirs) = httpdate::parse_http_date(answer.header("date")) else { return };
    let ours = SystemClock.now();
    match apart(ours, theirs) {
        apart if apart > MOST_APART => {
            let seen = format!("they are {} s apart", apart.as_secs());
            report.failed(step, fault::CLOCK_OFF, seen);
        }
        apart => report.passed(step, format_args!("the clocks are {} s apart", apart.as_secs())),
    }
}

fn apart(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}
