//! What is reached and shown: rules 3, 5, 12 and 14.

use super::Finding;
use crate::server::Server;
use crate::server::check::Place;

/// 3: loopback, unless it is meant otherwise. What is never safe does not start.
#[cfg(feature = "http")]
pub(super) fn address(server: &Server, place: Option<&Place<'_>>) -> Finding {
    let Some(Place { address, url, .. }) = place else {
        return Finding::skip("stdio has no address");
    };
    let exposed = !address.is_local() || !url.is_loopback();
    match (exposed, &server.auth) {
        (_, None) if server.http.unauthenticated_beyond_loopback => Finding::fail(
            format!("{address} would serve everybody: dangerously_serve_unauthenticated()"),
            "set .auth(…), and remove dangerously_serve_unauthenticated()",
        ),
        (false, _) => Finding::pass(format!("{address}, reached as {}", url.origin())),
        (true, _) => Finding::pass(format!(
            "{address}, reached as {} because public_url says so; Host and Origin are compared with it",
            url.origin()
        )),
    }
}

#[cfg(not(feature = "http"))]
pub(super) fn address(_: &Server, _: Option<&Place<'_>>) -> Finding {
    Finding::skip("stdio has no address")
}

/// 5: masked errors.
pub(super) fn errors(server: &Server) -> Finding {
    if server.engine.show_internal_errors {
        return Finding::fail(
            "callers read internal errors: dangerously_show_internal_errors()",
            "remove it; the log has the causes, under the reference that callers read",
        );
    }
    match tracing::dispatcher::has_been_set() {
        true => Finding::pass("callers read a reference, and the log has the cause"),
        false => Finding::warn(
            "callers read a reference, and the cause is lost: no log was set up",
            "tracing_subscriber::fmt().with_writer(portcullis::stderr).log_internal_errors(false).init()",
        ),
    }
}

/// Words in the paths of what is for operators.
#[cfg(feature = "http")]
const SENSITIVE: [&str; 6] = ["admin", "config", "debug", "internal", "metrics", "secret"];

/// 12: protected routes.
#[cfg(feature = "http")]
pub(super) fn routes(server: &Server, place: Option<&Place<'_>>) -> Finding {
    use crate::server::check::listed;

    if place.is_none() {
        return Finding::skip("stdio has no routes");
    }
    let routes = &server.http.routes;
    let authenticated = server.auth.is_some();
    let described = |all: Vec<&crate::route::Route>| {
        listed(all.into_iter().map(|route| route.described(authenticated)))
    };
    let unreachable: Vec<_> =
        routes.iter().filter(|route| route.is_unreachable(authenticated)).collect();
    if !unreachable.is_empty() {
        return Finding::fail(described(unreachable), "set .auth(…), or make the route public");
    }
    let public = routes.iter().filter(|route| route.check().is_none());
    let (doubtful, public): (Vec<_>, Vec<_>) = public.partition(|route| {
        route.method != "GET"
            || route.path.split(['/', '-', '_']).any(|word| SENSITIVE.contains(&word))
    });
    match (doubtful.as_slice(), public.as_slice(), routes.as_slice()) {
        ([], _, []) => Finding::skip("there are no custom routes"),
        ([], [], routes) => Finding::pass(format!("{} routes, each with a check", routes.len())),
        ([], _, _) => Finding::pass(described(public)),
        _ => Finding::warn(
            described(doubtful),
            "replace .public(…) by .require(check), unless the function asks for a credential itself",
        ),
    }
}

#[cfg(not(feature = "http"))]
pub(super) fn routes(_: &Server, _: Option<&Place<'_>>) -> Finding {
    Finding::skip("stdio has no routes")
}

/// 14: access is logged, secrets are not.
pub(super) fn audit(server: &Server) -> Finding {
    if let Err(error) = server.engine.audit.ready() {
        return Finding::fail(
            format!("an audit sink takes no records: {error}"),
            "make its file or service writable",
        );
    }
    let logged = tracing::enabled!(target: "portcullis::audit", tracing::Level::INFO);
    match (server.engine.audit.sinks(), logged) {
        (0, true) => Finding::pass("each access is a record in the log, without secrets"),
        (0, false) => Finding::fail(
            "no access is recorded: there is no audit sink, and the log drops portcullis::audit at INFO",
            "add a sink: .audit(JsonLines::open(…)?), or let the log take portcullis::audit=info",
        ),
        (sinks, _) => Finding::pass(format!(
            "each access is a record in {sinks} audit sink(s), without secrets"
        )),
    }
}
