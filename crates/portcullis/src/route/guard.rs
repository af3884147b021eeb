//! The access control before custom routes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;
use portcullis_auth::audit::{AuditRecord, LogText, PendingRecord, Recorded, Verdict, Written};
use portcullis_auth::{
    Audience, AuthContext, Authenticator, Check, Decision, EndpointNotes, Principal, Target,
};
use portcullis_guard::TraceParent;
use portcullis_protocol::http::{Mount, RouteBody, RouteRejection, authenticate, trace_parent};
use tokio::time::Instant;
use tracing::{Instrument, Span, field};

use crate::access::decision::answer;
use crate::component::caller::Caller;
use crate::middleware::rate_limit::{Limited, PER_PRINCIPAL, PER_ROUTE, RateLimit, Requester};
use crate::operation::Engine;
use crate::operation::audit::ByPseudonym;
use crate::route::Route;
use crate::route::elicitation::Elicitations;

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
    /// Whether the handler notes what a request was about.
    is_noted: bool,
    /// Whether it answers, whatever becomes of the record.
    answers_unrecorded: bool,
}

/// The routes, each behind its guard: those at the path of a page, and the others.
pub(crate) fn mounts(
    routes: &[Route],
    engine: &Arc<Engine>,
    authenticator: Option<&Arc<Authenticator>>,
) -> Vec<Mount> {
    let guards = |route| guarded(route, engine, authenticator, false);
    let pages: HashSet<String> = routes.iter().filter_map(Route::page_path).collect();
    let (pages, others): (Vec<_>, Vec<_>) =
        routes.iter().cloned().partition(|route| pages.contains(&route.path));
    vec![mounted(&others, guards), mounted(&pages, guards).for_audience(Audience::Visitor)]
}

/// Public routes whose handlers take [`EndpointNotes`] from the request.
pub(crate) fn noted_mount(routes: &[Route], engine: &Arc<Engine>) -> Mount {
    mounted(routes, |route| guarded(route, engine, None, true))
}

fn mounted(routes: &[Route], guarded: impl Fn(Route) -> MethodRouter) -> Mount {
    let router = routes
        .iter()
        .fold(Router::new(), |router, route| router.route(&route.path, guarded(route.clone())));
    Mount::routes(routes.iter().map(|route| route.path.clone()), router)
}

/// The route's handler, behind its check if it has one, and with its audit records.
fn guarded(
    route: Route,
    engine: &Arc<Engine>,
    authenticator: Option<&Arc<Authenticator>>,
    is_noted: bool,
) -> MethodRouter {
    let name = format!("{} {}", route.method, route.path);
    let (check, limit) = (route.check(), route.limit());
    let (engine, authenticator) = (Arc::clone(engine), authenticator.cloned());
    let method = route.method;
    let answers_unrecorded = route.answers_unrecorded();
    let guard =
        Guard { engine, authenticator, check, limit, method, name, is_noted, answers_unrecorded };
    let guard = Arc::new(guard);
    route.router.layer(from_fn_with_state(guard, pass))
}

/// The fixed order of access, as for an operation of the protocol: who is calling, limits, the
/// check, the handler; and one audit record.
async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let remote = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let trace = trace_parent(request.headers());
    let mut record = RouteRecord::begin(&guard, remote.map(|address| address.ip()), trace);
    let (mut head, body) = request.into_parts();
    let served = guard.serves(&head.method);
    let room: Option<Arc<RouteBody>> = head.extensions.get().cloned();
    let response = match guard.admit(&head, &mut record).await {
        Ok(caller) => {
            if let Some(caller) = caller {
                head.extensions.insert(caller);
            }
            head.extensions.insert(record.pending.id());
            let (engine, notes) = (Arc::clone(&guard.engine), record.pending.about.notes.clone());
            if guard.is_noted {
                head.extensions.insert(notes);
            } else {
                head.extensions.insert(Elicitations { engine, notes });
            }
            head.extensions.insert(Readiness(Arc::clone(&guard.engine)));
            let span = record.span();
            let response = next.run(Request::from_parts(head, body)).instrument(span).await;
            match room.is_some_and(|room| room.take_exceeded()) {
                true => record.without_room().into_response(),
                false => response,
            }
        }
        Err(refusal) => refusal.into_response(),
    };
    if !served && record.pending.verdict == Verdict::Allowed {
        // The router asks here before it says that there is no such method.
        record.pending.verdict = Verdict::Refused;
        record.pending.rule = Some("method".into());
    }
    record.end(response)
}

/// What a probe of readiness asks.
#[derive(Clone)]
pub(super) struct Readiness(Arc<Engine>);

/// Why a server is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotReady {
    Stopping,
    /// The store or the keys are away, for this reason.
    Waiting(String),
}

impl Readiness {
    pub(super) async fn check(&self) -> Result<(), NotReady> {
        let Engine { stopping, store, verifying, limits, .. } = &*self.0;
        if stopping.has_begun() {
            return Err(NotReady::Stopping);
        }
        let answers = async {
            store.ready().await.map_err(|error| error.reason().to_owned())?;
            verifying.check().await
        };
        match tokio::time::timeout(limits.decision_timeout, answers).await {
            Ok(answer) => answer.map_err(NotReady::Waiting),
            Err(_) => Err(NotReady::Waiting("the store or the keys take too long".to_owned())),
        }
    }
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
        record: &mut RouteRecord<'_>,
    ) -> Result<Option<Caller>, RouteRejection> {
        let engine = &self.engine;
        if !self.answers_unrecorded {
            engine.audit.ready().map_err(|_| record.failed("the sink is not ready"))?;
        }
        let Some(check) = &self.check else {
            if let Some(limit) = &self.limit {
                let requester =
                    record.pending.about.remote.map_or(Requester::UNKNOWN, Requester::address);
                let counted = limit.take(requester, None).await;
                counted.map_err(|limited| record.limited(PER_ROUTE, limited))?;
            }
            record.pending.verdict = Verdict::Allowed;
            return Ok(None);
        };
        let authenticator = self.authenticator.as_ref().ok_or_else(|| {
            record.denied("bearer", "nobody can be authenticated");
            RouteRejection::Absent
        })?;
        let principal = match authenticate(authenticator, &engine.limits, head).await {
            Ok(principal) => principal,
            Err(refusal) => return Err(record.not_let_in(refusal)),
        };
        record.pending.about.principal = Some(Arc::clone(&principal));
        let requester = Requester::principal(&principal);
        match &self.limit {
            Some(limit) => {
                let counted = limit.take(requester, None).await;
                counted.map_err(|limited| record.limited(PER_ROUTE, limited))?;
            }
            None => {
                let counted = engine.layers.check_requester(requester).await;
                counted.map_err(|limited| record.limited(PER_PRINCIPAL, limited))?;
            }
        }
        let target = Target { kind: "route", name: &self.name, tags: &[] };
        let context = AuthContext::new(Some(&principal), &engine.facilities.hierarchy, target);
        let context = context.with_states(&engine.facilities.states);
        let decision =
            answer(&**check, context, Instant::now() + engine.limits.decision_timeout).await;
        let Decision::Deny(denial) = decision else {
            record.pending.verdict = Verdict::Allowed;
            return Ok(Some(Caller::of(principal, Arc::clone(&engine.facilities.hierarchy))));
        };
        let reason = denial.reason_given(context.granted()).into_owned();
        record.denied(check.requirement(), reason);
        let missing = denial.required_scopes().zip(context.granted());
        Err(match missing.map(|(required, granted)| granted.lacking(required)) {
            Some(missing) => {
                record.pending.verdict = Verdict::Challenged;
                RouteRejection::InsufficientScope(authenticator.insufficient_scope(&missing))
            }
            None => {
                let spoken = denial.spoken().map(|error| error.message().to_owned());
                RouteRejection::Denied(spoken.map(Into::into))
            }
        })
    }
}

/// The notes about one request, which become its one audit record at the end.
struct RouteRecord<'a> {
    pending: PendingRecord<'a, About<'a>>,
}

/// Who asks for which route.
struct About<'a> {
    guard: &'a Guard,
    remote: Option<IpAddr>,
    principal: Option<Arc<Principal>>,
    trace: Option<TraceParent>,
    notes: EndpointNotes,
}

impl Recorded for About<'_> {
    fn complete(
        &self,
        record: AuditRecord<'_>,
        write: impl FnOnce(&AuditRecord<'_>) -> Written,
    ) -> Written {
        let noted = self.notes.read();
        let mut record = record;
        if let Some(principal) = &self.principal {
            record = record.with_principal(principal);
        } else {
            record.issuer = noted.issuer.as_deref().map(LogText::from);
            record.subject = noted.subject.as_deref().map(LogText::from);
            record.client_id = noted.client_id.as_deref().map(LogText::from);
            record.client_name = noted.client_name.as_deref().map(LogText::from);
            record.scopes = noted.scopes.as_deref().map(LogText::from);
        }
        record.kind = Some("route");
        record.component = Some(&self.guard.name);
        record.remote = self.remote;
        write(&record.with_trace(self.trace))
    }

    fn dropped(&self, elapsed: Duration) -> (&'static str, Option<u16>) {
        // The clock of the limit began a moment before this one.
        let elapsed = elapsed + Duration::from_millis(10);
        let (outcome, status) = match elapsed >= self.guard.engine.limits.handler_timeout {
            _ if std::thread::panicking() => ("panic", StatusCode::INTERNAL_SERVER_ERROR),
            true => ("timeout", StatusCode::GATEWAY_TIMEOUT),
            false => return ("cancelled", None),
        };
        (outcome, Some(status.as_u16()))
    }
}

impl<'a> RouteRecord<'a> {
    fn begin(guard: &'a Guard, remote: Option<IpAddr>, trace: Option<TraceParent>) -> Self {
        let (audit, time) = (&guard.engine.audit, guard.engine.clock.now());
        let notes = EndpointNotes::default();
        let about = About { guard, remote, principal: None, trace, notes };
        Self { pending: PendingRecord::begin(audit, time, "http", "route", about) }
    }

    /// The span in which the handler logs, as in an operation.
    fn span(&self) -> Span {
        let About { guard, principal, trace, .. } = &self.pending.about;
        tracing::info_span!(
            "operation",
            id = %self.pending.id(),
            operation = self.pending.operation(),
            component = guard.name.as_str(),
            principal = principal.as_deref().map(ByPseudonym).map(field::display),
            traceparent = trace.map(field::display),
        )
    }

    fn denied(&mut self, rule: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        self.pending.verdict = Verdict::Denied;
        self.pending.rule = Some(rule.into());
        self.pending.reason = Some(reason.into());
    }

    fn failed(&mut self, reason: &'static str) -> RouteRejection {
        self.pending.rule = Some("audit".into());
        self.pending.reason = Some(reason.into());
        RouteRejection::Failed
    }

    fn limited(&mut self, limit: &'static str, limited: Limited) -> RouteRejection {
        match limited {
            Limited::Wait(retry_after) => self.over(limit, retry_after),
            Limited::Unknown => {
                self.pending.rule = Some(limit.into());
                self.pending.reason = Some("the store cannot be asked".into());
                RouteRejection::Failed
            }
        }
    }

    fn over(&mut self, limit: &'static str, retry_after: Duration) -> RouteRejection {
        self.pending.verdict = Verdict::Limited;
        self.pending.rule = Some(limit.into());
        RouteRejection::TooOften { retry_after }
    }

    fn without_room(&mut self) -> RouteRejection {
        self.pending.verdict = Verdict::Limited;
        self.pending.rule = Some("limits".into());
        self.pending.reason = Some("too many large bodies at once".into());
        RouteRejection::Busy
    }

    fn not_let_in(&mut self, refusal: RouteRejection) -> RouteRejection {
        self.pending.rule = Some("bearer".into());
        if let RouteRejection::Bearer(refusal) = &refusal {
            self.pending.reason = Some(refusal.reason.clone());
            self.pending.about.principal.clone_from(&refusal.principal);
        }
        if refusal.status() != StatusCode::SERVICE_UNAVAILABLE {
            self.pending.verdict = Verdict::Challenged;
        }
        refusal
    }

    /// Takes over what the handler decided, where it was asked.
    fn take_notes(&mut self) {
        let pending = &mut self.pending;
        if pending.verdict == Verdict::Allowed {
            let noted = pending.about.notes.read();
            pending.verdict = noted.verdict.unwrap_or(Verdict::Allowed);
            pending.rule = noted.rule.map(Cow::Borrowed);
            pending.reason = noted.reason.map(Cow::Owned);
            pending.outcome = noted.outcome;
            pending.reference = noted.reference;
        }
    }

    fn end(mut self, response: Response) -> Response {
        self.take_notes();
        let is_allowed = self.pending.verdict == Verdict::Allowed;
        let outcome = if is_allowed { "ok" } else { "refused" };
        let answers_unrecorded = self.pending.about.guard.answers_unrecorded;
        match self.pending.write(outcome, Some(response.status().as_u16())) {
            Ok(()) => response,
            Err(_) if answers_unrecorded => response,
            Err(_) => RouteRejection::Failed.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use portcullis_auth::audit::AuditError;
    use portcullis_auth::{AuditFailure, AuditSink};

    use crate::Server;
    use crate::route::{alive, get, post, ready};
    use crate::testing::TestClient;

    use super::*;

    /// What was recorded: the verdict, the rule and the status.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl AuditSink for Kept {
        fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
            let AuditRecord { verdict, rule, status, .. } = record;
            self.0.lock().unwrap().push(format!("{verdict:?} {rule:?} {status:?}"));
            Ok(())
        }
    }

    /// A sink that takes nothing.
    #[derive(Debug)]
    struct Full;

    impl AuditSink for Full {
        fn record(&self, _: &AuditRecord<'_>) -> Result<(), AuditError> {
            Err(AuditError::new("full"))
        }

        fn ready(&self) -> Result<(), AuditError> {
            Err(AuditError::new("full"))
        }
    }

    /// Whoever starts a server again because it is not alive loses the records that wait in it.
    #[tokio::test]
    async fn e11_a_server_that_stops_for_its_audit_sink_is_alive_and_not_ready() {
        let server = Server::builder("test")
            .no_auth()
            .audit(Full)
            .audit_failure(AuditFailure::Stop)
            .route(alive("/healthz"))
            .route(ready("/readyz"))
            .route(get("/other", async || "done").public("a test"));
        let client = TestClient::new(&server.build().unwrap());
        for (path, status) in [("/healthz", 200), ("/readyz", 500), ("/other", 500)] {
            let request = Request::get(path).body(Vec::new()).unwrap();
            assert_eq!(client.send(request).await.status(), status, "{path}");
        }
    }

    #[tokio::test]
    async fn e11_a_body_without_room_leaves_one_record_of_what_was_answered() {
        let kept = Kept::default();
        let server = Server::builder("test")
            .no_auth()
            .audit(kept.clone())
            .limits(|limits| limits.waiting_body_bytes = 70 * 1024)
            .route(post("/upload", async |_: String| "done").public("keeps nothing"));
        let client = TestClient::new(&server.build().unwrap());
        for (bytes, status) in [(1024, 200), (128 * 1024, 503)] {
            let request = Request::post("/upload").body(vec![b'x'; bytes]).unwrap();
            let answer = client.send(request).await;
            assert_eq!(answer.status(), status);
            assert_eq!(answer.header("retry-after"), (status == 503).then_some("1"));
        }
        let records = kept.0.lock().unwrap().clone();
        assert_eq!(records, ["Allowed None Some(200)", "Limited Some(\"limits\") Some(503)"]);
    }
}
