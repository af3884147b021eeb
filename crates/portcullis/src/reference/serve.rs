//! A world as a real server, and its callers as those of real requests.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use portcullis_auth::{self as auth, Decision, IntoCheck, Principal, extract};
use portcullis_protocol::{Exchange, ProtocolVersion, SessionKey, Transport};
use serde_json::{Map, Value};

use super::world::{
    Caller, Check, Component, Datum, Deny, Kind, Name, Rule, SPOKEN, Says, Selector, Test, Token,
    Word, World,
};
use crate::access::{AuthContext, AuthorizationError, CheckError};
use crate::component::{Argument, Call, ComponentKind};
use crate::middleware::{AuthMiddleware, Middleware, Next, Request, Response};
use crate::{Components, Prompt, Resource, Server, Tool, ToolError, danger};

/// How often the function of each component ran.
pub(super) type Runs = Arc<Vec<AtomicUsize>>;

pub(super) fn server(world: &World, runs: &Runs) -> Result<Server, crate::Error> {
    let mut components = Components::new();
    for (at, component) in world.components.iter().enumerate() {
        components = components.with(built(component, at, runs));
    }
    let mut builder = Server::builder("world")
        .components(components)
        .page_size(world.page_size)
        .deny(denial(world.deny));
    for check in &world.middleware {
        builder = builder.middleware(AuthMiddleware::new(checked(check)));
    }
    if world.around {
        builder = builder.middleware(Through);
    }
    for (scope, implied) in &world.implied {
        builder = builder.scope_implies(*scope, implied.clone());
    }
    for (tag, deny) in &world.deny_tagged {
        builder = builder.deny_tagged(*tag, denial(*deny));
    }
    for Rule { word, selector } in &world.rules {
        let selector = selected(selector);
        builder = match word {
            Word::Enable => builder.enable(selector),
            Word::Disable => builder.disable(selector),
            Word::Only => builder.only(selector),
        };
    }
    // Callers show no token here, but a scope that nothing requires may not be implied.
    let implied: Vec<Name> =
        world.implied.iter().flat_map(|(_, implied)| implied.iter().copied()).collect();
    match world.authenticates {
        true => builder.auth(danger::StaticTokenVerifier::new().required_scopes(implied)).build(),
        false => builder.no_auth().build(),
    }
}

/// Lets everything through.
#[derive(Debug)]
struct Through;

impl Middleware for Through {
    async fn handle<'a>(
        &'a self,
        request: Request<'a>,
        next: Next<'a>,
    ) -> Result<Response<'a>, ToolError> {
        next.run(request).await
    }
}

fn built(component: &Component, at: usize, runs: &Runs) -> crate::component::Component {
    let Component { kind, key, tags, takes_caller, checks, deny } = component;
    let runs = Arc::clone(runs);
    let handler = move |_call: Call| {
        runs[at].fetch_add(1, Ordering::Relaxed);
        async { "done" }
    };
    // The three builders have the same options, and no trait in common.
    macro_rules! declared {
        ($builder:expr) => {{
            let mut builder = $builder;
            for tag in tags {
                builder = builder.tag(*tag);
            }
            if *takes_caller {
                builder = builder.parameter::<crate::Caller>(Argument::new("caller"));
            }
            for check in checks {
                builder = builder.auth(checked(check));
            }
            if let Some(deny) = deny {
                builder = builder.deny(denial(*deny));
            }
            builder.handler(handler)
        }};
    }
    match kind {
        Kind::Tool => declared!(Tool::new(*key)),
        Kind::Prompt => declared!(Prompt::new(*key)),
        Kind::Resource => declared!(Resource::new(*key)),
        Kind::Template => {
            let mut template = Resource::new(*key);
            for variable in ["id", "key", "owner"] {
                if key.contains(&format!("{{{variable}}}")) {
                    template = template.parameter::<String>(Argument::new(variable));
                }
            }
            declared!(template)
        }
    }
}

fn denial(deny: Deny) -> crate::component::Deny {
    match deny {
        Deny::Hide => crate::component::Deny::Hide,
        Deny::Challenge => crate::component::Deny::Challenge,
    }
}

fn checked(check: &Check) -> Arc<dyn auth::Check> {
    let all = |checks: &[Check]| checks.iter().map(checked).collect::<Vec<_>>();
    match check {
        Check::Scopes(scopes) => auth::require_scopes(scopes.clone()).into_check(),
        Check::Tag(tag, scopes) => auth::restrict_tag(*tag, scopes.clone()).into_check(),
        Check::Roles { path, roles } => {
            let extractor = match path {
                ["roles"] => extract::entra(),
                ["realm_access", "roles"] => extract::keycloak_realm(),
                other => extract::claim(owned(other)),
            };
            auth::require_roles(extractor, roles.clone()).into_check()
        }
        Check::Claim { path, test } => {
            let claim = auth::claim(owned(path));
            match test {
                Test::Equals(value) => claim.equals(json(value)),
                Test::AtLeast(least) => claim.at_least(*least),
                Test::OneOf(values) => claim.one_of(values.iter().map(json)),
                Test::Contains(value) => claim.contains(json(value)),
            }
            .into_check()
        }
        Check::Function { says, later } => function(*says, *later),
        Check::AllOf(checks) => auth::all_of(all(checks)).into_check(),
        Check::AnyOf(checks) => auth::any_of(all(checks)).into_check(),
        Check::Not(check) => auth::not(checked(check)).into_check(),
    }
}

fn owned(path: &[Name]) -> Vec<String> {
    path.iter().map(|name| (*name).to_owned()).collect()
}

fn function(says: Says, later: bool) -> Arc<dyn auth::Check> {
    // A panic that prints nothing.
    let broken = || -> bool { resume_unwind(Box::new("secret-check-detail")) };
    match (says, later) {
        (Says::Yes, false) => (|_: &AuthContext<'_>| true).into_check(),
        (Says::No, true) => (|_: &AuthContext<'_>| async { false }).into_check(),
        (Says::Panics, false) => (move |_: &AuthContext<'_>| broken()).into_check(),
        (Says::Panics, true) => (move |_: &AuthContext<'_>| async move {
            tokio::task::yield_now().await;
            broken()
        })
        .into_check(),
        (_, false) => (move |context: &AuthContext<'_>| said(says, context)).into_check(),
        (_, true) => (move |context: &AuthContext<'_>| {
            let said = said(says, context);
            async move {
                tokio::task::yield_now().await;
                said
            }
        })
        .into_check(),
    }
}

fn said(says: Says, context: &AuthContext<'_>) -> Result<Decision, CheckError> {
    let holds = |scope: Name| context.granted().is_some_and(|granted| granted.has(scope));
    Ok(match says {
        Says::Yes => true.into(),
        Says::No => false.into(),
        Says::Tagged(tag) => context.has_tag(tag).into(),
        Says::Kind(own) => (context.kind() == kind(own).as_str()).into(),
        Says::Holds(scope) => holds(scope).into(),
        Says::Needs(scope) if holds(scope) => true.into(),
        Says::Needs(scope) => Decision::lacking([scope].into_iter().collect()),
        Says::Premium => (context.claim("premium") == Ok(true)).into(),
        Says::Level(least) => (context.claim::<i64>("level")? >= least).into(),
        Says::Denies => Decision::deny("no"),
        Says::Unsure => Decision::failed("who knows"),
        Says::Fails | Says::Panics => return Err(std::io::Error::other("secret-detail").into()),
        Says::Speaks => return Err(AuthorizationError::new(SPOKEN).into()),
    })
}

pub(super) fn kind(kind: Kind) -> ComponentKind {
    match kind {
        Kind::Tool => ComponentKind::Tool,
        Kind::Resource => ComponentKind::Resource,
        Kind::Template => ComponentKind::ResourceTemplate,
        Kind::Prompt => ComponentKind::Prompt,
    }
}

fn json(value: &Datum) -> Value {
    match value {
        Datum::Null => Value::Null,
        Datum::Flag(flag) => (*flag).into(),
        Datum::Integer(number) => (*number).into(),
        Datum::Halves(halves) => (*halves as f64 / 2.0).into(),
        Datum::Text(text) => (*text).into(),
        Datum::List(items) => items.iter().map(json).collect(),
        Datum::Members(members) => Value::Object(object(members)),
    }
}

fn object(members: &[(Name, Datum)]) -> Map<String, Value> {
    members.iter().map(|(name, value)| ((*name).to_owned(), json(value))).collect()
}

pub(super) fn selected(selector: &Selector) -> crate::visibility::Selector {
    let Selector { tags, names, keys, kinds } = selector;
    let mut selected = crate::visibility::everything();
    if let Some(tags) = tags {
        selected = selected.and(crate::visibility::tags(tags.clone()));
    }
    if let Some(names) = names {
        selected = selected.and(crate::visibility::names(names.clone()));
    }
    if let Some(keys) = keys {
        let keys = keys.iter().map(|(own, name)| format!("{}:{name}", kind(*own)));
        selected = selected.and(crate::visibility::keys(keys.collect::<Vec<_>>()));
    }
    if let Some(kinds) = kinds {
        selected = selected.and(crate::visibility::kinds(kinds.iter().map(|own| kind(*own))));
    }
    selected
}

pub(super) fn exchange(caller: &Caller) -> Exchange {
    let Caller { stdio, session, token } = caller;
    let of = |token: &Token| (token.subject, token.client);
    let session = match (stdio, session) {
        (true, _) => Some(SessionKey::LOCAL),
        (false, Some(number)) => {
            Some(SessionKey::of(&format!("{number} {:?}", token.as_ref().map(of))))
        }
        (false, None) => None,
    };
    Exchange {
        transport: if *stdio { Transport::Stdio } else { Transport::Http },
        version: match session {
            Some(_) => ProtocolVersion::V2025_11_25,
            None => ProtocolVersion::V2026_07_28,
        },
        principal: token.as_ref().map(|token| Arc::new(principal(token))),
        access_token: Weak::new(),
        client: None,
        capabilities: Default::default(),
        remote: None,
        session,
        subscriptions: None,
        trace: None,
        outgoing: Default::default(),
    }
}

fn principal(token: &Token) -> Principal {
    let Token { subject, client, scopes, claims } = token;
    let mut principal = Principal::new(*subject)
        .with_scopes(scopes.iter().copied().collect())
        .with_claims(object(claims));
    if let Some(client) = client {
        principal = principal.with_client_id(*client);
    }
    principal
}
