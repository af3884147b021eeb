//! What the user who started the process may use over stdio, where the server trusts them or not.

use std::time::{Duration, Instant};

use portcullis::access::Check;
use portcullis::component::{Argument, Call};
use portcullis::guard::MaybeFuture;
use portcullis::prelude::*;
use portcullis::server::AuthSet;
use portcullis::testing::TestClient;
use portcullis::{ServerBuilder, Tool};
use serde_json::json;

/// Allows everybody, over stdio too.
#[derive(Debug)]
struct Anybody;

impl Check for Anybody {
    fn check<'a>(&'a self, _: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        MaybeFuture::ready(Decision::Allow)
    }

    fn requirement(&self) -> String {
        "anybody".to_owned()
    }

    fn over_stdio(&self) -> bool {
        true
    }
}

/// For everybody.
#[tool]
async fn open(caller: MaybeCaller) -> String {
    caller.0.is_none().to_string()
}

/// For everybody, once it is unlocked.
#[tool(tags("locked"))]
async fn open_locked() -> &'static str {
    "done"
}

/// For administrators, once it is unlocked.
#[tool(tags("locked"), auth = require_scopes(["admin"]))]
async fn admin_locked() -> &'static str {
    "done"
}

/// Shows what is locked.
#[tool]
async fn unlock(context: Context) -> Result<(), ToolError> {
    context.enable_components(tags(["locked"])).await?;
    Ok(())
}

#[tool(auth = require_scopes(["admin"]))]
async fn scopes() -> &'static str {
    "done"
}

#[tool(auth = require_scopes(["admin"]), deny = challenge)]
async fn challenged() -> &'static str {
    "done"
}

#[tool(auth = Anybody)]
async fn asked_over_stdio() -> &'static str {
    "done"
}

#[tool]
async fn whoami(_caller: Caller) -> &'static str {
    "done"
}

#[tool(tags("ops"))]
async fn of_the_server() -> &'static str {
    "done"
}

#[resource("data://open")]
async fn open_data() -> &'static str {
    "open"
}

#[resource("data://vault", auth = require_scopes(["admin"]))]
async fn vault() -> &'static str {
    "vault"
}

#[resource("data://mine")]
async fn mine(_caller: Caller) -> &'static str {
    "mine"
}

#[resource("open://{id}")]
async fn open_item(id: String) -> String {
    id
}

#[resource("vault://{id}", auth = require_scopes(["admin"]))]
async fn vault_item(id: String) -> String {
    id
}

#[resource("mine://{id}")]
async fn my_item(id: String, _caller: Caller) -> String {
    id
}

#[prompt]
async fn open_words() -> &'static str {
    "open"
}

#[prompt(auth = require_scopes(["admin"]))]
async fn vault_words() -> &'static str {
    "vault"
}

#[prompt]
async fn my_words(_caller: Caller) -> &'static str {
    "mine"
}

fn server(change: impl FnOnce(ServerBuilder<AuthSet>) -> ServerBuilder<AuthSet>) -> Server {
    // Takes a caller without saying so.
    let undeclared = Tool::new("undeclared").handler(async |mut call: Call| {
        let caller: Caller = call.take("caller")?;
        Ok::<_, ToolError>(caller.authenticated().to_string())
    });
    // As `whoami`, written out.
    let custom = Tool::new("custom").parameter::<Caller>(Argument::new("caller"));
    let builder = Server::builder("desk")
        .auth(danger::StaticTokenVerifier::new())
        .components(components![open, open_locked, admin_locked, unlock, scopes, challenged])
        .components(components![asked_over_stdio, whoami, of_the_server])
        .component(custom.handler(async |_| "done"))
        .component(undeclared)
        .components(components![open_data, vault, mine, open_item, vault_item, my_item])
        .components(components![open_words, vault_words, my_words])
        .middleware(AuthMiddleware::new(restrict_tag("ops", ["admin"])))
        .disable(tags(["locked"]));
    change(builder).build().unwrap()
}

#[tokio::test]
async fn trial_a12_what_requires_anything_can_be_hidden_over_stdio_too() {
    let absence = Duration::from_millis(100);
    let built = server(|builder| {
        builder.hide_protected_over_stdio().limits(|limits| limits.not_found_delay = absence)
    });
    let local = TestClient::new(&built).local();
    let open_tools = ["open", "unlock", "undeclared"];
    assert_eq!(local.tools().await, open_tools);
    assert_eq!(local.resources().await, ["data://open"]);
    assert_eq!(local.templates().await, ["open://{id}"]);
    assert_eq!(local.prompts().await, ["open_words"]);
    let called = async |tool: &str| local.call(tool, json!({})).await;
    let missing = called("missing").await;
    assert!(missing.is_not_found());
    for tool in ["scopes", "challenged", "asked_over_stdio", "whoami", "of_the_server", "custom"] {
        let began = Instant::now();
        let told = called(tool).await;
        assert_eq!(told.json().to_string(), missing.json().to_string().replace("missing", tool));
        assert!(began.elapsed() >= absence, "{tool} after {:?}", began.elapsed());
    }
    for uri in ["data://vault", "data://mine", "vault://1", "mine://1"] {
        assert!(local.read(uri).await.is_not_found(), "{uri}");
    }
    for prompt in ["vault_words", "my_words"] {
        assert!(local.prompt(prompt, json!({})).await.is_not_found(), "{prompt}");
    }
    assert_eq!(called("open").await.text(), Some("true"));
    assert_eq!(local.read("data://open").await.text(), Some("open"));
    assert_eq!(local.read("open://1").await.text(), Some("1"));
    assert_eq!(local.prompt("open_words", json!({})).await.text(), Some("open"));
    assert!(called("undeclared").await.is_error(), "nobody is a caller");

    assert!(called("open_locked").await.is_not_found());
    assert!(!called("unlock").await.is_error());
    assert_eq!(local.tools().await, ["open", "open_locked", "unlock", "undeclared"]);
    assert!(called("admin_locked").await.is_not_found(), "it is shown, and still denied");

    let table = built.access_table();
    for row in table.rows() {
        assert_eq!(row.hidden_over_stdio, !row.requirements.is_empty(), "{row:?}");
        let line = table.to_string();
        let line = line.lines().find(|line| line.contains(&format!("  {}  ", row.component)));
        let says = line.unwrap().rsplit("  ").next().unwrap();
        let open = if row.visible { "served" } else { "served (disabled)" };
        assert_eq!(says, if row.hidden_over_stdio { "hidden" } else { open }, "{row:?}");
    }
    let alice = TestClient::new(&built).as_user("alice").scopes(["admin"]);
    assert!(!alice.call("scopes", json!({})).await.is_error(), "HTTP is as it was");
}

#[tokio::test]
async fn by_default_the_local_user_may_use_everything() {
    let built = server(|builder| builder);
    let local = TestClient::new(&built).local();
    assert_eq!(local.tools().await.len(), 9);
    assert_eq!(local.resources().await, ["data://open", "data://vault", "data://mine"]);
    assert_eq!(local.templates().await, ["open://{id}", "vault://{id}", "mine://{id}"]);
    assert_eq!(local.prompts().await, ["open_words", "vault_words", "my_words"]);
    assert!(built.access_table().rows().iter().all(|row| !row.hidden_over_stdio));
}
