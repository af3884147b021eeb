//! Handles of functions: values that clients keep, sealed for whom they were given to.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::keys::KeyRing;
use portcullis_guard::seal::{self, Binding};
use portcullis_guard::{Clock, random};
use portcullis_protocol::Exchange;

use crate::component::handle::{HandleSource, MAX_BYTES};
use crate::component::tool_error::ToolError;
use crate::operation::input::{StateKeys, seconds};
use crate::visibility::Scope;

const NOBODY: &str = "This needs a session, or a caller with an access token.";

/// Seals handles with the keys of the store, or with one that was made at the start.
pub(crate) struct SealedHandles {
    keys: Option<KeyRing>,
    server: String,
    /// The process, for the local user: another one with the same keys is somebody else's.
    process: Option<[u8; 32]>,
    clock: Arc<dyn Clock>,
}

impl SealedHandles {
    /// Those of the server of this name. The local user has some where the server `trusts` them: behind a
    /// bridge there is no telling who they are.
    pub(crate) fn new(keys: &StateKeys, server: &str, trusts: bool, clock: Arc<dyn Clock>) -> Self {
        let process = || {
            random::bytes()
                .map_err(|error| tracing::error!(%error, "the local user gets no handles"))
                .ok()
        };
        let process = trusts.then(process).flatten();
        Self { keys: keys.ring(), server: server.to_owned(), process, clock }
    }

    /// Whose handles of a kind they are: the principal's, also in a session; without one the session's, or
    /// the process's over stdio.
    fn binding(&self, exchange: &Exchange, kind: &str) -> Option<Binding> {
        let principal = exchange.principal.as_ref().map(|it| Scope::Principal(it.id().bytes()));
        let (whose, who) = match principal.or_else(|| Scope::of(exchange))? {
            Scope::Principal(principal) => ("principal", principal),
            scope if scope.is_of_process() => ("process", self.process?),
            Scope::Session(session) => ("session", *session.bytes()),
        };
        let parts = [self.server.as_bytes(), kind.as_bytes(), whose.as_bytes(), &who];
        Some(Binding::new("handle", parts))
    }
}

impl HandleSource for SealedHandles {
    fn seal(
        &self,
        exchange: &Exchange,
        kind: &str,
        value: &[u8],
        lasting: Duration,
    ) -> Result<String, ToolError> {
        let binding = self.binding(exchange, kind).ok_or_else(|| ToolError::new(NOBODY))?;
        if value.len() > MAX_BYTES {
            let text = format!(
                "a handle of the kind {kind:?} would hold {} bytes of JSON, more than {MAX_BYTES}: \
                 keep the value in a store, and its key in the handle",
                value.len()
            );
            return Err(ToolError::internal(text));
        }
        let until = self.clock.now().checked_add(lasting).and_then(seconds);
        let until = until.ok_or_else(|| ToolError::internal("the handle would never expire"))?;
        let unsealed = || ToolError::internal("there is no key to seal handles with");
        let keys = self.keys.as_ref().ok_or_else(unsealed)?;
        let sealed = seal::seal(keys, &binding, &[until.to_be_bytes().as_slice(), value].concat())?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn open(&self, exchange: &Exchange, kind: &str, text: &str) -> Option<Vec<u8>> {
        let (keys, binding) = (self.keys.as_ref()?, self.binding(exchange, kind)?);
        let opened = seal::open(keys, &binding, &URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (until, value) = opened.split_first_chunk()?;
        (seconds(self.clock.now())? < u64::from_be_bytes(*until)).then(|| value.to_vec())
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use std::time::Duration;

    use portcullis_guard::ManualClock;
    use portcullis_guard::keys::new_key;
    use portcullis_store::{MemoryStore, Sealed};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use crate::access::require_scopes;
    use crate::component::{Argument, Call, Component, Handle, HandleValue, Message};
    use crate::testing::{TestAnswer, TestClient};
    use crate::{
        Components, Content, Context, Json, Prompt, Resource, Server, ServerBuilder, Tool,
        ToolError,
    };

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const REFUSED: &str = "argument `cart`: expected a handle that you were given here, and that has \
                           not expired (type)";

    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    struct Cart {
        items: Vec<u32>,
    }

    impl HandleValue for Cart {
        const KIND: &'static str = "cart";
        const EXPIRES_IN: Duration = Duration::from_secs(60);
    }

    /// Of the same members as a cart.
    #[derive(Deserialize, Serialize)]
    struct Order {
        items: Vec<u32>,
    }

    impl HandleValue for Order {
        const KIND: &'static str = "order";
    }

    fn given<T: HandleValue + Send + 'static>(name: &str, value: fn(Vec<u32>) -> T) -> Component {
        Tool::new(name).parameter::<Vec<u32>>(Argument::new("items")).handler(
            move |mut call: Call| async move {
                let items = call.take("items")?;
                call.context().handle(value(items))
            },
        )
    }

    fn components() -> Components {
        let items = Tool::new("items").parameter::<Handle<Cart>>(Argument::new("cart")).handler(
            |mut call: Call| async move {
                let cart: Handle<Cart> = call.take("cart")?;
                Ok::<_, ToolError>(format!("{:?}", cart.value().items))
            },
        );
        Components::new()
            .with(given("cart", |items| Cart { items }))
            .with(given("order", |items| Order { items }))
            .with(items)
    }

    fn builder() -> ServerBuilder<crate::server::AuthSet> {
        Server::builder("shop").no_auth().components(components())
    }

    fn client(builder: ServerBuilder<crate::server::AuthSet>) -> TestClient {
        TestClient::new(&builder.build().unwrap())
    }

    async fn handle(client: &TestClient, kind: &str) -> String {
        let answer = client.call(kind, json!({"items": [7, 8]})).await;
        assert!(!answer.is_error(), "{}", answer.json());
        answer.text().unwrap().to_owned()
    }

    async fn items(client: &TestClient, cart: &str) -> TestAnswer {
        client.call("items", json!({ "cart": cart })).await
    }

    #[tokio::test]
    async fn a14_a_handle_is_for_its_server_its_caller_and_its_type_alone_and_expires() {
        let clock = Arc::new(ManualClock::at(NOW));
        let [own, other] = [new_key().unwrap(), new_key().unwrap()];
        let server = |name: &str, keys: &str| {
            let store = MemoryStore::new(clock.clone());
            let store = Sealed::new(store, KeyRing::from_text(keys).unwrap());
            let builder = Server::builder(name).no_auth().components(components());
            let client = client(builder.store(store).clock(clock.clone()));
            client.as_user("alice").issuer("https://a").client_id("c")
        };
        let alice = server("shop", own.expose());
        let cart = handle(&alice, "cart").await;
        for own in [alice.clone(), alice.in_session(), server("shop", own.expose())] {
            assert_eq!(items(&own, &cart).await.text(), Some("[7, 8]"));
        }

        let mut altered = cart.clone().into_bytes();
        altered[cart.len() / 2] ^= 1;
        let altered = String::from_utf8(altered).unwrap();
        let order = handle(&alice, "order").await;
        for (client, text) in [
            (alice.as_user("bob").issuer("https://a").client_id("c"), &cart),
            (alice.client_id("d"), &cart),
            (alice.issuer("https://b"), &cart),
            (alice.anonymous(), &cart),
            (alice.anonymous().in_session(), &cart),
            (alice.local(), &cart),
            (server("store", own.expose()), &cart),
            (server("shop", other.expose()), &cart),
            (alice.clone(), &order),
            (alice.clone(), &altered),
            (alice.clone(), &cart[..cart.len() - 2].to_owned()),
            (alice.clone(), &format!("{cart}AA")),
            (alice.clone(), &"7".to_owned()),
            (alice.clone(), &String::new()),
        ] {
            let refused = items(&client, text).await;
            assert_eq!(refused.error(), Some(REFUSED), "{text}");
        }

        clock.set(NOW + 59);
        assert_eq!(items(&alice, &cart).await.text(), Some("[7, 8]"));
        clock.set(NOW + 60);
        assert_eq!(items(&alice, &cart).await.error(), Some(REFUSED));
    }

    #[tokio::test]
    async fn a14_without_a_token_a_handle_is_the_sessions_or_the_processs_or_there_is_no_handle() {
        let key = new_key().unwrap();
        let server = || {
            let store = MemoryStore::new(Arc::new(ManualClock::at(NOW)));
            builder().store(Sealed::new(store, KeyRing::from_text(key.expose()).unwrap()))
        };
        let nobody = client(server());
        let refused = nobody.call("cart", json!({"items": []})).await;
        assert_eq!(refused.error(), Some(NOBODY));

        let session = nobody.in_session();
        let cart = handle(&session, "cart").await;
        assert_eq!(items(&session, &cart).await.text(), Some("[7, 8]"));
        for other in [nobody.in_session(), nobody.clone(), nobody.local(), session.as_user("bob")] {
            assert_eq!(items(&other, &cart).await.error(), Some(REFUSED));
        }

        let local = nobody.local();
        let cart = handle(&local, "cart").await;
        assert_eq!(items(&local, &cart).await.text(), Some("[7, 8]"));
        assert_eq!(items(&client(server()).local(), &cart).await.error(), Some(REFUSED));
        let bridged = client(server().hide_protected_over_stdio()).local();
        let refused = bridged.call("cart", json!({"items": []})).await;
        assert_eq!(refused.error(), Some(NOBODY));
    }

    #[tokio::test]
    async fn a14_a_handle_is_no_login() {
        let tool = || Tool::new("secret").parameter::<Handle<Cart>>(Argument::new("cart"));
        let tool = tool().auth(require_scopes(["read"])).handler(|mut call: Call| async move {
            let cart: Handle<Cart> = call.take("cart")?;
            Ok::<_, ToolError>(format!("{:?}", cart.value().items))
        });
        let alice = client(builder().component(tool)).as_user("alice").scopes(["read"]);
        let arguments = json!({ "cart": handle(&alice, "cart").await });
        let allowed = alice.call("secret", arguments.clone()).await;
        assert_eq!(allowed.text(), Some("[7, 8]"));
        let without = alice.scopes([] as [&str; 0]);
        assert!(without.call("secret", arguments).await.is_not_found());
    }

    #[tokio::test]
    async fn a_handle_is_read_wherever_it_stands_in_the_arguments() {
        #[derive(Deserialize, JsonSchema)]
        struct Move {
            from: Option<Handle<Cart>>,
            to: Vec<Handle<Cart>>,
            #[serde(flatten)]
            more: More,
        }
        #[derive(Deserialize, JsonSchema)]
        struct More {
            then: Handle<Cart>,
        }
        let moved = Tool::new("move")
            .input::<Move>()
            .validate(|to: &Move| match to.to.is_empty() {
                true => Err(ToolError::new("`to` is empty")),
                false => Ok(()),
            })
            .handler(|Move { from, to, more }: Move, _: Context| async move {
                let from = from.map(Handle::into_value).map(|cart| cart.items);
                format!("{from:?} {} {:?}", to.len(), more.then.value().items)
            });
        let prompt = Prompt::new("cart").parameter::<Handle<Cart>>(Argument::new("cart"));
        let prompt = prompt.handler(|mut call: Call| async move {
            let cart: Handle<Cart> = call.take("cart")?;
            Ok::<_, ToolError>(vec![Message::user(Content::text(format!("{:?}", cart.value())))])
        });
        let page = Resource::new("cart://{cart}")
            .name("page")
            .parameter::<Handle<Cart>>(Argument::new("cart"))
            .handler(|mut call: Call| async move {
                let cart: Handle<Cart> = call.take("cart")?;
                Ok::<_, ToolError>(format!("{:?}", cart.value().items))
            });
        let alice = client(builder().component(moved).component(prompt).component(page));
        let alice = alice.as_user("alice");
        let cart = handle(&alice, "cart").await;
        let answer = alice.call("move", json!({"from": cart, "to": [cart], "then": cart})).await;
        assert_eq!(answer.text(), Some("Some([7, 8]) 1 [7, 8]"));
        let answer = alice.call("move", json!({"to": [], "then": cart})).await;
        assert_eq!(answer.error(), Some("`to` is empty"));
        let answer = alice.call("move", json!({"to": [cart, "x"], "then": cart})).await;
        assert_eq!(answer.error(), Some(&*REFUSED.replace("cart", "to/1")));
        let answer = alice.prompt("cart", json!({ "cart": cart })).await;
        assert_eq!(answer.text(), Some("Cart { items: [7, 8] }"));
        assert_eq!(alice.read(&format!("cart://{cart}")).await.text(), Some("[7, 8]"));
        assert!(alice.as_user("bob").read(&format!("cart://{cart}")).await.is_error());
    }

    #[tokio::test]
    async fn a14_outside_of_the_arguments_of_a_call_no_text_is_a_handle() {
        let read = Tool::new("read").parameter::<Handle<Cart>>(Argument::new("cart")).handler(
            |mut call: Call| async move {
                let cart: Handle<Cart> = call.take("cart")?;
                let text = Value::from(cart.as_str());
                Ok::<_, ToolError>(serde_json::from_value::<Handle<Cart>>(text).is_ok().to_string())
            },
        );
        let alice = client(builder().component(read)).as_user("alice");
        let cart = handle(&alice, "cart").await;
        let answer = alice.call("read", json!({ "cart": cart })).await;
        assert_eq!(answer.text(), Some("false"));
    }

    #[tokio::test]
    async fn a_value_is_short_and_is_shown_to_nobody() {
        let alice = client(builder()).as_user("alice");
        let most: Vec<u32> = vec![1; 506];
        let answer = alice.call("cart", json!({ "items": most })).await;
        let cart = answer.text().unwrap();
        assert_eq!(items(&alice, cart).await.text(), Some(&*format!("{most:?}")));
        let long = alice.call("cart", json!({ "items": vec![1; 507] })).await;
        assert!(long.error().unwrap().starts_with("Internal error"), "{}", long.json());

        let listed = alice.ask("tools/list", json!({})).await;
        let tools = listed.json()["result"]["tools"].as_array().unwrap();
        let tool = tools.iter().find(|tool| tool["name"] == "items").unwrap();
        let schema = &tool["inputSchema"]["properties"]["cart"];
        assert_eq!(schema["type"], "string");
        let most = schema["maxLength"].as_u64().unwrap();
        assert!(cart.len() as u64 <= most && most < 1_500, "{schema}");
    }

    #[tokio::test]
    async fn a_result_holds_a_handle_as_a_string() {
        #[derive(JsonSchema, Serialize)]
        struct Opened {
            cart: Handle<Cart>,
        }
        let open = Tool::new("open").handler(|call: Call| async move {
            let cart = call.context().handle(Cart { items: vec![1] })?;
            assert_eq!(format!("{cart:?} {cart}"), format!("Handle {}", cart.as_str()));
            Ok::<_, ToolError>(Json(Opened { cart }))
        });
        let alice = client(builder().component(open)).as_user("alice");
        let answer = alice.call("open", json!({})).await;
        let cart = answer.structured().unwrap()["cart"].as_str().unwrap().to_owned();
        assert_eq!(items(&alice, &cart).await.text(), Some("[1]"));
    }
}
