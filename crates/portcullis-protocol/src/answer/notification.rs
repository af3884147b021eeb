//! What clients are told of changes (MCP 2026-07-28 §Subscriptions; before, list changes).

use std::fmt;

use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::answer::json_rpc;
use crate::message::envelope::RequestId;
use crate::message::json_object;
use crate::message::params::Params;
use crate::{Identity, RpcError};

/// The member of `_meta` that tells subscriptions apart.
const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// Which lists have changed.
///
/// It says nothing of what has changed in them: who is told asks for the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The tools.
    pub tools: bool,
    /// The resources, or the resource templates.
    pub resources: bool,
    /// The prompts.
    pub prompts: bool,
}

impl Changed {
    /// The notifications of a session: one for each list that has changed.
    pub(crate) fn notifications(self) -> impl Iterator<Item = Vec<u8>> {
        self.methods().map(|method| json_rpc::notification(method, None::<&Value>))
    }

    fn methods(self) -> impl Iterator<Item = &'static str> {
        let Self { tools, resources, prompts } = self;
        [
            tools.then_some("notifications/tools/list_changed"),
            resources.then_some("notifications/resources/list_changed"),
            prompts.then_some("notifications/prompts/list_changed"),
        ]
        .into_iter()
        .flatten()
    }
}

/// A `subscriptions/listen` that is in force.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) id: RequestId,
    wanted: Changed,
}

impl Subscription {
    pub(crate) const METHOD: &str = "subscriptions/listen";

    /// The subscription that the request `id` opens.
    pub(crate) fn new(id: RequestId, wanted: Changed) -> Self {
        Self { id, wanted }
    }

    /// Reads what the parameters of `subscriptions/listen` ask for. Updates of single
    /// resources are not served.
    ///
    /// # Errors
    ///
    /// -32602 for parameters that do not match the method.
    pub(crate) fn wanted(params: &Params<'_>) -> Result<Changed, RpcError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        #[derive(Default)]
        struct Filter {
            #[serde(deserialize_with = "flag")]
            tools_list_changed: bool,
            #[serde(deserialize_with = "flag")]
            resources_list_changed: bool,
            #[serde(deserialize_with = "flag")]
            prompts_list_changed: bool,
            #[serde(rename = "resourceSubscriptions", deserialize_with = "texts")]
            _resource_subscriptions: Vec<Text>,
        }

        let malformed = || RpcError::invalid_params("`notifications` are not a filter");
        let members = params.members().map_err(|_| malformed())?;
        let filter: Option<Filter> = members.notifications.and_then(json_object::read_raw);
        let filter = filter.ok_or_else(malformed)?;
        Ok(Changed {
            tools: filter.tools_list_changed,
            resources: filter.resources_list_changed,
            prompts: filter.prompts_list_changed,
        })
    }

    /// What comes first, and says what is honoured (§Acknowledgment).
    pub(crate) fn acknowledged(&self) -> Vec<u8> {
        let Changed { tools, resources, prompts } = self.wanted;
        let honoured: Map<String, Value> = [
            ("toolsListChanged", tools),
            ("resourcesListChanged", resources),
            ("promptsListChanged", prompts),
        ]
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(name, wanted)| (name.to_owned(), Value::Bool(wanted)))
        .collect();
        let params = json!({ "_meta": { SUBSCRIPTION_ID: self.id }, "notifications": honoured });
        json_rpc::notification("notifications/subscriptions/acknowledged", Some(&params))
    }

    /// The notifications of what has changed, as far as they are wanted, with the
    /// subscription that they belong to (§Receiving Notifications).
    pub(crate) fn notifications(&self, changed: Changed) -> impl Iterator<Item = Vec<u8>> {
        let wanted = Changed {
            tools: changed.tools && self.wanted.tools,
            resources: changed.resources && self.wanted.resources,
            prompts: changed.prompts && self.wanted.prompts,
        };
        wanted.methods().map(|method| {
            let params = json!({ "_meta": { SUBSCRIPTION_ID: self.id } });
            json_rpc::notification(method, Some(&params))
        })
    }

    /// What comes last where the server ends it (§Graceful Closure).
    ///
    /// §Cancellation has the server send `notifications/cancelled` instead, over stdio. The
    /// two pages contradict each other (modelcontextprotocol#3348); this is what the schema
    /// has a result for, and what clients take for a graceful end.
    pub(crate) fn completed(&self, identity: &Identity) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Completed<'a> {
            result_type: &'static str,
            #[serde(rename = "_meta")]
            meta: &'a Map<String, Value>,
        }

        let mut meta = identity.meta();
        meta.insert(SUBSCRIPTION_ID.to_owned(), json!(self.id));
        json_rpc::result(&self.id, &Completed { result_type: "complete", meta: &meta })
    }
}

/// A boolean. Of a string in its place, serde's own refusal would write the whole text.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match <&RawValue>::deserialize(deserializer)?.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(de::Error::custom("not a boolean")),
    }
}

/// A list of strings.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Text>, D::Error> {
    let list = <&RawValue>::deserialize(deserializer)?.get();
    let list = list.starts_with('[').then(|| serde_json::from_str(list).ok()).flatten();
    list.ok_or_else(|| de::Error::custom("not a list of strings"))
}

/// A string whose text does not matter.
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Text, E> {
                Ok(Text)
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Changed = Changed { tools: true, resources: true, prompts: true };

    fn wanted(params: &str) -> Result<Changed, i32> {
        let params = Params::read(Some(serde_json::from_str(params).unwrap()));
        Subscription::wanted(&params).map_err(|error| error.code())
    }

    fn subscription(id: RequestId, wanted: Changed) -> Subscription {
        Subscription::new(id, wanted)
    }

    fn json(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn subscriptions_notification_filter_only_what_is_asked_for_is_wanted() {
        let none = Changed::default();
        for (filter, expected) in [
            ("{}", none),
            (r#"{"toolsListChanged":true}"#, Changed { tools: true, ..none }),
            (r#"{"resourcesListChanged":true}"#, Changed { resources: true, ..none }),
            (r#"{"promptsListChanged":true}"#, Changed { prompts: true, ..none }),
            (r#"{"toolsListChanged":false,"else":[1]}"#, none),
            (r#"{"resourceSubscriptions":["x://y","\u00e4"]}"#, none),
        ] {
            assert_eq!(
                wanted(&format!(r#"{{"notifications":{filter}}}"#)),
                Ok(expected),
                "{filter}"
            );
        }
    }

    #[test]
    fn a_malformed_filter_is_refused() {
        for filter in [
            "null",
            "[]",
            "[true,true,true,[]]",
            "true",
            r#"{"toolsListChanged":1}"#,
            r#"{"toolsListChanged":"true"}"#,
            r#"{"toolsListChanged":true,"toolsListChanged":false}"#,
            r#"{"resourceSubscriptions":"x://y"}"#,
            r#"{"resourceSubscriptions":[1]}"#,
        ] {
            assert_eq!(
                wanted(&format!(r#"{{"notifications":{filter}}}"#)),
                Err(-32602),
                "{filter}"
            );
        }
        assert_eq!(wanted("{}"), Err(-32602));
        assert_eq!(Subscription::wanted(&Params::None).unwrap_err().code(), -32602);
    }

    #[test]
    fn subscriptions_acknowledgment_says_what_is_honoured_under_the_id_as_it_was_sent() {
        for (id, value) in
            [(RequestId::Number(-1), json!(-1)), (RequestId::String("\"1".into()), json!("\"1"))]
        {
            let subscription = subscription(id, Changed { prompts: true, ..Changed::default() });
            assert_eq!(
                json(&subscription.acknowledged()),
                json!({
                    "jsonrpc": "2.0",
                    "method": "notifications/subscriptions/acknowledged",
                    "params": {
                        "_meta": { "io.modelcontextprotocol/subscriptionId": value },
                        "notifications": { "promptsListChanged": true },
                    },
                })
            );
        }
    }

    #[test]
    fn subscriptions_receiving_notifications_are_tagged_and_what_is_not_wanted_is_not_sent() {
        let wanted = Changed { tools: true, prompts: true, ..Changed::default() };
        let subscription = subscription(RequestId::Number(7), wanted);
        let sent: Vec<Value> = subscription.notifications(ALL).map(|bytes| json(&bytes)).collect();
        let tagged = |kind: &str| {
            let method = format!("notifications/{kind}/list_changed");
            let params = json!({"_meta": {"io.modelcontextprotocol/subscriptionId": 7}});
            json!({"jsonrpc": "2.0", "method": method, "params": params})
        };
        assert_eq!(sent, [tagged("tools"), tagged("prompts")]);
        assert_eq!(subscription.notifications(Changed::default()).count(), 0);
    }

    #[test]
    fn subscriptions_graceful_closure_is_the_answer_to_the_request() {
        let identity = Identity::new("n", "1", None);
        assert_eq!(
            json(&subscription(RequestId::Number(7), ALL).completed(&identity)),
            json!({
                "jsonrpc": "2.0",
                "id": 7,
                "result": {
                    "resultType": "complete",
                    "_meta": {
                        "io.modelcontextprotocol/subscriptionId": 7,
                        "io.modelcontextprotocol/serverInfo": { "name": "n", "version": "1" },
                    },
                },
            })
        );
    }

    #[test]
    fn in_a_session_every_change_is_told_and_belongs_to_no_subscription() {
        let sent: Vec<Value> = ALL.notifications().map(|bytes| json(&bytes)).collect();
        let told = |kind: &str| json!({"jsonrpc": "2.0", "method": format!("notifications/{kind}/list_changed")});
        assert_eq!(sent, [told("tools"), told("resources"), told("prompts")]);
    }
}
