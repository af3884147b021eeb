use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use portcullis_auth::{AuthContext, Decision};
use portcullis_protocol::{Exchange, Transport};
use tokio::time::Instant;

use crate::catalogue::Entry;

/// The longest part of a name that a caller chose that is logged, in characters.
const MAX_LOGGED_CHARS: usize = 256;

/// The one decision: may this exchange see and use this component?
///
/// Lists and uses of every kind of component ask it, and nothing else does. In this order:
///
/// 1. Over stdio: yes. There is no token; the peer is the user who started the process.
/// 2. A component whose function asks for a `Caller` needs a principal.
/// 3. Every check of the component allows. The first that does not ends it; one that
///    panics, or has not answered at `deadline`, denies.
pub(crate) async fn decide(entry: &Entry, exchange: &Exchange, deadline: Instant) -> Decision {
    if exchange.transport == Transport::Stdio {
        return Decision::Allow;
    }
    if entry.needs_caller && exchange.principal.is_none() {
        return Decision::deny("no principal");
    }
    let context = AuthContext::new(exchange.principal.as_deref(), &entry.key);
    for check in &entry.checks {
        // Most checks answer at once: a list of thousands sets no timer for them.
        let asked = catch_unwind(AssertUnwindSafe(|| check.check(context).now()));
        let answered = match asked {
            Ok(Ok(decision)) => Ok(decision),
            Ok(Err(pending)) => {
                let answer = AssertUnwindSafe(pending).catch_unwind();
                match tokio::time::timeout_at(deadline, answer).await {
                    Ok(answered) => answered,
                    Err(_) => return Decision::deny("the check took too long"),
                }
            }
            Err(panic) => Err(panic),
        };
        match answered {
            Ok(Decision::Allow) => {}
            Ok(denied @ Decision::Deny(_)) => return denied,
            Err(panic) => {
                return Decision::deny(format!("the check panicked: {}", panic_text(&*panic)));
            }
        }
    }
    Decision::Allow
}

/// As [`decide`], for a use: what is denied is logged, and is then as if it did not exist.
pub(crate) async fn admits(entry: &Entry, exchange: &Exchange, deadline: Instant) -> bool {
    match decide(entry, exchange, deadline).await {
        Decision::Allow => true,
        Decision::Deny(denial) => {
            log_denied(&entry.key, exchange, denial.reason());
            false
        }
    }
}

/// Logs a use of something that is not there for the caller.
///
/// What does not exist at all is logged in the same way, so that it takes the same time.
pub(crate) fn log_denied(component: &str, exchange: &Exchange, reason: &str) {
    let component: String = component.chars().take(MAX_LOGGED_CHARS).collect();
    let subject = exchange.principal.as_deref().map(portcullis_auth::Principal::subject);
    tracing::info!(component, subject, reason, "denied");
}

/// What a panic said, for the log.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
