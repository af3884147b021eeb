//! What clients are told of changes (MCP 2026-07-28 §Subscriptions; before, list changes).

use std::borrow::Cow;

use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::answer::json_rpc;
use crate::message::envelope::RequestId;
use crate::message::json_object;
use crate::message::params::Params;
use crate::{ClientCapabilities, Identity, Limits, MAX_URI_BYTES, ResourceSubscriptions, RpcError};

/// The member of `_meta` that tells subscriptions apart.
const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The longest list of URIs, in bytes: what is read of it takes more.
const MAX_LIST_BYTES: usize = 256 * 1024;

const UPDATED: &str = "notifications/resources/updated";

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

/// What a client is told without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Lists have changed.
    Lists(Changed),
    /// The resource of this URI was updated.
    Resource(String),
}

impl News {
    /// The notifications of a session: one for each list that has changed, or for the resource.
    pub(crate) fn notifications(self) -> Vec<Vec<u8>> {
        match self {
            Self::Lists(changed) => changed
                .methods()
                .map(|method| json_rpc::notification(method, None::<&Value>))
                .collect(),
            Self::Resource(uri) => {
                vec![json_rpc::notification(UPDATED, Some(&json!({ "uri": uri })))]
            }
        }
    }
}

impl Changed {
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

/// What a `subscriptions/listen` asks for: a `SubscriptionFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) lists: Changed,
    /// The URIs of resources whose updates are to be told.
    pub(crate) resources: Vec<String>,
}

impl Wanted {
    /// Whether it names no more resources than it may.
    ///
    /// # Errors
    ///
    /// -32602 where it does.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), RpcError> {
        match ResourceSubscriptions::has_room_for(limits.resource_subscriptions, &self.resources) {
            true => Ok(()),
            false => {
                Err(RpcError::invalid_params("too many, or too long, `resourceSubscriptions`"))
            }
        }
    }
}

/// A `subscriptions/listen` that is in force.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) id: RequestId,
    wanted: Wanted,
}

impl Subscription {
    pub(crate) const METHOD: &str = "subscriptions/listen";

    /// The subscription that the request `id` opens.
    pub(crate) fn new(id: RequestId, wanted: Wanted) -> Self {
        Self { id, wanted }
    }

    /// The resources whose updates it asks for, which are its service's from now on.
    pub(crate) fn take_resources(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wanted.resources)
    }

    /// Reads what the parameters of `subscriptions/listen` ask for.
    ///
    /// # Errors
    ///
    /// -32602 for parameters that do not match the method, -32021 for what is told of tasks, of a client
    /// that takes none (SEP-2663 §Task Status Notifications; no notification of a task is sent).
    pub(crate) fn wanted(
        params: &Params<'_>,
        capabilities: ClientCapabilities,
    ) -> Result<Wanted, RpcError> {
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
            #[serde(deserialize_with = "uris")]
            resource_subscriptions: Vec<String>,
            #[serde(deserialize_with = "is_there")]
            task_ids: bool,
        }

        let malformed = || RpcError::invalid_params("`notifications` are not a filter");
        let members = params.members().map_err(|_| malformed())?;
        let filter: Option<Filter> = members.notifications.and_then(json_object::read_raw);
        let filter = filter.ok_or_else(malformed)?;
        if filter.task_ids && !capabilities.tasks {
            return Err(RpcError::MissingClientCapability(ClientCapabilities::TASKS));
        }
        let lists = Changed {
            tools: filter.tools_list_changed,
            resources: filter.resources_list_changed,
            prompts: filter.prompts_list_changed,
        };
        Ok(Wanted { lists, resources: filter.resource_subscriptions })
    }

    /// What comes first, and says what is honoured (§Acknowledgment). Each resource is, whether it
    /// exists or not: whether there is something to tell of it is decided when it is updated.
    pub(crate) fn acknowledged(&self) -> Vec<u8> {
        let Wanted { lists: Changed { tools, resources, prompts }, resources: uris } = &self.wanted;
        let mut honoured: Map<String, Value> = [
            ("toolsListChanged", tools),
            ("resourcesListChanged", resources),
            ("promptsListChanged", prompts),
        ]
        .into_iter()
        .filter(|(_, wanted)| **wanted)
        .map(|(name, wanted)| (name.to_owned(), Value::Bool(*wanted)))
        .collect();
        if !uris.is_empty() {
            honoured.insert("resourceSubscriptions".to_owned(), json!(uris));
        }
        let params = json!({ "_meta": { SUBSCRIPTION_ID: self.id }, "notifications": honoured });
        json_rpc::notification("notifications/subscriptions/acknowledged", Some(&params))
    }

    /// The notifications of the news, as far as they are wanted, with the subscription that they
    /// belong to (§Receiving Notifications).
    pub(crate) fn notifications(&self, news: News) -> Vec<Vec<u8>> {
        let meta = json!({ SUBSCRIPTION_ID: self.id });
        let (changed, lists) = match news {
            News::Lists(changed) => (changed, self.wanted.lists),
            News::Resource(uri) => {
                let params = json!({ "_meta": meta, "uri": uri });
                return vec![json_rpc::notification(UPDATED, Some(&params))];
            }
        };
        let wanted = Changed {
            tools: changed.tools && lists.tools,
            resources: changed.resources && lists.resources,
            prompts: changed.prompts && lists.prompts,
        };
        let notification = |method| json_rpc::notification(method, Some(&json!({ "_meta": meta })));
        wanted.methods().map(notification).collect()
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

/// A member that is not looked at.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// A list of URIs, each of a length that resources can have.
fn uris<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = <&RawValue>::deserialize(deserializer)?.get();
    let uris = || {
        let texts: Vec<&RawValue> = serde_json::from_str(list).ok()?;
        let texts = texts.into_iter().map(json_object::text);
        let uris = texts.map(|uri| uri.filter(|uri| uri.len() <= MAX_URI_BYTES));
        uris.map(|uri| uri.map(Cow::into_owned)).collect::<Option<Vec<String>>>()
    };
    let is_list = list.starts_with('[') && list.len() <= MAX_LIST_BYTES;
    is_list.then(uris).flatten().ok_or_else(|| de::Error::custom("not a list of URIs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Changed = Changed { tools: true, resources: true, prompts: true };

    fn wanted(params: &str) -> Result<Wanted, i32> {
        let params = Params::read(Some(serde_json::from_str(params).unwrap()));
        Subscription::wanted(&params, ClientCapabilities::NONE).map_err(|error| error.code())
    }

    fn subscription(id: RequestId, lists: Changed) -> Subscription {
        Subscription::new(id, Wanted { lists, ..Wanted::default() })
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
        ] {
            let expected = Wanted { lists: expected, resources: Vec::new() };
            assert_eq!(
                wanted(&format!(r#"{{"notifications":{filter}}}"#)),
                Ok(expected),
                "{filter}"
            );
        }
        let filter = r#"{"notifications":{"resourceSubscriptions":["x://y","\u00e4"]}}"#;
        assert_eq!(wanted(filter).unwrap().resources, ["x://y", "ä"]);
    }

    #[test]
    fn only_a_client_that_takes_tasks_asks_to_be_told_of_them() {
        let params = r#"{"notifications":{"toolsListChanged":true,"taskIds":["x"]}}"#;
        assert_eq!(wanted(params), Err(-32021));
        let params = Params::read(Some(serde_json::from_str(params).unwrap()));
        let wanted = Subscription::wanted(&params, ClientCapabilities::TASKS).unwrap();
        let lists = Changed { tools: true, ..Changed::default() };
        assert_eq!(wanted, Wanted { lists, resources: Vec::new() });
        let acknowledged = Subscription::new(RequestId::Number(1), wanted).acknowledged();
        assert!(json(&acknowledged)["params"]["notifications"].get("taskIds").is_none());
    }

    #[test]
    fn n16_a_subscription_names_no_more_resources_than_it_may() {
        let limits = Limits::default();
        let of = |count: usize, uri: &str| {
            Wanted { resources: vec![uri.to_owned(); count], ..Wanted::default() }.check(&limits)
        };
        assert_eq!(of(64, "x://y"), Ok(()));
        assert_eq!(of(65, "x://y").unwrap_err().code(), -32602);
        assert!(of(2, &"x".repeat(8_192)).is_ok() && of(3, &"x".repeat(8_192)).is_err());
        let long =
            format!(r#"{{"notifications":{{"resourceSubscriptions":["{}"]}}}}"#, "x".repeat(8_193));
        assert_eq!(wanted(&long), Err(-32602));
        let many = vec!["0"; 200_000].join(",");
        let many = format!(r#"{{"notifications":{{"resourceSubscriptions":[{many}]}}}}"#);
        assert_eq!(wanted(&many), Err(-32602));
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
        let none = Subscription::wanted(&Params::None, ClientCapabilities::NONE);
        assert_eq!(none.unwrap_err().code(), -32602);
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
        let sent = subscription.notifications(News::Lists(ALL));
        let sent: Vec<Value> = sent.iter().map(|bytes| json(bytes)).collect();
        let tagged = |kind: &str| {
            let method = format!("notifications/{kind}/list_changed");
            let params = json!({"_meta": {"io.modelcontextprotocol/subscriptionId": 7}});
            json!({"jsonrpc": "2.0", "method": method, "params": params})
        };
        assert_eq!(sent, [tagged("tools"), tagged("prompts")]);
        assert_eq!(subscription.notifications(News::Lists(Changed::default())).len(), 0);
        let updated = subscription.notifications(News::Resource("x://y".to_owned()));
        let meta = json!({"io.modelcontextprotocol/subscriptionId": 7});
        let params = json!({"_meta": meta, "uri": "x://y"});
        let method = "notifications/resources/updated";
        assert_eq!(
            json(&updated[0]),
            json!({"jsonrpc": "2.0", "method": method, "params": params})
        );
    }

    #[test]
    fn a01_subscriptions_acknowledgment_has_each_resource_whether_it_exists_or_not() {
        let resources = vec!["x://y".to_owned(), "hidden://z".to_owned()];
        let wanted = Wanted { resources, ..Wanted::default() };
        let acknowledged = json(&Subscription::new(RequestId::Number(1), wanted).acknowledged());
        let honoured = json!({"resourceSubscriptions": ["x://y", "hidden://z"]});
        assert_eq!(acknowledged["params"]["notifications"], honoured);
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
        let sent = News::Lists(ALL).notifications();
        let sent: Vec<Value> = sent.iter().map(|bytes| json(bytes)).collect();
        let told = |kind: &str| json!({"jsonrpc": "2.0", "method": format!("notifications/{kind}/list_changed")});
        assert_eq!(sent, [told("tools"), told("resources"), told("prompts")]);
        let updated = News::Resource("x://y".to_owned()).notifications();
        let method = "notifications/resources/updated";
        let params = json!({"uri": "x://y"});
        assert_eq!(
            json(&updated[0]),
            json!({"jsonrpc": "2.0", "method": method, "params": params})
        );
    }
}
