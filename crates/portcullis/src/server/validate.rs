use std::collections::HashSet;
use std::sync::Arc;

use portcullis_auth::{Audit, ScopeHierarchy, Scopes};
use portcullis_guard::Alarm;
use portcullis_protocol::http::Origin;
use portcullis_protocol::{Identity, Limits};
use portcullis_store::MemoryStore;
use url::{Host, Url};

use crate::catalogue::compiled_checks::{CompiledCheck, Need};
use crate::catalogue::credential_lint;
use crate::catalogue::{Catalogue, Everywhere};
use crate::component::context::Facilities;
use crate::component::selector::{Selector, tags};
use crate::error::Error;
use crate::operation::Engine;
use crate::operation::stopping::Stopping;
use crate::operation::visibility_control::RecordedVisibility;
use crate::server::Server;
use crate::server::builder::{AuthState, ServerBuilder};
use crate::visibility::VisibilityState;

impl<A> ServerBuilder<A> {
    /// Builds the server.
    ///
    /// # Errors
    ///
    /// [`Error::Build`] lists everything that can never be right: components of the same
    /// name, a default that its own rules refuse, a state that is missing, a check that
    /// requires nothing, a malformed URL, an unused rule.
    pub fn build(self) -> Result<Server, Error>
    where
        A: AuthState,
    {
        let Self { parts, auth } = self;
        let verifier = auth.verifier();
        let identity = Identity::new(&parts.name, &parts.version, parts.instructions.clone());
        let mut problems = Vec::new();
        let path = parts.path.trim_end_matches('/').to_owned();
        if !is_plain_path(&parts.path) {
            problems.push(format!("path {:?}: {}", parts.path, wrong_path(&parts.path)));
        }
        if parts.name.trim().is_empty() {
            problems.push("the server needs a name".to_owned());
        }
        if !portcullis_guard::json::reads_numbers() {
            problems.push(
                "serde_json's feature `arbitrary_precision` breaks the reading of numbers: turn it off \
                 (`cargo tree -e features -i serde_json` names the crate that turns it on)"
                    .to_owned(),
            );
        }
        problems.extend(problem_with_limits(&parts.limits));
        if parts.page_size == 0 {
            problems.push("page_size(0): set at least 1".to_owned());
        }
        let public_url =
            parts.public_url.as_deref().and_then(|url| keep(public_url(url), &mut problems));
        let origins =
            parts.origins.iter().filter_map(|url| keep(origin(url), &mut problems)).collect();
        for host in &parts.hosts {
            if portcullis_protocol::http::Authority::parse(host).is_none() {
                problems.push(format!("allow_host({host:?}): write `host` or `host:port`"));
            }
        }
        problems.extend(parts.routes.iter().filter_map(|route| route.problem(&path)));
        let mut routes = HashSet::new();
        for route in &parts.routes {
            if !routes.insert((route.method, &route.path)) {
                problems.push(format!("route {} {}: duplicate route", route.method, route.path));
            }
        }
        problems.extend(problem_with_scopes(&parts.scopes_supported));
        problems.extend(problems_everywhere(&parts.everywhere));
        problems.extend(parts.layers.problems(&parts.limits));
        if parts.instructions.as_deref().is_some_and(credential_lint::holds_secret) {
            problems.push(
                "instructions: the text looks like a secret, and every caller can read it"
                    .to_owned(),
            );
        }
        let catalogue = match Catalogue::compile(parts.components, &parts.states, &parts.everywhere)
        {
            Ok(catalogue) => catalogue,
            Err(found) => return Err(Error::Build([problems, found].concat())),
        };
        let selectors = parts.rules.iter().map(|(selector, _)| selector);
        let selectors = selectors.chain(parts.layers.selectors()).cloned();
        problems.extend(unmet_rules(&catalogue, &parts.everywhere, selectors));
        problems.extend(parts.hierarchy.problem());
        if parts.routes.iter().all(|route| route.check().is_none()) {
            let required = verifier.as_ref().map(|verifier| verifier.required_scopes());
            problems.extend(unmet_scopes(
                &catalogue,
                &required.unwrap_or_default(),
                &parts.hierarchy,
            ));
        }
        if !problems.is_empty() {
            return Err(Error::Build(problems));
        }
        if parts.show_internal_errors {
            tracing::warn!(
                "internal errors are shown to callers: dangerously_show_internal_errors()"
            );
        }
        let store =
            parts.store.unwrap_or_else(|| Arc::new(MemoryStore::new(Arc::clone(&parts.clock))));
        let rules = parts.rules.into_iter().flat_map(|(_, rules)| rules).collect();
        let audit = Audit::new(parts.audit_failure);
        let audit = Arc::new(parts.sinks.into_iter().fold(audit, Audit::sink));
        let (catalogue, clock) = (Arc::new(catalogue), parts.clock);
        let visibility =
            VisibilityState::new(rules, Arc::clone(&catalogue), store, Arc::clone(&clock));
        let visibility = Arc::new(visibility);
        let control = RecordedVisibility {
            state: Arc::clone(&visibility),
            audit: Arc::clone(&audit),
            clock: Arc::clone(&clock),
        };
        let facilities = Facilities {
            states: parts.states,
            hierarchy: Arc::new(parts.hierarchy),
            visibility: Arc::new(control),
            trusts_stdio: parts.trusts_stdio,
        };
        let engine = Engine {
            identity,
            catalogue,
            facilities: Arc::new(facilities),
            limits: parts.limits,
            page_size: parts.page_size,
            show_internal_errors: parts.show_internal_errors,
            visibility,
            layers: parts.layers,
            audit,
            clock,
            alarm: Alarm::new(),
            stopping: Stopping::default(),
        };
        Ok(Server {
            engine: Arc::new(engine),
            verifier,
            public_url,
            path,
            hosts: parts.hosts,
            origins,
            routes: parts.routes,
            scopes_supported: parts.scopes_supported,
            unauthenticated_beyond_loopback: parts.unauthenticated_beyond_loopback,
        })
    }
}

/// What is wrong with the checks of the server as a whole.
fn problems_everywhere(everywhere: &Everywhere) -> Vec<String> {
    let checks = everywhere.checks.iter();
    checks
        .filter_map(|check| {
            let problem = match check.validate() {
                Err(problem) => problem,
                Ok(()) if check.reads_arguments() => {
                    "the check reads arguments, but lists and resources have none".to_owned()
                }
                Ok(()) => return None,
            };
            Some(format!("AuthMiddleware::new({}): {problem}", check.requirement()))
        })
        .collect()
}

/// Rules that match no component.
fn unmet_rules(
    catalogue: &Catalogue,
    everywhere: &Everywhere,
    selectors: impl Iterator<Item = Selector>,
) -> Vec<String> {
    let components = || catalogue.entries().map(|entry| entry.selected());
    let of_checks = everywhere.checks.iter().flat_map(|check| check.tags());
    let denied = everywhere.deny_tagged.iter().map(|(tag, _)| tag.clone());
    let tagged = of_checks.chain(denied).map(|tag| tags([tag]));
    let unmet: HashSet<String> =
        selectors.chain(tagged).flat_map(|selector| selector.unmet(components)).collect();
    let mut unmet: Vec<String> =
        unmet.into_iter().map(|unmet| format!("{unmet} (unused rule)")).collect();
    unmet.sort_unstable();
    unmet
}

/// Scopes that are implied and that nothing could ever ask for: a slip of the pen, most likely.
/// Where a function decides, or can ask for the caller's scopes, it cannot be told.
fn unmet_scopes(
    catalogue: &Catalogue,
    required: &Scopes,
    hierarchy: &ScopeHierarchy,
) -> Vec<String> {
    let checks = || catalogue.entries().flat_map(|entry| &entry.checks.all);
    let asks = |check: &CompiledCheck| matches!(check.need, Need::Answer(_) | Need::Local(_));
    if catalogue.entries().any(|entry| entry.sees_caller) || checks().any(asks) {
        return Vec::new();
    }
    let requires = |scope: &str| {
        required.contains(scope)
            || checks().any(|check| match &check.need {
                Need::Scopes(scopes) => scopes.contains(scope),
                Need::Caller | Need::Answer(_) | Need::Local(_) => false,
            })
    };
    let unmet = hierarchy.implied().filter(|scope| !requires(scope));
    unmet.map(|scope| format!("no component requires the scope {scope:?} (unused rule)")).collect()
}

fn keep<T>(result: Result<T, String>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// The public URL, checked: an https origin, or an http one on loopback.
pub(crate) fn public_url(text: &str) -> Result<Url, String> {
    let wrong = |what: &str| Err(format!("public_url {text:?}: {what}"));
    let Ok(url) = Url::parse(text) else {
        return wrong("not a URL: write one such as https://mcp.example.com");
    };
    let loopback = is_loopback(&url);
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return wrong("use https: clients send tokens to it"),
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return wrong("remove the user, password, query or fragment");
    }
    if url.path() != "/" {
        return wrong("remove the path: set the path of the endpoint with `path`");
    }
    Ok(url)
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).map_err(|problem| format!("allow_origin({text:?}): {problem}"))
}

fn problem_with_scopes(supported: &Scopes) -> Option<String> {
    if *supported != supported.offered() {
        return Some(
            "scopes_supported: remove offline_access: clients request it from the authorization \
             server themselves"
                .to_owned(),
        );
    }
    let odd = supported.malformed()?;
    Some(format!("scopes_supported: {odd:?} is not a valid scope (RFC 6749 §3.3)"))
}

fn problem_with_limits(limits: &Limits) -> Option<String> {
    if limits.header_bytes < 8 * 1024 {
        return Some("limits: set header_bytes to at least 8 KiB".to_owned());
    }
    let Limits { connections, connections_per_address, concurrent_requests, .. } = *limits;
    let requests = [concurrent_requests, limits.requests_per_principal, limits.body_bytes];
    let numbers = [[connections, connections_per_address, limits.body_bytes], requests].concat();
    let budgets = [limits.waiting_body_bytes, limits.unread_bytes];
    let some = numbers.iter().chain(&budgets).all(|most| *most > 0);
    (!some).then(|| "limits: set connections, connections_per_address, concurrent_requests, requests_per_principal, body_bytes, waiting_body_bytes and unread_bytes to at least 1".to_owned())
}

/// What is wrong with a path that is not plain.
fn wrong_path(path: &str) -> String {
    match path.strip_prefix('/') {
        None => format!("a path begins with `/`: write \"/{path}\""),
        Some(_) if path.contains(".well-known") => {
            "the protocol uses `/.well-known/`: choose another path".to_owned()
        }
        Some(_) => "use only letters, digits and `-._~` between slashes, and no empty segment, \
                    `.` or `..`"
            .to_owned(),
    }
}

fn is_plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b))
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".." | ".well-known"))
}
