//! Lists and calls: what is visible, and what a denial looks like.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_auth::{
    AuthContext, Check, Decision, MaybeFuture, Principal, Scopes, all_of, require_scopes,
    restrict_tag,
};
use portcullis_protocol::model::CallToolResult;
use portcullis_protocol::{Arguments, InputResponses, ProtocolVersion, Transport};

use tokio::time::Instant;

use super::*;
use crate::component::Components;
use crate::component::argument::Argument;
use crate::component::caller::Caller;
use crate::component::parameter::Call;
use crate::component::resource::Resource;
use crate::component::tool::Tool;
use crate::component::tool_error::ToolError;
use crate::error::{Error, ProblemKind};
use crate::server::Server;

mod absence;

fn service(components: Components, page_size: usize) -> EngineService {
    let server = Server::builder("test").no_auth().components(components).page_size(page_size);
    server
        .limits(|limits| {
            limits.handler_timeout = Duration::from_millis(50);
            limits.decision_timeout = Duration::from_millis(50);
        })
        .build()
        .map(|server| EngineService(server.engine))
        .unwrap()
}

fn over_http(scopes: Option<&[&str]>) -> Exchange {
    let principal = scopes.map(|scopes| {
        let scopes: Scopes = scopes.iter().copied().collect();
        Arc::new(Principal::new("alice").with_scopes(scopes))
    });
    Exchange {
        transport: Transport::Http,
        version: ProtocolVersion::V2026_07_28,
        principal,
        access_token: std::sync::Weak::new(),
        client: None,
        capabilities: Default::default(),
        remote: None,
        session: None,
        subscriptions: None,
        trace: None,
        outgoing: Default::default(),
    }
}

fn over_stdio() -> Exchange {
    Exchange { transport: Transport::Stdio, ..over_http(None) }
}

fn plain(name: &str) -> crate::component::Component {
    Tool::new(name).handler(|_call| async { "done" })
}

async fn tools(service: &EngineService, exchange: Exchange) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let mut operation = Operation::ListTools { cursor: cursor.map(Into::into) };
        let Ok(Outcome::Tools(page)) =
            service.serve(&mut operation, Arc::new(exchange.clone())).await
        else {
            panic!("no page")
        };
        names.extend(page.entries(exchange.version).map(|entry| {
            let json: serde_json::Value = serde_json::from_str(entry).unwrap();
            json["name"].as_str().unwrap().to_owned()
        }));
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return names,
        }
    }
}

async fn call(
    service: &EngineService,
    name: &str,
    exchange: Exchange,
) -> Result<CallToolResult, RpcError> {
    let mut operation = Operation::CallTool {
        name: name.into(),
        arguments: Arguments::none(),
        input: InputResponses::default(),
    };
    service.serve(&mut operation, Arc::new(exchange)).await.map(|outcome| match outcome {
        Outcome::ToolCalled(result) => result,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn a_tool_that_takes_a_caller_does_not_exist_without_one_over_http() {
    let whoami = Tool::new("whoami").parameter::<Caller>(Argument::new("caller")).handler(
        |mut call: Call| async move {
            let caller: Caller = call.take("caller")?;
            Ok::<_, ToolError>(caller.authenticated().to_string())
        },
    );
    let service = service(Components::new().with(whoami), 10);
    assert_eq!(tools(&service, over_http(None)).await, Vec::<String>::new());
    assert!(call(&service, "whoami", over_http(None)).await.is_err());
    assert!(call(&service, "whoami", over_http(Some(&[]))).await.is_ok());
    assert!(call(&service, "whoami", over_stdio()).await.is_ok());
}

#[tokio::test]
async fn pages_hold_what_is_visible_and_nothing_marks_what_is_not() {
    let hidden = |name: &str| {
        Tool::new(name).auth(require_scopes(["admin"])).handler(|_call| async { "done" })
    };
    let components =
        Components::new().with(plain("a")).with(hidden("b")).with(plain("c")).with(hidden("d"));
    let service = service(components, 1);
    assert_eq!(tools(&service, over_http(Some(&["admin"]))).await, ["a", "b", "c", "d"]);
    assert_eq!(tools(&service, over_http(None)).await, ["a", "c"]);
    let cursor = Some(URL_SAFE_NO_PAD.encode("a").into());
    let page = service.serve(&mut Operation::ListTools { cursor }, Arc::new(over_http(None))).await;
    let Ok(Outcome::Tools(page)) = page else { panic!("no page") };
    assert_eq!(page.next_cursor, None, "a cursor to what is hidden says that it is there");
}

#[derive(Debug)]
enum Odd {
    Pending(bool),
    Panics,
    PanicsLater,
    NeverEnds,
}

impl Check for Odd {
    fn check<'a>(&'a self, _: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        match self {
            Self::Pending(allow) => MaybeFuture::pending(async move {
                tokio::task::yield_now().await;
                if *allow { Decision::Allow } else { Decision::deny("no") }
            }),
            Self::Panics => panic!("secret-check-detail"),
            Self::NeverEnds => MaybeFuture::pending(std::future::pending()),
            Self::PanicsLater => MaybeFuture::pending(async { panic!("secret-check-detail") }),
        }
    }

    fn requirement(&self) -> String {
        format!("{self:?}")
    }
}

#[tokio::test]
async fn a07_h14_checks_are_waited_for_and_a_panic_is_a_denial() {
    let with = |check: Odd| {
        let name = format!("{check:?}").replace(['(', ')'], "_");
        Tool::new(name).auth(check).handler(|_call| async { "done" })
    };
    let components = Components::new()
        .with(with(Odd::Pending(true)))
        .with(with(Odd::Pending(false)))
        .with(with(Odd::Panics))
        .with(with(Odd::PanicsLater))
        .with(with(Odd::NeverEnds));
    let service = service(components, 10);
    assert_eq!(tools(&service, over_http(Some(&[]))).await, ["Pending_true_"]);
    let denied = call(&service, "Panics", over_http(Some(&[]))).await.unwrap_err();
    assert_eq!(denied.to_string(), "Unknown tool: Panics");
    assert_eq!(tools(&service, over_stdio()).await.len(), 5, "checks are skipped over stdio");
}

#[tokio::test]
async fn one_check_that_comes_to_different_scopes_is_decided_for_each() {
    let check = || all_of((require_scopes("read"), restrict_tag("vault", "admin")));
    let open = Tool::new("open").auth(check()).handler(|_call| async { "done" });
    let vault = Tool::new("vault").tag("vault").auth(check()).handler(|_call| async { "done" });
    let service = service(Components::new().with(open).with(vault), 10);
    assert_eq!(tools(&service, over_http(Some(&["read"]))).await, ["open"]);
    assert_eq!(tools(&service, over_http(Some(&["read", "admin"]))).await, ["open", "vault"]);
}

#[tokio::test]
async fn a07_without_authentication_a_check_that_allows_everybody_hides_too() {
    let open = Tool::new("open").auth(|_: &AuthContext<'_>| true);
    let service = service(Components::new().with(open.handler(|_call| async { "done" })), 10);
    assert_eq!(tools(&service, over_http(None)).await, Vec::<String>::new());
    assert!(call(&service, "open", over_http(None)).await.is_err());
    assert!(call(&service, "open", over_http(Some(&[]))).await.is_ok());
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_stopped_and_says_so() {
    let slow = Tool::new("slow").handler(|_call| std::future::pending::<String>());
    let service = service(Components::new().with(slow), 10);
    let result = call(&service, "slow", over_http(None)).await.unwrap();
    assert!(result.is_error);
    let json = serde_json::to_value(&result.content).unwrap();
    assert_eq!(json[0]["text"], "It took too long, and was stopped.");
}

#[tokio::test]
async fn a04_a_hidden_resource_is_not_read_through_a_template_around_it() {
    let read = |text: &'static str| move |_call: Call| async move { text };
    let hidden = Resource::new("item://1").auth(require_scopes(["admin"])).handler(read("one"));
    let template =
        Resource::new("item://{id}").parameter::<String>(Argument::new("id")).handler(read("any"));
    let note = |uri: &str| Resource::new(uri.to_owned()).parameter::<String>(Argument::new("id"));
    let notes = note("note://{owner}/{id}")
        .parameter::<String>(Argument::new("owner"))
        .handler(read("note"));
    let of_admin = note("note://ad:min/{id}").auth(require_scopes(["admin"])).handler(read("note"));
    let components = Components::new().with(hidden).with(template).with(notes).with(of_admin);
    let service = service(components, 10);
    let text = async |uri: &str, exchange: Exchange| {
        let mut operation = Operation::ReadResource {
            uri: uri.to_owned().into(),
            input: InputResponses::default(),
        };
        match service.serve(&mut operation, Arc::new(exchange)).await {
            Ok(Outcome::ResourceRead(result)) => {
                let json = serde_json::to_value(&result.contents).unwrap();
                json[0]["text"].as_str().unwrap().to_owned()
            }
            Err(RpcError::ResourceNotFound { .. }) => "nothing".to_owned(),
            other => panic!("{other:?}"),
        }
    };
    for uri in ["item://1", "item://%31"] {
        assert_eq!(text(uri, over_http(None)).await, "nothing", "{uri}");
        assert_eq!(text(uri, over_http(Some(&["admin"]))).await, "one", "{uri}");
    }
    assert_eq!(text("item://%32", over_http(None)).await, "any");
    // Of the templates, the public one alone matches it as it is written.
    for uri in ["note://ad:min/5", "note://%61d:min/5", "note://ad%3Amin/5"] {
        assert_eq!(text(uri, over_http(None)).await, "nothing", "{uri}");
        assert_eq!(text(uri, over_http(Some(&["admin"]))).await, "note", "{uri}");
    }
    assert_eq!(text("note://ada/5", over_http(None)).await, "note");
}

#[test]
fn what_does_not_fit_together_does_not_build() {
    let template = Resource::new("item://{id}").handler(|_call| async { "x" });
    let components = Components::new()
        .with(plain("a"))
        .with(plain("a"))
        .with(plain("not a name"))
        .with(template)
        .with(Tool::new("empty").auth(require_scopes(Vec::<&str>::new())).handler(|_call| async {}))
        .with(
            Tool::new("state")
                .parameter::<crate::State<u8>>(Argument::new("s"))
                .handler(|_call| async {}),
        );
    let error =
        Server::builder(" ").no_auth().components(components).path("x").build().unwrap_err();
    let Error::Build(error) = error else { panic!("{error}") };
    let found: Vec<_> =
        error.problems().iter().map(|problem| (problem.subject(), problem.kind())).collect();
    assert_eq!(
        found,
        [
            ("path \"x\"", ProblemKind::InvalidPath),
            ("Server::builder(\" \")", ProblemKind::InvalidName),
            ("tool `a`", ProblemKind::DuplicateComponent),
            ("tool `not a name`", ProblemKind::InvalidName),
            ("template `item://{id}`", ProblemKind::UnmatchedVariable),
            ("tool `empty`", ProblemKind::InvalidCheck),
            ("tool `state`", ProblemKind::MissingState),
        ],
        "{error}"
    );
}

/// The problems that keep a server from being built, by kind and in words.
fn problems(change: impl FnOnce(Builder) -> Builder) -> Vec<(ProblemKind, String)> {
    let tagged = Tool::new("a").tag("ops").auth(require_scopes(["write"]));
    let components = Components::new().with(tagged.handler(|_call| async { "done" }));
    let server = Server::builder("test").no_auth().components(components);
    problems_of(change(server).build())
}

fn problems_of(built: Result<Server, Error>) -> Vec<(ProblemKind, String)> {
    match built {
        Ok(_) => Vec::new(),
        Err(Error::Build(error)) => {
            error.problems().iter().map(|p| (p.kind(), p.to_string())).collect()
        }
        Err(error) => panic!("{error}"),
    }
}

type Builder = crate::ServerBuilder<crate::server::AuthSet>;
type Change = fn(Builder) -> Builder;

#[test]
fn rules_for_what_no_component_has_do_not_build() {
    use crate::access::restrict_tag;
    use crate::component::Deny;
    use crate::middleware::AuthMiddleware;
    use crate::visibility::{keys, names, tags};

    let unused = |text: &str| (ProblemKind::UnusedRule, format!("{text} (unused rule)"));
    let opps = || unused("tag \"opps\": no component has it; known tags: ops");
    let refused: [((ProblemKind, String), Change); 8] = [
        (opps(), |server| server.disable(tags(["opps"]))),
        (unused("name \"b\": no component has it"), |server| server.only(names(["a", "b"]))),
        (
            unused(
                "key \"a\": no component has it; a key is a kind and a name, such as `tool:add`",
            ),
            |server| server.enable(keys(["a"])),
        ),
        ((ProblemKind::EmptySelector, "an empty list: it selects nothing".to_owned()), |server| {
            server.disable(tags(Vec::<String>::new()))
        }),
        (opps(), |server| server.deny_tagged("opps", Deny::Challenge)),
        (opps(), |server| server.middleware(AuthMiddleware::new(restrict_tag("opps", ["admin"])))),
        (unused("scope \"wriet\": no component requires it"), |server| {
            server.scope_implies("admin", ["wriet"])
        }),
        (
            (
                ProblemKind::InvalidCheck,
                "AuthMiddleware::new(scopes ): require_scopes([]) requires nothing: name a scope, or leave it out".to_owned(),
            ),
            |server| {
                server.middleware(AuthMiddleware::new(require_scopes(Vec::<&str>::new())))
            },
        ),
    ];
    for (problem, change) in refused {
        assert_eq!(problems(change), [problem]);
    }
    let fine = problems(|server| {
        let server = server.disable(tags(["ops"])).scope_implies("admin", ["write"]);
        server.middleware(AuthMiddleware::new(restrict_tag("ops", ["admin"])))
    });
    assert_eq!(fine, []);
}

#[test]
fn what_asks_for_credentials_or_shows_them_does_not_build() {
    let build = |tool: Tool| {
        let components = Components::new().with(tool.handler(|_call| async { "done" }));
        problems_of(Server::builder("test").no_auth().components(components).build())
    };
    let problem = |kind, text: &str| (kind, format!("tool `a`: {text}"));
    let argument = Argument::new("api_key");
    assert_eq!(
        build(Tool::new("a").parameter::<String>(argument.clone())),
        [problem(
            ProblemKind::CredentialArgument,
            "argument `api_key`: it is named like a credential: callers authenticate to the server, \
             which keeps its own credentials for other services; to accept it anyway, write \
             #[arg(secret, reason = \"…\")]"
        )]
    );
    let marked = argument.secret("it is stored for the caller's own account");
    assert_eq!(build(Tool::new("a").parameter::<String>(marked.clone())), []);
    assert_eq!(
        build(Tool::new("a").parameter::<String>(marked.secret(" "))),
        [problem(
            ProblemKind::CredentialArgument,
            "argument `api_key`: give a reason why the tool needs the secret"
        )]
    );
    let exposed = "the text looks like a secret, and every caller can read it";
    let described = Tool::new("a").description("Connects to postgres://app:hunter2@db/app");
    let expected = problem(ProblemKind::ExposedSecret, &format!("description: {exposed}"));
    assert_eq!(build(described), [expected]);
    let default = Argument::new("header").default("token=abcdefgh12345678");
    let expected = problem(ProblemKind::ExposedSecret, &format!("argument `header`: {exposed}"));
    assert_eq!(build(Tool::new("a").parameter::<String>(default)), [expected]);
}
