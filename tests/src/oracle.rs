//! Servers with something hidden of every kind, for every cause: what the tests ask for traces
//! of what is not there.

use portcullis::component::{Argument, Call, Component, ComponentKind};
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::prelude::*;
use portcullis::server::AuthSet;
use portcullis::visibility::{kinds, tags};
use portcullis::{Prompt, Resource, ServerBuilder, Tool};
use serde_json::{Value, json};

/// The token of one who may see everything that is not disabled.
pub const ALICE: Option<&str> = Some("dev-token-alice");
/// The token of one who may see what is hidden from nobody.
pub const BOB: Option<&str> = Some("dev-token-bob");

/// Why something is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its own check wants a scope.
    Scopes,
    /// Its own check is a function that looks at a claim.
    Claim,
    /// A check of the whole server does not let Bob see its tag.
    Server,
    /// It is disabled, by its tag.
    Disabled,
    /// It takes a `Caller`: it is hidden from those who are nobody.
    Caller,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Scopes, Self::Claim, Self::Server, Self::Disabled, Self::Caller];

    /// Those that hide something from Bob.
    pub const OF_BOB: [Self; 4] = [Self::Scopes, Self::Claim, Self::Server, Self::Disabled];

    /// In the names of what it hides.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Scopes => "scopes",
            Self::Claim => "claims",
            Self::Server => "server",
            Self::Disabled => "locked",
            Self::Caller => "caller",
        }
    }

    /// As long as [`word`](Self::word), and in no name.
    #[must_use]
    pub fn missing(self) -> String {
        format!("{}x", &self.word()[..5])
    }
}

/// The name that lists show of the component of `kind` with `word` in it.
#[must_use]
pub fn key(kind: ComponentKind, word: &str) -> String {
    match kind {
        ComponentKind::Tool => format!("use_{word}"),
        ComponentKind::Resource => format!("data://{word}"),
        ComponentKind::ResourceTemplate => format!("{word}://{{id}}"),
        ComponentKind::Prompt => format!("ask_{word}"),
        other => panic!("no key for a {other}"),
    }
}

/// The ways to use it, with good and with bad arguments: the method and its parameters.
#[must_use]
pub fn uses(kind: ComponentKind, word: &str) -> Vec<(&'static str, Value)> {
    let key = key(kind, word);
    match kind {
        ComponentKind::Tool => vec![
            ("tools/call", json!({"name": key, "arguments": {"id": 1}})),
            ("tools/call", json!({"name": key, "arguments": {"id": "none"}})),
            ("tools/call", json!({"name": key, "arguments": {"unknown": 1}})),
            ("tools/call", json!({"name": key})),
        ],
        ComponentKind::Resource => vec![("resources/read", json!({"uri": key}))],
        ComponentKind::ResourceTemplate => [
            vec![
                ("resources/read", json!({"uri": format!("{word}://1")})),
                ("resources/read", json!({"uri": format!("{word}://none")})),
            ],
            completions(json!({"type": "ref/resource", "uri": key})),
        ]
        .concat(),
        ComponentKind::Prompt => [
            vec![
                ("prompts/get", json!({"name": key, "arguments": {"id": "1"}})),
                ("prompts/get", json!({"name": key, "arguments": {"id": "none"}})),
                ("prompts/get", json!({"name": key, "arguments": {"unknown": "1"}})),
                ("prompts/get", json!({"name": key})),
            ],
            completions(json!({"type": "ref/prompt", "name": key})),
        ]
        .concat(),
        other => panic!("no use of a {other}"),
    }
}

/// The ways to have an argument completed, with good and with bad parameters.
fn completions(reference: Value) -> Vec<(&'static str, Value)> {
    let of = |argument: &str, known: Value| {
        let argument = json!({"name": argument, "value": "1"});
        let params =
            json!({"ref": reference, "argument": argument, "context": {"arguments": known}});
        ("completion/complete", params)
    };
    vec![of("id", json!({})), of("unknown", json!({})), of("id", json!({"unknown": 1}))]
}

/// The method that lists a kind, and the member that holds the list.
#[must_use]
pub fn list(kind: ComponentKind) -> (&'static str, &'static str) {
    match kind {
        ComponentKind::Tool => ("tools/list", "tools"),
        ComponentKind::Resource => ("resources/list", "resources"),
        ComponentKind::ResourceTemplate => ("resources/templates/list", "resourceTemplates"),
        ComponentKind::Prompt => ("prompts/list", "prompts"),
        other => panic!("no list of {other}s"),
    }
}

/// A server with `visible` words for everybody and one of every kind hidden by each of
/// `causes`, in turn; Alice and Bob are let in.
pub fn guarded(visible: &[&str], causes: &[Cause]) -> ServerBuilder<AuthSet> {
    let tokens = StaticTokenVerifier::new()
        .token("dev-token-alice", user("alice").scopes(["admin"]).claim("on_call", true))
        .token("dev-token-bob", user("bob").client_id("bob@dev.local").scopes(["read"]));
    with_components(Server::builder("oracle").auth(tokens), visible, causes)
}

/// The same server, which lets everybody in.
pub fn open(visible: &[&str], causes: &[Cause]) -> ServerBuilder<AuthSet> {
    with_components(Server::builder("oracle").no_auth(), visible, causes)
}

fn with_components(
    server: ServerBuilder<AuthSet>,
    visible: &[&str],
    causes: &[Cause],
) -> ServerBuilder<AuthSet> {
    let mut components = Components::new();
    for kind in ComponentKind::ALL {
        let hidden = causes.iter().map(|cause| component(kind, cause.word(), &[*cause]));
        let mut hidden = hidden.collect::<Vec<_>>().into_iter();
        for word in visible {
            components = components.with(component(kind, word, &[]));
            components = hidden.next().into_iter().fold(components, Components::with);
        }
        components = hidden.fold(components, Components::with);
    }
    // An unused rule does not build.
    let mut server = server.components(components).page_size(2);
    if causes.contains(&Cause::Server) {
        let restricted = restrict_tag("restricted", ["admin"]);
        server = server.middleware(AuthMiddleware::new(restricted));
    }
    if causes.contains(&Cause::Disabled) {
        server = server.disable(tags(["locked"]));
    }
    server
}

/// With `unlock`, by which whoever may see it enables what is disabled, for themselves.
pub fn with_unlock(server: ServerBuilder<AuthSet>) -> ServerBuilder<AuthSet> {
    let unlock = Tool::new("unlock")
        .auth(require_scopes(["admin"]))
        .parameter::<Context>(Argument::new("ctx"));
    server.component(unlock.handler(|mut call: Call| async move {
        let ctx: Context = call.take("ctx")?;
        ctx.enable_components(tags(["locked"])).await
    }))
}

/// With a vault of each kind, which only Alice may see once it is enabled; `knock`, by which
/// everybody enables the vaults for themselves; and beacons of each kind, which everybody may
/// see while they are enabled.
pub fn with_vaults(server: ServerBuilder<AuthSet>) -> ServerBuilder<AuthSet> {
    let knock = Tool::new("knock").parameter::<Context>(Argument::new("ctx"));
    let knock = knock.handler(|mut call: Call| async move {
        let ctx: Context = call.take("ctx")?;
        ctx.enable_components(tags(["vault"])).await
    });
    let mut components = Components::new().with(knock);
    for kind in ComponentKind::ALL {
        components = components
            .with(tagged(kind, "vault", "vault", &[Cause::Scopes]))
            .with(tagged(kind, "beacon", "beacon", &[]));
    }
    server.components(components).disable(tags(["vault"]))
}

/// What [`portcullis::visibility::Visibility`] is told to enable: the vault of one kind.
#[must_use]
pub fn vault(kind: ComponentKind) -> portcullis::visibility::Selector {
    tags(["vault"]).and(kinds([kind]))
}

/// The beacon of one kind.
#[must_use]
pub fn beacon(kind: ComponentKind) -> portcullis::visibility::Selector {
    tags(["beacon"]).and(kinds([kind]))
}

fn component(kind: ComponentKind, word: &str, causes: &[Cause]) -> Component {
    tagged(kind, word, "common", causes)
}

/// Whether the caller is on call: a check that is a function.
fn on_call(ctx: &AuthContext<'_>) -> bool {
    ctx.claim("on_call").unwrap_or(false)
}

fn tagged(kind: ComponentKind, word: &str, tag: &str, causes: &[Cause]) -> Component {
    // The builders of the kinds have the same options, and no type in common.
    macro_rules! component {
        ($builder:ident $(, $complete:ident)?) => {{
            let mut builder = $builder::new(key(kind, word)).tag(tag);
            if kind != ComponentKind::Resource {
                builder = builder.parameter::<u8>(Argument::new("id"));
                $(builder = builder.$complete("id", async |_written: String| vec!["1", "2"]);)?
            }
            for cause in causes {
                builder = match cause {
                    Cause::Scopes => builder.auth(require_scopes(["admin"])),
                    Cause::Claim => builder.auth(on_call),
                    Cause::Server => builder.tag("restricted"),
                    Cause::Disabled => builder.tag("locked"),
                    Cause::Caller => builder.parameter::<Caller>(Argument::new("caller")),
                };
            }
            builder.handler(|_call: Call| async { "done" })
        }};
    }
    match kind {
        ComponentKind::Tool => component!(Tool),
        ComponentKind::Resource | ComponentKind::ResourceTemplate => component!(Resource, complete),
        ComponentKind::Prompt => component!(Prompt, complete),
        other => panic!("no {other} can be declared"),
    }
}
