//! Whether a caller may go on reading the answer to a use of a component.

use portcullis_protocol::{Exchange, Used};
use tokio::time::Instant;

use crate::access::decision::{Access, Purpose, decide};
use crate::operation::call::readable;
use crate::operation::engine::Engine;

/// Whether `exchange` may use what was used: as for a use that begins, before its arguments are looked
/// at. It is not recorded as one.
pub(super) async fn may_use(engine: &Engine, used: &Used<'_>, exchange: &Exchange) -> bool {
    let Ok(rules) = engine.visibility.effective(exchange).await else { return false };
    let asking = engine.asking(exchange, &rules, Instant::now());
    let entry = match used {
        Used::Tool { name } => engine.catalogue.tools.find(name),
        Used::Prompt { name } => engine.catalogue.prompts.find(name),
        Used::ResourceTemplate { uri_template } => engine.catalogue.templates.find(uri_template),
        Used::Resource { uri } => return readable(engine, uri, &asking).await.is_ok(),
    };
    match entry {
        Some(entry) => matches!(decide(entry, &asking, Purpose::Use).await, Access::Allowed),
        None => false,
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use super::*;
    use crate::access::require_scopes;
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
            Used::Tool { name: "one".into() },
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
            Used::Tool { name: "two".into() },
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
}
