//! The access control before custom routes.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;
use portcullis_auth::audit::{AuditError, AuditRecord, LogText, Verdict};
use portcullis_auth::{AuthContext, Authenticator, Check, Decision, Principal, Target};
use portcullis_guard::OperationId;
use portcullis_protocol::http::{RouteRefusal, authenticate};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::access::decision::answer;
use crate::component::caller::Caller;
use crate::middleware::rate_limit::{PER_PRINCIPAL, PER_ROUTE, RateLimit, Requester};
use crate::operation::Engine;
use crate::route::Route;

/// The guard of one route.
struct Guard {
    engine: Arc<Engine>,
    authenticator: Option<Arc<Authenticator>>,
    /// None for a public route.
    check: Option<Arc<dyn Check>>,
    /// The route's own.
    limit: Option<Arc<RateLimit>>,
    method: &'static str,
    /// The method and the path.
    name: String,
}

/// The route's handler, behind its check if it has one, and with its audit records.
pub(crate) fn guarded(
    route: Route,
    engine: &Arc<Engine>,
    authenticator: Option<&Arc<Authenticator>>,
) -> MethodRouter {
    let name = format!("{} {}", route.method, route.path);
    let (check, limit) = (route.check(), route.limit());
    let (engine, authenticator) = (Arc::clone(engine), authenticator.cloned());
    let guard = Arc::new(Guard { engine, authenticator, check, limit, method: route.method, name });
    route.router.layer(from_fn_with_state(guard, pass))
}

/// The fixed order of access, as for an operation of the protocol: who is calling, limits, the
/// check, the handler; and one audit record.
async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let remote = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let mut trail = Trail::begin(&guard, remote.map(|address| address.ip()));
    let (mut head, body) = request.into_parts();
    let served = guard.serves(&head.method);
    let response = match guard.admit(&head, &mut trail).await {
        Ok(caller) => {
            if let Some(caller) = caller {
                head.extensions.insert(caller);
            }
            head.extensions.insert(trail.id);
            head.extensions.insert(guard.engine.stopping.clone());
            let span = trail.span();
            next.run(Request::from_parts(head, body)).instrument(span).await
        }
        Err(refusal) => refusal.into_response(),
    };
    if !served && trail.verdict == Verdict::Allowed {
        // The router asks here before it says that there is no such method.
        trail.verdict = Verdict::Refused;
        trail.rule = Some("method".into());
    }
    trail.end(response)
}

impl Guard {
    /// As axum does, a GET serves HEAD.
    fn serves(&self, method: &Method) -> bool {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        method.as_str() == self.method
    }

    /// The caller of a route that is not public, or why the request is refused.
    async fn admit(
        &self,
        head: &Parts,
        trail: &mut Trail<'_>,
    ) -> Result<Option<Caller>, RouteRefusal> {
        let engine = &self.engine;
        engine.audit.ready().map_err(|_| trail.failed("the sink is not ready"))?;
        let Some(check) = &self.check else {
            if let Some(limit) = &self.limit {
                let requester = trail.remote.map_or(Requester::UNKNOWN, Requester::address);
                limit.check(requester, None).map_err(|wait| trail.over(PER_ROUTE, wait))?;
            }
            trail.verdict = Verdict::Allowed;
            return Ok(None);
        };
        let authenticator = self.authenticator.as_ref().ok_or_else(|| {
            trail.denied("bearer", "nobody can be authenticated");
            RouteRefusal::Absent
        })?;
        let principal = match authenticate(authenticator, &engine.limits, head).await {
            Ok(principal) => principal,
            Err(refusal) => return Err(trail.not_let_in(refusal)),
        };
        trail.principal = Some(Arc::clone(&principal));
        let requester = Requester::principal(&principal);
        match &self.limit {
            Some(limit) => {
                limit.check(requester, None).map_err(|wait| trail.over(PER_ROUTE, wait))?;
            }
            None => {
                let counted = engine.layers.check_requester(requester);
                counted.map_err(|wait| trail.over(PER_PRINCIPAL, wait))?;
            }
        }
        let target = Target { kind: "route", name: &self.name, tags: &[] };
        let context = AuthContext::new(Some(&principal), &engine.facilities.hierarchy, target);
        let context = context.with_states(&engine.facilities.states);
        let decision =
            answer(&**check, context, Instant::now() + engine.limits.decision_timeout).await;
        let Decision::Deny(denial) = decision else {
            trail.verdict = Verdict::Allowed;
            return Ok(Some(Caller::of(principal, Arc::clone(&engine.facilities.hierarchy))));
        };
        let reason = denial.reason_given(context.granted()).into_owned();
        trail.denied(check.requirement(), reason);
        let missing = denial.required_scopes().zip(context.granted());
        Err(match missing.map(|(required, granted)| granted.lacking(required)) {
            Some(missing) => {
                trail.verdict = Verdict::Challenged;
                RouteRefusal::InsufficientScope(authenticator.insufficient_scope(&missing))
            }
            None => {
                let spoken = denial.spoken().map(|error| error.message().to_owned());
                RouteRefusal::Denied(spoken.map(Into::into))
            }
        })
    }
}

/// The notes about one request, which become its one audit record at the end. A request that is
/// dropped, or whose handler panics, leaves its record too.
struct Trail<'a> {
    guard: &'a Guard,
    id: OperationId,
    time: SystemTime,
    started: Instant,
    remote: Option<IpAddr>,
    principal: Option<Arc<Principal>>,
    verdict: Verdict,
    rule: Option<Cow<'static, str>>,
    reason: Option<Cow<'static, str>>,
    ended: bool,
}

impl<'a> Trail<'a> {
    fn begin(guard: &'a Guard, remote: Option<IpAddr>) -> Self {
        Self {
            guard,
            id: OperationId::new(),
            time: guard.engine.clock.now(),
            started: Instant::now(),
            remote,
            principal: None,
            verdict: Verdict::Failed,
            rule: None,
            reason: None,
            ended: false,
        }
    }

    /// The span in which the handler logs, as in an operation.
    fn span(&self) -> Span {
        let subject = self.principal.as_deref().map(Principal::subject).map(LogText::from);
        tracing::info_span!(
            "operation",
            id = %self.id,
            operation = "route",
            component = self.guard.name.as_str(),
            subject = subject.map(Cow::from).as_deref(),
        )
    }

    fn denied(&mut self, rule: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        self.verdict = Verdict::Denied;
        self.rule = Some(rule.into());
        self.reason = Some(reason.into());
    }

    fn failed(&mut self, reason: &'static str) -> RouteRefusal {
        self.rule = Some("audit".into());
        self.reason = Some(reason.into());
        RouteRefusal::Failed
    }

    fn over(&mut self, limit: &'static str, retry_after: Duration) -> RouteRefusal {
        self.verdict = Verdict::Limited;
        self.rule = Some(limit.into());
        RouteRefusal::TooOften { retry_after }
    }

    fn not_let_in(&mut self, refusal: RouteRefusal) -> RouteRefusal {
        self.rule = Some("bearer".into());
        if let RouteRefusal::Bearer(refusal) = &refusal {
            self.reason = Some(refusal.reason.clone());
            self.principal.clone_from(&refusal.principal);
        }
        if refusal.status() != StatusCode::SERVICE_UNAVAILABLE {
            self.verdict = Verdict::Challenged;
        }
        refusal
    }

    fn end(mut self, response: Response) -> Response {
        let outcome = if self.verdict == Verdict::Allowed { "ok" } else { "refused" };
        match self.write(outcome, Some(response.status())) {
            Ok(()) => response,
            Err(_) => RouteRefusal::Failed.into_response(),
        }
    }

    fn write(
        &mut self,
        outcome: &'static str,
        status: Option<StatusCode>,
    ) -> Result<(), AuditError> {
        self.ended = true;
        let mut record = AuditRecord::new(self.id, self.time, "http", "route");
        if let Some(principal) = &self.principal {
            record = record.with_principal(principal);
        }
        record.kind = Some("route");
        record.component = Some(&self.guard.name);
        record.remote = self.remote;
        record.verdict = self.verdict;
        record.rule = self.rule.as_deref();
        record.reason = self.reason.as_deref().map(LogText::from);
        record.outcome = outcome;
        record.status = status.map(|status| status.as_u16());
        record.duration = self.started.elapsed();
        self.guard.engine.audit.record(&record)
    }
}

impl Drop for Trail<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // The clock of the limit began a moment before this one.
        let elapsed = self.started.elapsed() + Duration::from_millis(10);
        let (outcome, status) = match elapsed >= self.guard.engine.limits.handler_timeout {
            _ if std::thread::panicking() => ("panic", Some(StatusCode::INTERNAL_SERVER_ERROR)),
            true => ("timeout", Some(StatusCode::GATEWAY_TIMEOUT)),
            false => ("cancelled", None),
        };
        // No caller is left to learn that it was not written.
        let _ = self.write(outcome, status);
    }
}
