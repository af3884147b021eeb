//! The check of a whole description, which finds all problems at once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_auth::access::compiler::Compiler;
use portcullis_auth::{Audit, ScopeHierarchy, Scopes};
use portcullis_guard::Alarm;
use portcullis_protocol::Limits;
use portcullis_store::MemoryStore;

use crate::catalogue::compiled_checks::{CompiledCheck, Need};
use crate::catalogue::credential_lint;
use crate::catalogue::{Catalogue, Everywhere};
use crate::component::context::Facilities;
#[cfg(feature = "fetch")]
use crate::component::http_client::HttpClient;
use crate::component::selector::{Selector, tags};
use crate::error::{BuildError, Error, Problem, ProblemKind};
use crate::middleware::rate_limit::Sharing;
use crate::operation::Engine;
#[cfg(feature = "fetch")]
use crate::operation::caller_credentials::{self, RecordedCredentials};
#[cfg(feature = "keys")]
use crate::operation::handles::SealedHandles;
use crate::operation::input::StateKeys;
use crate::operation::pages::Pages;
use crate::operation::resource_updates::Subscribers;
#[cfg(feature = "http")]
use crate::operation::stopping::Stopping;
use crate::operation::task::Tasks;
use crate::operation::telling::ExaminedAsResults;
#[cfg(feature = "jwt")]
use crate::operation::token_exchange::RecordedTokenExchange;
use crate::operation::upstream_token::RecordedUpstreamTokens;
use crate::operation::visibility_control::RecordedVisibility;
#[cfg(feature = "http")]
use crate::route::Route;
use crate::server::builder::{AuthState, Parts, ServerBuilder};
use crate::server::{Authentication, Server, check};
use crate::visibility::{ScopedRules, VisibilityState};

impl<A> ServerBuilder<A> {
    /// Builds the server.
    ///
    /// # Errors
    ///
    /// [`Error::Build`] lists everything that can never be right, each with its
    /// [`ProblemKind`]: components of the same name, a default that its own rules refuse, a state that is missing, a check that
    /// requires nothing, a malformed URL, an unused rule.
    pub fn build(self) -> Result<Server, Error>
    where
        A: AuthState,
    {
        let name = self.parts.name.clone();
        let built = self.parts.build(self.auth.provider().as_ref().map(Authentication::new));
        check::told(&name, built)
    }
}

impl Parts {
    /// Not generic, so that it is compiled here, and not by each program.
    fn build(self, auth: Option<Authentication>) -> Result<Server, Error> {
        let parts = self;
        let instructions = parts.instructions.clone();
        let identity = parts.about.identity(&parts.name, &parts.version, instructions);
        let mut problems = parts.about.problems();
        #[cfg(feature = "http")]
        let http = parts.http.check(&mut problems);
        if parts.name.trim().is_empty() {
            let problem = Problem::new(ProblemKind::InvalidName, "the server needs a name");
            problems.push(problem.within(format_args!("Server::builder({:?})", parts.name)));
        }
        if !portcullis_guard::json::reads_numbers() {
            let text = "the feature `arbitrary_precision` breaks the reading of numbers: turn it off \
                        (`cargo tree -e features -i serde_json` names the crate that turns it on)";
            let problem = Problem::new(ProblemKind::ArbitraryPrecision, text);
            problems.push(problem.within("serde_json"));
        }
        problems.extend(problem_with_limits(&parts.limits));
        if parts.page_size == 0 {
            let problem = Problem::new(ProblemKind::InvalidPageSize, "set at least 1");
            problems.push(problem.within("page_size(0)"));
        }
        if parts.store.as_ref().is_some_and(|store| store.is_unsealed()) {
            let text = "it writes values as they are: use Sealed::new(store, keys), with keys that \
                        `portcullis keys new` makes, or say that they are no secret with \
                        dangerously_unsealed()";
            let problem = Problem::new(ProblemKind::UnsealedStore, text);
            problems.push(problem.within("store"));
        }
        #[cfg(feature = "jwt")]
        if parts.token_exchange.is_some() && auth.is_none() {
            let text = "without .auth(…) no caller has a token that could be exchanged";
            problems.push(
                Problem::new(ProblemKind::UnusedTokenExchange, text).within("token_exchange"),
            );
        }
        #[cfg(feature = "fetch")]
        let services = {
            if !parts.credentials.is_empty() && auth.is_none() {
                let text = "without .auth(…) no caller has a credential";
                let problem = Problem::new(ProblemKind::UnusedCredentials, text);
                problems.push(problem.within("credentials"));
            }
            let (services, found) = caller_credentials::services(parts.credentials);
            problems.extend(found);
            services
        };
        problems.extend(problems_everywhere(&parts.everywhere));
        problems.extend(parts.layers.problems(&parts.limits));
        if parts.instructions.as_deref().is_some_and(credential_lint::holds_secret) {
            problems.push(credential_lint::exposed().within("instructions"));
        }
        let catalogue = match Catalogue::compile(parts.components, &parts.states, &parts.everywhere)
        {
            Ok(catalogue) => catalogue,
            Err(found) => return Err(BuildError::new([problems, found].concat()).into()),
        };
        let selectors = parts.rules.iter().map(|(selector, _)| selector);
        let selectors = selectors.chain(parts.layers.selectors()).cloned();
        problems.extend(unmet_rules(&catalogue, &parts.everywhere, selectors));
        problems.extend(parts.hierarchy.malformed().map(|scope| {
            let text = format!("{scope:?} is not one scope: name each scope by itself");
            Problem::new(ProblemKind::InvalidScope, text).within("scope_implies")
        }));
        #[cfg(feature = "http")]
        let routes_decide = http.routes.iter().any(|route| route.check().is_some());
        #[cfg(not(feature = "http"))]
        let routes_decide = false;
        if !routes_decide {
            let required = auth.as_ref().map(|auth| auth.summary.required_scopes.clone());
            problems.extend(unmet_scopes(
                &catalogue,
                &required.unwrap_or_default(),
                &parts.hierarchy,
            ));
        }
        problems
            .extend(catalogue.runs_tasks().then(|| problem_with_tasks(&parts.limits)).flatten());
        if !problems.is_empty() {
            return Err(BuildError::new(problems).into());
        }
        if parts.show_internal_errors {
            tracing::warn!(
                "internal errors are shown to callers: dangerously_show_internal_errors()"
            );
        }
        let store =
            parts.store.unwrap_or_else(|| Arc::new(MemoryStore::new(Arc::clone(&parts.clock))));
        #[cfg(feature = "keys")]
        let request_state = StateKeys::new(store.keys());
        #[cfg(not(feature = "keys"))]
        let request_state = StateKeys::default();
        #[cfg(feature = "metrics")]
        let store = portcullis_store::measured(store);
        #[cfg(feature = "metrics")]
        portcullis_guard::metrics::describe();
        let rules = parts.rules.into_iter().flat_map(|(_, rules)| rules).collect();
        let audit = Audit::new(parts.audit_failure);
        #[cfg(feature = "fetch")]
        let audit = parts.traces.into_iter().fold(audit, Audit::traces);
        let audit = Arc::new(parts.sinks.into_iter().fold(audit, Audit::sink));
        let (catalogue, clock) = (Arc::new(catalogue), parts.clock);
        let sharing = Sharing {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            server: parts.name.clone(),
            patience: parts.limits.decision_timeout,
        };
        parts.layers.share(&sharing);
        #[cfg(feature = "http")]
        http.routes.iter().for_each(|route| route.share(&sharing));
        let mut own = ScopedRules::new(Arc::clone(&store), &parts.name, Arc::clone(&clock));
        own.patience = parts.limits.decision_timeout;
        // Middleware is given a context, too.
        own.can_change = !parts.layers.middleware().is_empty()
            || catalogue.entries().any(|entry| entry.sees_context);
        let visibility = VisibilityState::new(rules, Arc::clone(&catalogue), own);
        let visibility = Arc::new(visibility);
        let control = RecordedVisibility {
            state: Arc::clone(&visibility),
            audit: Arc::clone(&audit),
            clock: Arc::clone(&clock),
        };
        let upstream_tokens = Arc::new(RecordedUpstreamTokens {
            tokens: OnceLock::new(),
            audit: Arc::clone(&audit),
            clock: Arc::clone(&clock),
        });
        #[cfg(feature = "jwt")]
        let token_exchange = Arc::new(RecordedTokenExchange {
            exchange: parts.token_exchange,
            audit: Arc::clone(&audit),
            clock: Arc::clone(&clock),
        });
        #[cfg(feature = "fetch")]
        let credentials = Arc::new(RecordedCredentials {
            services,
            audit: Arc::clone(&audit),
            clock: Arc::clone(&clock),
        });
        #[cfg(feature = "http")]
        let paths = http.routes.iter().filter_map(Route::page_path).collect();
        #[cfg(not(feature = "http"))]
        let paths = Vec::new();
        let (of, by) = (Arc::clone(&store), Arc::clone(&clock));
        let pages = Pages::new(of, by, &parts.name, parts.limits.input_timeout, paths);
        #[cfg(feature = "keys")]
        let handles = Arc::new(SealedHandles::new(
            &request_state,
            &parts.name,
            parts.trusts_stdio,
            Arc::clone(&clock),
        ));
        let subscribers = Arc::new(Subscribers::new(Arc::clone(&catalogue)));
        let facilities = Facilities {
            states: parts.states,
            hierarchy: Arc::new(parts.hierarchy),
            visibility: Arc::new(control),
            resource_updates: subscribers.clone(),
            upstream_tokens: upstream_tokens.clone(),
            #[cfg(feature = "jwt")]
            exchanged_tokens: token_exchange.clone(),
            #[cfg(feature = "fetch")]
            http: HttpClient::new(parts.fetch),
            #[cfg(feature = "fetch")]
            credentials,
            #[cfg(feature = "keys")]
            handles,
            told: Arc::new(ExaminedAsResults::new(parts.credentials_in_results)),
            trusts_stdio: parts.trusts_stdio,
        };
        let tasks =
            Tasks::new(Arc::clone(&store), Arc::clone(&clock), parts.limits.decision_timeout);
        let engine = Engine {
            identity,
            catalogue,
            facilities: Arc::new(facilities),
            limits: parts.limits,
            page_size: parts.page_size,
            show_internal_errors: parts.show_internal_errors,
            credentials_in_results: parts.credentials_in_results,
            visibility,
            subscribers,
            layers: parts.layers,
            audit,
            #[cfg(feature = "http")]
            upstream_tokens,
            #[cfg(all(feature = "http", feature = "jwt"))]
            token_exchange,
            tasks: Arc::new(tasks),
            store,
            request_state,
            pages: Arc::new(pages),
            clock,
            alarm: Alarm::new(),
            #[cfg(feature = "http")]
            stopping: Stopping::default(),
            #[cfg(feature = "http")]
            verifying: Arc::default(),
        };
        Ok(Server {
            engine: Arc::new(engine),
            auth,
            #[cfg(feature = "http")]
            http,
        })
    }
}

/// What is wrong with the checks of the server as a whole.
fn problems_everywhere(everywhere: &Everywhere) -> Vec<Problem> {
    let checks = everywhere.checks.iter();
    checks
        .filter_map(|check| {
            let text = match check.validate() {
                Err(text) => text,
                Ok(()) if check.reads_arguments() => {
                    "the check reads arguments, but lists and resources have none".to_owned()
                }
                Ok(()) => return None,
            };
            let problem = Problem::new(ProblemKind::InvalidCheck, text);
            Some(problem.within(format_args!("AuthMiddleware::new({})", check.requirement())))
        })
        .collect()
}

/// Rules that match no component.
fn unmet_rules(
    catalogue: &Catalogue,
    everywhere: &Everywhere,
    selectors: impl Iterator<Item = Selector>,
) -> Vec<Problem> {
    let components = || catalogue.entries().map(|entry| entry.selected());
    let of_checks = everywhere.checks.iter().flat_map(|check| check.tags(Compiler));
    let denied = everywhere.deny_tagged.iter().map(|(tag, _)| tag.clone());
    let tagged = of_checks.chain(denied).map(|tag| tags([tag]));
    let unmet = selectors.chain(tagged).flat_map(|selector| selector.unmet(components));
    // The same tag may be in several rules.
    let unmet: BTreeMap<String, Problem> =
        unmet.map(|problem| (problem.to_string(), problem)).collect();
    unmet.into_values().map(Problem::unused).collect()
}

/// Scopes that are implied and that nothing could ever ask for: a slip of the pen, most likely.
/// Where a function decides, or can ask for the caller's scopes, it cannot be told.
fn unmet_scopes(
    catalogue: &Catalogue,
    required: &Scopes,
    hierarchy: &ScopeHierarchy,
) -> Vec<Problem> {
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
    let unused = || Problem::new(ProblemKind::UnusedRule, "no component requires it").unused();
    unmet.map(|scope| unused().within(format_args!("scope {scope:?}"))).collect()
}

/// What is wrong with the limits of tasks, where there are some.
fn problem_with_tasks(limits: &Limits) -> Option<Problem> {
    let text = if limits.tasks == 0 || limits.tasks_per_principal == 0 {
        "set tasks and tasks_per_principal to at least 1"
    } else if limits.task_timeout < limits.handler_timeout {
        "set task_timeout to handler_timeout or longer"
    } else if limits.task_ttl <= limits.task_timeout {
        "set task_ttl longer than task_timeout: nobody could ask for the result"
    } else if limits.task_store_bytes / 4 <= limits.task_result_bytes {
        "set task_store_bytes to more than four times task_result_bytes: one principal has a quarter of it"
    } else {
        return None;
    };
    Some(Problem::new(ProblemKind::InvalidLimits, text).within("limits"))
}

/// The longest time that a limit may have: a longer one has no end that a clock can tell.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn problem_with_limits(limits: &Limits) -> Option<Problem> {
    let invalid = |text: &str| Problem::new(ProblemKind::InvalidLimits, text).within("limits");
    if limits.header_bytes < 8 * 1024 {
        return Some(invalid("set header_bytes to at least 8 KiB"));
    }
    let times = [
        ("header_timeout", limits.header_timeout),
        #[cfg(feature = "tls")]
        ("handshake_timeout", limits.handshake_timeout),
        ("write_timeout", limits.write_timeout),
        ("body_timeout", limits.body_timeout),
        ("decision_timeout", limits.decision_timeout),
        ("not_found_delay", limits.not_found_delay),
        ("handler_timeout", limits.handler_timeout),
        ("input_timeout", limits.input_timeout),
        ("task_timeout", limits.task_timeout),
        ("task_ttl", limits.task_ttl),
        ("unauthenticated_timeout", limits.unauthenticated_timeout),
        ("session_idle_timeout", limits.session_idle_timeout),
        ("drain_delay", limits.drain_delay),
        ("drain_timeout", limits.drain_timeout),
    ];
    if let Some((name, _)) = times.into_iter().find(|(_, time)| *time > LONGEST) {
        return Some(invalid(&format!("set {name} to at most 365 days")));
    }
    let Limits { connections, connections_per_address, concurrent_requests, .. } = *limits;
    let requests = [concurrent_requests, limits.requests_per_principal, limits.body_bytes];
    let numbers = [[connections, connections_per_address, limits.body_bytes], requests].concat();
    let budgets = [limits.waiting_body_bytes, limits.unread_bytes];
    let some = numbers.iter().chain(&budgets).all(|most| *most > 0);
    (!some).then(|| invalid("set connections, connections_per_address, concurrent_requests, requests_per_principal, body_bytes, waiting_body_bytes and unread_bytes to at least 1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;

    #[test]
    fn a_time_that_no_clock_has_an_end_for_does_not_build() {
        let build =
            |change: fn(&mut Limits)| Server::builder("test").no_auth().limits(change).build();
        for (change, name) in [
            (
                (|limits| limits.decision_timeout = Duration::MAX) as fn(&mut Limits),
                "decision_timeout",
            ),
            (
                |limits| limits.handler_timeout = LONGEST + Duration::from_nanos(1),
                "handler_timeout",
            ),
            (|limits| limits.not_found_delay = Duration::MAX, "not_found_delay"),
            (|limits| limits.drain_timeout = Duration::from_secs(u64::MAX), "drain_timeout"),
        ] {
            let refused = build(change).unwrap_err().to_string();
            assert!(refused.contains(&format!("set {name} to at most 365 days")), "{refused}");
        }
        assert!(build(|limits| limits.drain_timeout = LONGEST).is_ok());
    }
}
