//! The messages of a server that starts, for the person who started it.

use std::convert::Infallible;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use portcullis_auth::Audit;
use portcullis_guard::{redaction, text};
use tokio::sync::oneshot;

use crate::access::decision::panic_text;
use crate::catalogue::param_headers::Repeated;
use crate::catalogue::{Catalogue, Entry};
use crate::component::ComponentKind;
use crate::server::stop::StopLine;

/// The longest text of a panic that is logged, in characters.
const MAX_LOGGED_CHARS: usize = 2_048;

/// How long the end of a server waits for its audit sinks.
const AUDIT_PATIENCE: Duration = Duration::from_secs(10);

/// How long the end of a server waits for its log.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// Says one line through the log, or on standard error where no log was set up: a server
/// that starts in silence looks as if it hung.
#[cfg(feature = "http")]
pub(crate) fn say(line: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::info!("{line}");
    } else {
        to_stderr(format_args!("{line}"));
    }
}

/// As [`say`], for warnings.
pub(crate) fn warn(line: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{line}");
    } else {
        to_stderr(format_args!("warning: {line}"));
    }
}

/// As [`warn`], for what the log has already, if there is a log.
#[cfg(feature = "http")]
pub(crate) fn warn_unlogged(line: &str) {
    if !tracing::dispatcher::has_been_set() {
        warn(line);
    }
}

/// What of the components works, and hardly as it was meant.
pub(crate) fn warnings(catalogue: &Catalogue) -> Vec<String> {
    let keys = |is_meant: fn(&&Entry) -> bool| -> Vec<&str> {
        catalogue.entries().filter(is_meant).map(|entry| entry.key.as_str()).collect()
    };
    let undescribed = keys(|entry| entry.kind == ComponentKind::Tool && entry.is_undescribed());
    let unchallenged = keys(|entry| entry.asks_to_challenge && !entry.can_challenge());
    let lost = keys(|entry| entry.schema.repeated.iter().any(Repeated::is_lost_by_proxies));
    let mut warnings = Vec::new();
    if !undescribed.is_empty() {
        warnings.push(format!(
            "tools without a description, by which models choose: {undescribed:?}: write a doc \
             comment or .description(…)"
        ));
    }
    if !unchallenged.is_empty() {
        warnings.push(format!(
            "components with `deny = challenge` and no check that could ask for a scope: \
             {unchallenged:?}: add require_scopes(…), or leave `deny` out"
        ));
    }
    if !lost.is_empty() {
        warnings.push(format!(
            "tools with an argument in a header whose name has an underscore, which proxies leave out (nginx \
             without `underscores_in_headers on`), so that each call is refused: {lost:?}: write a dash"
        ));
    }
    warnings
}

/// Says that the causes of masked errors are lost, where they are.
pub(crate) fn warn_without_log() {
    if !tracing::dispatcher::has_been_set() {
        warn(
            "no log was set up, so the causes of masked errors are lost: \
             tracing_subscriber::fmt().with_writer(portcullis::stderr).log_internal_errors(false).init()",
        );
    }
}

/// Logs the message of a panic in one escaped line, in place of the default hook: that writes the
/// text unescaped, and it may be a caller's.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // Before it is cut: half of a secret would not be found.
        let text = redaction::redact(panic_text(panic.payload()));
        let text = text::cut(&text, MAX_LOGGED_CHARS);
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, text = &*text, "a panic");
        } else {
            to_stderr(format_args!("a panic at {place}: {text:?}"));
        }
    }));
}

/// Waits until the audit sinks have what was recorded, and not for ever: one that is a user's own may take
/// as long as it likes.
pub(crate) async fn flush_audit(audit: &Arc<Audit>) {
    let (flushed, done) = oneshot::channel::<Infallible>();
    let flushing = {
        let audit = Arc::clone(audit);
        move || {
            audit.flush();
            drop(flushed);
        }
    };
    // A thread of the runtime would keep the process from ending.
    let begun = std::thread::Builder::new().name("flushing".to_owned()).spawn(flushing);
    if begun.is_err() || tokio::time::timeout(AUDIT_PATIENCE, done).await.is_err() {
        tracing::error!("the server ends before its audit sinks have all records");
    }
}

/// Waits a moment until the last records are written, that of the stop too, and no longer: it may be that
/// nobody reads the log.
pub(crate) fn drain_log(line: &StopLine) {
    line.wait(LOG_PATIENCE);
    portcullis_guard::log::drain_stderr(LOG_PATIENCE);
}

/// Writes one line to standard error, whether anybody reads that or not: `eprintln!` would wait or
/// panic, and a panic within the hook for panics ends the process.
fn to_stderr(line: fmt::Arguments<'_>) {
    let _ = writeln!(portcullis_guard::stderr(), "portcullis: {line}");
}

#[cfg(test)]
mod tests {
    use portcullis_auth::{AuthContext, Decision, require_scopes, restrict_tag};

    use super::*;
    use crate::component::{Argument, Deny};
    use crate::{Components, Server, Tool};

    #[test]
    fn headers_that_proxies_leave_out_are_warned_of() {
        let routed = |tool: &str, header: &str| {
            let region = Argument::new("region").header(header);
            let tool = Tool::new(tool).description("Does it.").parameter::<String>(region);
            tool.handler(|_call| async { "done" })
        };
        let tools = [routed("dash", "Order-Id"), routed("underscore", "order_id")];
        let components = tools.into_iter().fold(Components::new(), Components::with);
        let server = Server::builder("test").no_auth().components(components).build().unwrap();
        let [lost] = &*warnings(&server.engine.catalogue) else {
            panic!("{:?}", warnings(&server.engine.catalogue))
        };
        assert!(lost.contains(r#"["underscore"]"#), "{lost}");
    }

    #[test]
    fn tools_without_a_description_and_challenges_that_nobody_meets_are_warned_of() {
        let plain = |name: &str| Tool::new(name).description("Does it.");
        let challenging = |name: &str| plain(name).deny(Deny::Challenge);
        let dynamic = |_: &AuthContext<'_>| Decision::Allow;
        let tools = [
            Tool::new("bare"),
            Tool::new("blank").description(" "),
            plain("plain"),
            challenging("open"),
            challenging("untagged").auth(restrict_tag("ops", ["admin"])),
            challenging("scoped").auth(require_scopes(["write"])),
            challenging("dynamic").auth(dynamic),
            plain("tagged").tag("ops"),
        ];
        let tools = tools.map(|tool| tool.handler(|_call| async { "done" }));
        let components = tools.into_iter().fold(Components::new(), Components::with);
        let server = Server::builder("test").no_auth().deny(Deny::Challenge);
        let server = server.components(components).build().unwrap();
        let [undescribed, unchallenged] = &*warnings(&server.engine.catalogue) else {
            panic!("{:?}", warnings(&server.engine.catalogue))
        };
        assert!(undescribed.contains(r#"["bare", "blank"]"#), "{undescribed}");
        assert!(unchallenged.contains(r#"["open", "untagged"]"#), "{unchallenged}");
    }
}
