//! Functions that judge arguments: what no schema can say, such as a rule between several.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::component::parameter::refused;
use crate::component::reading;
use crate::component::tool_error::ToolError;

/// A function that judges arguments which met their schema, type-erased.
pub(crate) struct Validation(Box<dyn Judge>);

type Judgement = Result<(), ToolError>;

trait Judge: Fn(&Map<String, Value>) -> Judgement + Send + Sync {}

impl<F: Fn(&Map<String, Value>) -> Judgement + Send + Sync> Judge for F {}

impl Validation {
    pub(crate) fn new<T: DeserializeOwned>(
        function: impl Fn(&T) -> Judgement + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(move |arguments: &Map<String, Value>| {
            let read = reading::read_all(arguments.clone());
            let read = read.map_err(|unfit| refused(None, &unfit))?;
            function(&read).map_err(ToolError::into_refused_argument)
        }))
    }

    /// # Errors
    ///
    /// What the function says, as an error of arguments; its internal errors stay internal.
    pub(crate) fn judge(&self, arguments: &Map<String, Value>) -> Judgement {
        (self.0)(arguments)
    }
}

impl fmt::Debug for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validation")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use portcullis_auth::AuthContext;
    use serde::Deserialize;
    use serde_json::{Map, Value, json};

    use crate::component::Component;
    use crate::component::argument::Argument;
    use crate::component::parameter::Call;
    use crate::testing::TestClient;
    use crate::{Prompt, Resource, Server, Tool, ToolError};

    #[derive(Deserialize)]
    struct Range {
        from: u32,
        to: u32,
    }

    fn in_order(range: &Range) -> Result<(), ToolError> {
        match range.from <= range.to {
            true => Ok(()),
            false => Err(ToolError::new("argument `from`: must not be above `to`")),
        }
    }

    fn pages() -> Tool {
        Tool::new("pages")
            .parameter::<u32>(Argument::new("from").ge(1))
            .parameter::<u32>(Argument::new("to").default(5))
    }

    async fn answer(mut call: Call) -> Result<String, ToolError> {
        let (from, to): (u32, u32) = (call.take("from")?, call.take("to")?);
        Ok(format!("{from} to {to}"))
    }

    fn client(component: Component) -> TestClient {
        let server = Server::builder("test").no_auth().component(component);
        let server = server.limits(|limits| limits.handler_timeout = Duration::from_millis(20));
        TestClient::new(&server.build().unwrap())
    }

    #[tokio::test]
    async fn a_rule_between_arguments_is_told_like_one_of_the_schema() {
        let client = client(pages().validate(in_order).handler(answer));
        let call = async |arguments| client.call("pages", arguments).await;
        assert_eq!(call(json!({"from": 2, "to": 2})).await.text(), Some("2 to 2"));
        assert_eq!(call(json!({"from": 5})).await.text(), Some("5 to 5"), "with the default");
        let refused = call(json!({"from": 3, "to": 2})).await;
        assert!(refused.is_error());
        assert_eq!(refused.text(), Some("argument `from`: must not be above `to`"));
        let refused = call(json!({"from": 0, "to": 2})).await;
        assert_eq!(
            refused.text(),
            Some("argument `from`: value is less than the minimum of 1 (minimum)")
        );
    }

    #[tokio::test]
    async fn all_rules_have_to_pass_and_each_sees_the_arguments_that_it_names() {
        #[derive(Deserialize)]
        struct End {
            to: u32,
        }
        let even = |end: &End| match end.to % 2 {
            0 => Ok(()),
            _ => Err(ToolError::new("argument `to`: is odd")),
        };
        let client = client(pages().validate(in_order).validate(even).handler(answer));
        let call = async |arguments| client.call("pages", arguments).await;
        assert!(!call(json!({"from": 1, "to": 4})).await.is_error());
        assert_eq!(call(json!({"from": 1})).await.text(), Some("argument `to`: is odd"));
        assert!(call(json!({"from": 5, "to": 4})).await.text().unwrap().contains("`from`"));
    }

    #[tokio::test]
    async fn rules_of_structs_and_of_written_schemas_are_the_same() {
        #[derive(Deserialize, schemars::JsonSchema)]
        struct Bounds {
            from: u32,
            to: u32,
        }
        let typed = Tool::new("pages")
            .input::<Bounds>()
            .validate(|bounds: &Bounds| in_order(&Range { from: bounds.from, to: bounds.to }))
            .handler(|bounds: Bounds, _| async move { (bounds.to - bounds.from).to_string() });
        let number = json!({"type": "integer", "minimum": 0});
        let written = Tool::new("pages")
            .input_schema(json!({"type": "object", "properties": {"from": number, "to": number}}))
            .validate(|sent: &Map<String, Value>| {
                match sent["from"].as_u64() > sent["to"].as_u64() {
                    true => Err(ToolError::new("argument `from`: must not be above `to`")),
                    false => Ok(()),
                }
            })
            .handler(|_, _| async { "1" });
        for component in [typed, written] {
            let client = client(component);
            let taken = client.call("pages", json!({"from": 1, "to": 2})).await;
            assert_eq!(taken.text(), Some("1"));
        }
    }

    #[tokio::test]
    async fn resources_and_prompts_refuse_with_the_code_of_arguments() {
        #[derive(Deserialize)]
        struct Note {
            id: u32,
        }
        let even = |note: &Note| match note.id % 2 {
            0 => Ok(()),
            _ => Err(ToolError::new("argument `id`: is odd")),
        };
        let id = || Argument::new("id");
        let note = Resource::new("note://{id}").parameter::<u32>(id()).validate(even);
        let note = client(note.handler(|_| async { "note" }));
        assert_eq!(note.read("note://2").await.text(), Some("note"));
        let refused = note.read("note://3").await;
        assert_eq!(refused.error_code(), note.read("note://x").await.error_code());
        assert!(refused.error().unwrap().contains("argument `id`: is odd"), "{refused:?}");
        let about = Prompt::new("about").parameter::<u32>(id()).validate(even);
        let about = client(about.handler(|_| async { "about" }));
        assert_eq!(about.prompt("about", json!({"id": "2"})).await.text(), Some("about"));
        let refused = about.prompt("about", json!({"id": "3"})).await;
        assert_eq!(refused.error_code(), Some(-32602));
        assert!(refused.error().unwrap().contains("argument `id`: is odd"), "{refused:?}");
    }

    #[tokio::test]
    async fn e01_e02_errors_and_panics_of_rules_are_masked() {
        let internal = pages().validate(|_: &Range| Err(ToolError::internal("hunter2")));
        let panics = pages().validate(|_: &Range| -> Result<(), ToolError> { panic!("hunter2") });
        for tool in [internal, panics] {
            let client = client(tool.handler(answer));
            let refused = client.call("pages", json!({"from": 1})).await;
            assert!(refused.is_error());
            let text = refused.text().unwrap();
            assert!(text.starts_with("Internal error (reference "), "{text}");
        }
    }

    #[tokio::test]
    async fn a_rule_that_is_slow_is_within_the_time_of_the_handler() {
        let slow = pages().validate(|_: &Range| {
            std::thread::sleep(Duration::from_millis(40));
            Ok(())
        });
        let client = client(slow.handler(answer));
        let refused = client.call("pages", json!({"from": 1})).await;
        assert_eq!(refused.text(), Some("It took too long, and was stopped."));
    }

    #[tokio::test]
    async fn a05_a_rule_is_asked_for_callers_who_may_use_the_component_alone() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let denies = portcullis_auth::by_arguments(
            |_: &AuthContext<'_>| true,
            |_: &AuthContext<'_>, arguments: &Map<String, Value>| arguments["from"] != 7,
        );
        let tool = pages().auth(denies).validate(move |_: &Range| {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(ToolError::new("argument `from`: never"))
        });
        let tokens = crate::danger::StaticTokenVerifier::new();
        let server = Server::builder("test").auth(tokens).component(tool.handler(answer));
        let client = TestClient::new(&server.build().unwrap()).as_user("alice");
        let denied = client.call("pages", json!({"from": 7})).await;
        assert!(denied.text().is_none_or(|text| !text.contains("never")), "{denied:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        let refused = client.call("pages", json!({"from": 6})).await;
        assert_eq!(refused.text(), Some("argument `from`: never"));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_does_not_fit_the_rules_own_type_is_refused_without_the_value() {
        #[derive(Deserialize)]
        struct Narrow {
            #[expect(dead_code, reason = "only its type matters")]
            from: u8,
        }
        let client = client(pages().validate(|_: &Narrow| Ok(())).handler(answer));
        let refused = client.call("pages", json!({"from": 77123})).await;
        assert_eq!(refused.text(), Some("argument `from`: expected u8 (type)"));
    }
}
