//! What stands before custom routes.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;
use portcullis_auth::audit::{Audit, AuditRecord, LogText, Verdict};
use portcullis_auth::{AuthContext, Authenticator, Check, Decision, Principal, Target};
use portcullis_guard::OperationId;
use portcullis_protocol::http::{RouteRefusal, authenticate};
use tokio::time::Instant;

use crate::caller::Caller;
use crate::decision::answer;
use crate::rate_limit::Requester;
use crate::route::Route;
use crate::service::Core;

/// Before one route.
struct Guard {
    core: Arc<Core>,
    authenticator: Option<Arc<Authenticator>>,
    /// None for a public route.
    check: Option<Arc<dyn Check>>,
    /// The method and the path.
    name: String,
}

/// Why a request was refused, for its record.
struct Refused {
    refusal: RouteRefusal,
    verdict: Verdict,
    rule: Cow<'static, str>,
    reason: Cow<'static, str>,
}

/// The route's handler, behind its check if it has one, and with its audit records.
pub(crate) fn guarded(
    route: Route,
    core: &Arc<Core>,
    authenticator: Option<&Arc<Authenticator>>,
) -> MethodRouter {
    let name = format!("{} {}", route.method, route.path);
    let check = route.check();
    let (core, authenticator) = (Arc::clone(core), authenticator.cloned());
    let guard = Arc::new(Guard { core, authenticator, check, name });
    route.router.layer(from_fn_with_state(guard, pass))
}

/// The fixed order of access, as for an operation of the protocol: who is calling, limits, the
/// check, the handler; and one audit record.
async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (time, started) = (guard.core.clock.now(), Instant::now());
    let remote = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let (mut head, body) = request.into_parts();
    let mut principal = None;
    let admitted = guard.admit(&head, started, &mut principal).await;
    let mut record = AuditRecord::new(OperationId::new(), time, "http", "route");
    record.kind = Some("route");
    record.component = Some(&guard.name);
    record.remote = remote.map(|address| address.ip());
    if let Some(principal) = &principal {
        record = record.with_principal(principal);
    }
    match admitted {
        Ok(caller) => {
            if let Some(caller) = caller {
                head.extensions.insert(caller);
            }
            (record.verdict, record.outcome) = (Verdict::Allowed, "cancelled");
            let running = Running { audit: &guard.core.audit, record, started, ended: false };
            let response = next.run(Request::from_parts(head, body)).await;
            running.end(response)
        }
        Err(Refused { refusal, verdict, rule, reason }) => {
            (record.verdict, record.rule, record.outcome) = (verdict, Some(&*rule), "refused");
            record.reason = Some(LogText::from(&*reason));
            let running = Running { audit: &guard.core.audit, record, started, ended: false };
            running.end(refusal.into_response())
        }
    }
}

/// A request that is on its way. One that is dropped there, or whose handler panics, leaves a
/// record, too.
struct Running<'a> {
    audit: &'a Audit,
    record: AuditRecord<'a>,
    started: Instant,
    ended: bool,
}

impl Running<'_> {
    fn end(mut self, response: Response) -> Response {
        if self.record.verdict == Verdict::Allowed {
            self.record.outcome = "ok";
        }
        self.record.status = Some(response.status().as_u16());
        self.record.duration = self.started.elapsed();
        self.ended = true;
        match self.audit.record(&self.record) {
            Ok(()) => response,
            Err(_) => RouteRefusal::Failed.into_response(),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.record.duration = self.started.elapsed();
            // There is nobody left who could be told that it was not written.
            let _ = self.audit.record(&self.record);
        }
    }
}

impl Guard {
    async fn admit(
        &self,
        head: &axum::http::request::Parts,
        started: Instant,
        known: &mut Option<Arc<Principal>>,
    ) -> Result<Option<Caller>, Refused> {
        self.core.audit.ready().map_err(|_| {
            Refused::new(RouteRefusal::Failed, Verdict::Failed, "audit", "the sink is not ready")
        })?;
        let Some(check) = &self.check else { return Ok(None) };
        let authenticator = self.authenticator.as_ref().ok_or_else(|| {
            let reason = "nobody can be authenticated";
            Refused::new(RouteRefusal::Absent, Verdict::Denied, "bearer", reason)
        })?;
        let limits = &self.core.limits;
        let principal = match authenticate(authenticator, limits, head).await {
            Ok(principal) => principal,
            Err(refusal) => return Err(Refused::bearer(refusal, known)),
        };
        *known = Some(Arc::clone(&principal));
        let requester = Requester::principal(&principal);
        self.core.layers.check_requester(requester).map_err(Refused::too_often)?;
        let target = Target { kind: "route", name: &self.name, tags: &[] };
        let context = AuthContext::new(Some(&principal), &self.core.hierarchy, target);
        match answer(&**check, context, started + limits.decision).await {
            Decision::Allow => {
                Ok(Some(Caller::of(Arc::clone(&principal), Arc::clone(&self.core.hierarchy))))
            }
            Decision::Deny(denial) => {
                let reason = denial.reason_given(context.granted()).into_owned();
                let missing = denial.required_scopes().zip(context.granted());
                let refusal = match missing.map(|(required, granted)| granted.missing(required)) {
                    Some(missing) => {
                        RouteRefusal::InsufficientScope(authenticator.insufficient_scope(&missing))
                    }
                    None => {
                        let spoken = denial.spoken().map(|error| error.message().to_owned());
                        RouteRefusal::Denied(spoken.map(Into::into))
                    }
                };
                let verdict = match refusal {
                    RouteRefusal::InsufficientScope(_) => Verdict::Challenged,
                    _ => Verdict::Denied,
                };
                Err(Refused::new(refusal, verdict, check.requirement(), reason))
            }
        }
    }
}

impl Refused {
    fn new(
        refusal: RouteRefusal,
        verdict: Verdict,
        rule: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { refusal, verdict, rule: rule.into(), reason: reason.into() }
    }

    fn bearer(refusal: RouteRefusal, known: &mut Option<Arc<Principal>>) -> Self {
        let mut reason = Cow::Borrowed("not let in");
        if let RouteRefusal::Bearer(refusal) = &refusal {
            reason = refusal.reason.clone();
            known.clone_from(&refusal.principal);
        }
        let verdict = match refusal.status().as_u16() {
            503 => Verdict::Failed,
            _ => Verdict::Challenged,
        };
        Self::new(refusal, verdict, "bearer", reason)
    }

    fn too_often(retry_after: Duration) -> Self {
        let refusal = RouteRefusal::TooOften { retry_after };
        Self::new(refusal, Verdict::Limited, "rate limit", "over the limit of its caller")
    }
}
