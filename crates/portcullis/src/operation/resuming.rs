//! Whether a caller may go on reading the answer to a use of a component.

use portcullis_protocol::{Exchange, Used};
use tokio::time::Instant;

use crate::access::decision::{Access, Purpose, decide};
use crate::operation::call::readable;
use crate::operation::engine::Engine;

/// Whether `exchange` may use what was used: as for a use that begins. It is not recorded as one.
///
/// Where a check reads the arguments of a call, it is asked with those of the call that began; while none has
/// judged them, nobody goes on.
pub(super) async fn may_use(engine: &Engine, used: &Used<'_>, exchange: &Exchange) -> bool {
    let Ok(rules) = engine.visibility.effective(exchange).await else { return false };
    let asking = engine.asking(exchange, &rules, Instant::now());
    let (entry, judged) = match used {
        Used::Tool { name, judged } => (engine.catalogue.tools.find(name), judged.as_ref()),
        Used::Prompt { name } => (engine.catalogue.prompts.find(name), None),
        Used::ResourceTemplate { uri_template } => {
            (engine.catalogue.templates.find(uri_template), None)
        }
        Used::Resource { uri } => return readable(engine, uri, &asking).await.is_ok(),
    };
    let Some(entry) = entry else { return false };
    let access = match (decide(entry, &asking, Purpose::Use).await, judged) {
        (Access::Allowed, Some(arguments)) if entry.checks.reads_arguments => {
            decide(entry, &asking, Purpose::Call(arguments.values())).await
        }
        (Access::Allowed, None) if entry.checks.reads_arguments => return false,
        (access, _) => access,
    };
    matches!(access, Access::Allowed)
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use portcullis_protocol::JudgedArguments;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::access::{AuthContext, by_arguments, require_scopes};
    use crate::component::{Argument, Call};
    use crate::danger::{StaticTokenVerifier, user};
    use crate::testing::TestClient;
    use crate::visibility::everything;
    use crate::{Prompt, Resource, Server, Tool};

    #[tokio::test]
    async fn a08_an_answer_goes_on_for_whom_it_could_begin_for_now() {
        let read = || require_scopes(["read"]);
        let note = Resource::new("note://{id}").parameter::<String>(Argument::new("id"));
        let server = Server::builder("test")
            .auth(StaticTokenVerifier::new().token("t", user("dev")))
            .component(Tool::new("one").auth(read()).handler(|_: Call| async { "x" }))
            .component(Prompt::new("one").auth(read()).handler(|_: Call| async { "x" }))
            .component(note.auth(read()).handler(|_: Call| async { "x" }))
            .build()
            .unwrap();
        let all = [
            Used::Tool { name: "one".into(), judged: None },
            Used::Prompt { name: "one".into() },
            Used::Resource { uri: "note://1".into() },
            Used::ResourceTemplate { uri_template: "note://{id}".into() },
        ];
        let may = async |client: &TestClient, used: &Used<'_>| {
            may_use(&server.engine, used, &client.exchange()).await
        };
        let alice = TestClient::new(&server).as_user("alice").scopes(["read"]);
        for used in &all {
            assert!(may(&alice, used).await, "{used:?}");
            assert!(!may(&alice.scopes(["write"]), used).await, "{used:?}");
            assert!(!may(&alice.anonymous(), used).await, "{used:?}");
        }
        for used in [
            Used::Tool { name: "two".into(), judged: None },
            Used::Prompt { name: "note://{id}".into() },
            Used::Resource { uri: "note://".into() },
            Used::ResourceTemplate { uri_template: "note://1".into() },
        ] {
            assert!(!may(&alice, &used).await, "{used:?}");
        }
        server.visibility().disable(everything()).unwrap();
        for used in &all {
            assert!(!may(&alice, used).await, "{used:?}");
        }
    }

    #[tokio::test]
    async fn a08_a_check_by_arguments_decides_with_those_of_the_call_about_who_goes_on() {
        // Who may ask for which year is in a claim.
        fn own_year(context: &AuthContext<'_>, arguments: &Map<String, Value>) -> bool {
            let own = context.principal().and_then(|principal| principal.claims().get("year"));
            own.is_some() && own == arguments.get("year")
        }
        let tool = Tool::new("one").parameter::<String>(Argument::new("year"));
        let tool = tool.auth(by_arguments(require_scopes(["read"]), own_year));
        let server = Server::builder("test")
            .auth(StaticTokenVerifier::new().token("t", user("dev")))
            .component(tool.handler(|_: Call| async { "x" }))
            .build()
            .unwrap();
        let alice = TestClient::new(&server).as_user("alice").scopes(["read"]);
        let of_2025 = json!({"year": "2025"});
        let of_2025 = Some(JudgedArguments::new(of_2025.as_object().unwrap()));
        for (year, scope, judged, allowed) in [
            ("2025", "read", &of_2025, true),
            ("2026", "read", &of_2025, false),
            ("2025", "write", &of_2025, false),
            ("2025", "read", &None, false),
        ] {
            let used = Used::Tool { name: "one".into(), judged: judged.clone() };
            let exchange = alice.scopes([scope]).claim("year", year).exchange();
            let may = may_use(&server.engine, &used, &exchange).await;
            assert_eq!(may, allowed, "{year} {scope} {judged:?}");
        }
    }
}
