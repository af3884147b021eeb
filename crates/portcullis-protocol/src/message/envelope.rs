//! The JSON-RPC 2.0 envelope: read once, without reading what it carries.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use portcullis_guard::json;
use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::RpcError;
use crate::message::json_object::{self, NotRead, Object};
use crate::message::meta::Judged;
use crate::message::params::{Members, Params};
use crate::message::plain_request::{self, KnownMeta};
use crate::message::word::Word;

/// The longest id that is accepted, in bytes: it is echoed in every answer.
pub(super) const MAX_ID_BYTES: usize = 256;
/// 2^53: below it, a floating-point number holds each whole number exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Messages of one batch.
const MAX_BATCH: usize = 64;

/// The id of a request: an integer or a string, never null (MCP basic §Requests).
///
/// Exhaustive: the specification has no third form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum RequestId {
    /// An integer.
    Number(i64),
    /// A string.
    String(Box<str>),
}

/// One message from a client.
///
/// Exhaustive: JSON-RPC 2.0 has no fourth kind, and each must be handled.
#[derive(Debug)]
pub enum Message<'a> {
    /// Wants an answer.
    Request {
        /// Names the answer.
        id: RequestId,
        /// The method that is called.
        method: Cow<'a, str>,
        /// Its parameters.
        params: Params<'a>,
    },
    /// Wants no answer.
    Notification {
        /// The method of the notification.
        method: Cow<'a, str>,
        /// Its parameters.
        params: Params<'a>,
    },
    /// Answers a request of the server.
    Response {
        /// The id of that request.
        id: RequestId,
        /// The result, or the error.
        answer: Result<&'a RawValue, &'a RawValue>,
    },
}

/// A malformed message, with the id that it can be answered under, if one was read.
#[derive(Debug)]
pub struct Malformed {
    /// The id, unless it could not be read or belongs to a response.
    pub id: Option<RequestId>,
    /// What is wrong with the message.
    pub error: RpcError,
}

impl<'a> Message<'a> {
    /// Reads one message.
    ///
    /// # Errors
    ///
    /// -32700 for what is not JSON; -32600 for what is not one message: a batch, a wrong
    /// `jsonrpc`, a null or fractional id, a repeated member.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse_knowing(bytes, |_| None)
    }

    /// As [`parse`](Self::parse), where a `_meta` that a text begins with may be `known`.
    pub(crate) fn parse_knowing(
        bytes: &'a [u8],
        known: impl Fn(&str) -> Option<KnownMeta>,
    ) -> Result<Self, Malformed> {
        let plain = str::from_utf8(bytes).ok().and_then(|text| plain_request::read(text, &known));
        plain.map_or_else(|| Self::parse_all(bytes, known), Ok)
    }

    /// As [`parse_knowing`](Self::parse_knowing), by the reader for all messages.
    pub(super) fn parse_all(
        bytes: &'a [u8],
        known: impl Fn(&str) -> Option<KnownMeta>,
    ) -> Result<Self, Malformed> {
        let known = |text: &str| {
            let (length, judged) = known(text)?;
            (length == text.len()).then_some(judged)
        };
        let malformed = |id, what| Malformed { id, error: RpcError::invalid_request(what) };
        let (envelope, params) = match Envelope::read(bytes, known) {
            Ok(read) => read,
            Err(NotRead::Syntax) => return Err(Malformed { id: None, error: RpcError::Parse }),
            Err(NotRead::Other) => {
                return Err(malformed(None, "not a JSON-RPC message"));
            }
        };
        let Envelope { jsonrpc, id, method, params: (), result, error } = envelope;
        // A result may be `null`. Beside a method or an error, `null` means that there is no result.
        let is_alone = method.is_none() && error.is_none();
        let result = result.filter(|result| is_alone || result.get() != "null");
        let is_response = result.is_some() || error.is_some();
        if !jsonrpc.is_some_and(|version| version.is("2.0")) {
            let id = id.filter(|_| !is_response);
            return Err(malformed(id, "`jsonrpc` must be \"2.0\""));
        }
        if is_response {
            let answer = match (result, error) {
                (Some(result), None) => Some(Ok(result)),
                (None, Some(error)) => Some(Err(error)),
                (Some(_), Some(_)) | (None, None) => None,
            };
            let response = id.zip(answer).filter(|_| method.is_none());
            let broken = || malformed(None, "a response has an id, and a result or an error");
            let response = response.map(|(id, answer)| Self::Response { id, answer });
            return response.ok_or_else(broken);
        }
        let Some(Word::Text(method)) = method else {
            return Err(malformed(id, "a message needs a `method`"));
        };
        Ok(match id {
            Some(id) => Self::Request { id, method, params },
            None => Self::Notification { method, params },
        })
    }

    /// Whether it names its own version, so that it is of the stateless era.
    #[cfg(feature = "http")]
    pub(crate) fn names_version(&self) -> bool {
        match self {
            Self::Request { params, .. } | Self::Notification { params, .. } => {
                params.names_version()
            }
            Self::Response { .. } => false,
        }
    }
}

/// Whether this is a batch, if it is anything.
pub(crate) fn is_batch(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"[")
}

/// Whether a message that cannot be read answers something: then nobody answers it.
pub(crate) fn is_answer(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Answer {
        method: Option<IgnoredAny>,
        #[serde(default, deserialize_with = "present")]
        result: Option<IgnoredAny>,
        #[serde(default, deserialize_with = "present")]
        error: Option<IgnoredAny>,
    }

    serde_json::from_slice::<Answer>(bytes).is_ok_and(|message| {
        message.method.is_none() && (message.result.is_some() || message.error.is_some())
    })
}

/// The messages of a batch: at most 64, and no more are looked at.
///
/// # Errors
///
/// -32700 for what is not JSON, -32600 for none or too many.
pub(crate) fn batch(bytes: &[u8]) -> Result<Vec<&RawValue>, RpcError> {
    struct BatchVisitor;

    impl<'de> Visitor<'de> for BatchVisitor {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a batch")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Self::Value, A::Error> {
            let mut batch = Vec::new();
            while let Some(message) = messages.next_element()? {
                if batch.len() == MAX_BATCH {
                    return Err(de::Error::custom("too many"));
                }
                batch.push(message);
            }
            Ok(batch)
        }
    }

    let number = || RpcError::invalid_request("a batch holds 1 to 64 messages");
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let batch = deserializer.deserialize_seq(BatchVisitor).and_then(|batch| {
        deserializer.end()?;
        Ok(batch)
    });
    match batch {
        Ok(batch) if batch.is_empty() => Err(number()),
        Ok(batch) => Ok(batch),
        Err(error) if error.is_data() => Err(number()),
        Err(_) => Err(RpcError::Parse),
    }
}

#[derive(serde::Deserialize)]
struct Envelope<'a, P, W = Word<'a>> {
    jsonrpc: Option<W>,
    #[serde(default, deserialize_with = "present")]
    id: Option<RequestId>,
    method: Option<W>,
    params: P,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl<'a> Envelope<'a, ()> {
    /// Reads a message with its parameters. Those that cannot be read are what is wrong with
    /// the method's request, not with the message, so that one is read again without them:
    /// for a lone surrogate and a number out of range, too, which serde_json takes for no JSON.
    /// Where these are in its method, they are no method: it has an id to be answered under.
    fn read(
        bytes: &'a [u8],
        known: impl FnOnce(&str) -> Option<Arc<Judged>>,
    ) -> Result<(Self, Params<'a>), NotRead> {
        // Found to be UTF-8 once, its parts are not looked at again for that.
        let text = str::from_utf8(bytes).map_err(|_| NotRead::Syntax)?;
        match json_object::read::<Envelope<'a, Option<Object<Box<Members<'a>>>>>>(text) {
            Ok(envelope) if !json::has_reserved_member(text) => {
                Ok(envelope.split(|params| match params {
                    Some(Object(members)) => Params::of(members, known),
                    None => Params::None,
                }))
            }
            Ok(_) | Err(NotRead::Syntax | NotRead::Other) => {
                let read: Envelope<'a, Option<IgnoredAny>, &'a RawValue> = json_object::read(text)?;
                let Envelope { jsonrpc, id, method, params, result, error } = read;
                let (jsonrpc, method) = (jsonrpc.map(Word::of), method.map(Word::of));
                let envelope = Envelope { jsonrpc, id, method, params, result, error };
                Ok(envelope.split(|params| params.map_or(Params::None, |_| Params::Malformed)))
            }
        }
    }
}

impl<'a, P> Envelope<'a, P> {
    fn split(self, found: impl FnOnce(P) -> Params<'a>) -> (Envelope<'a, ()>, Params<'a>) {
        let Self { jsonrpc, id, method, params, result, error } = self;
        (Envelope { jsonrpc, id, method, params: (), result, error }, found(params))
    }
}

/// What is there, which `null` may or may not be: it is not the same as nothing.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;

        impl Visitor<'_> for IdVisitor {
            type Value = RequestId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer or a short string")
            }

            fn visit_i64<E: de::Error>(self, id: i64) -> Result<RequestId, E> {
                Ok(RequestId::Number(id))
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<RequestId, E> {
                i64::try_from(id).map(RequestId::Number).map_err(|_| E::custom("id out of range"))
            }

            /// `1.0` and `-0` are integers (JSON Schema 2020-12 Validation §6.1.1), in the range in
            /// which a floating-point number holds each of them exactly.
            fn visit_f64<E: de::Error>(self, id: f64) -> Result<RequestId, E> {
                if id.fract() != 0.0 || id.abs() >= EXACT {
                    return Err(E::custom("no integer"));
                }
                #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
                Ok(RequestId::Number(id as i64))
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<RequestId, E> {
                if id.len() > MAX_ID_BYTES {
                    return Err(E::custom("id too long"));
                }
                Ok(RequestId::String(id.into()))
            }
        }

        deserializer.deserialize_any(IdVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(json: &str) -> i32 {
        Message::parse(json.as_bytes())
            .map(|_| 0)
            .unwrap_or_else(|malformed| malformed.error.code())
    }

    #[test]
    fn the_order_of_members_does_not_matter() {
        let json = r#"{"params":{"uri":1},"method":"tools/call","id":"x","jsonrpc":"2.0"}"#;
        let Message::Request { id, method, params } = Message::parse(json.as_bytes()).unwrap()
        else {
            panic!("not a request")
        };
        assert_eq!(id, RequestId::String("x".into()));
        let uri = params.members().unwrap().uri.unwrap().get();
        assert_eq!((&*method, uri), ("tools/call", "1"));
    }

    #[test]
    fn without_an_id_it_is_a_notification() {
        let json = br#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
        assert!(matches!(Message::parse(json), Ok(Message::Notification { .. })));
    }

    #[test]
    fn what_answers_a_request_of_the_server_is_a_response() {
        for json in [
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":"no"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":"no"}}"#,
        ] {
            assert!(
                matches!(Message::parse(json.as_bytes()), Ok(Message::Response { .. })),
                "{json}"
            );
        }
        let nothing = br#"{"jsonrpc":"2.0","id":1,"method":"ping","result":null,"error":null}"#;
        assert!(matches!(Message::parse(nothing), Ok(Message::Request { .. })));
    }

    #[test]
    fn what_answers_something_is_known_where_it_cannot_be_read() {
        for answer in [
            r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        ] {
            assert!(Message::parse(answer.as_bytes()).is_err(), "{answer}");
            assert!(is_answer(answer.as_bytes()), "{answer}");
        }
        for other in
            [r#"{"jsonrpc":"2.0","id":1}"#, r#"{"id":null,"method":"x","error":1}"#, "[]", "{"]
        {
            assert!(!is_answer(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn n20_a_batch_is_read_as_far_as_it_may_go() {
        let numbers = |n: usize| format!("[{}]", vec!["1"; n].join(","));
        assert_eq!(batch(numbers(64).as_bytes()).unwrap().len(), 64);
        for (json, code) in [
            ("[]", -32600),
            ("[1", -32700),
            ("[1]]", -32700),
            (&numbers(65), -32600),
            (&numbers(1_000_000), -32600),
        ] {
            assert_eq!(batch(json.as_bytes()).unwrap_err().code(), code);
        }
    }

    #[test]
    fn json_rpc_4_what_is_not_json_is_a_parse_error() {
        for json in ["", "{", "nonsense", "{\"jsonrpc\":\"2.0\",}", "\u{0}"] {
            assert_eq!(code(json), -32700, "{json:?}");
        }
    }

    #[test]
    fn json_rpc_4_what_is_no_message_is_an_invalid_request() {
        for json in [
            "[]",
            "1",
            "\"x\"",
            "null",
            "{}",
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
            r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            r#"["2.0",1,"ping",{}]"#,
        ] {
            assert_eq!(code(json), -32600, "{json}");
        }
        let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(257));
        assert_eq!(code(&long), -32600);
    }

    #[test]
    fn what_is_wrong_is_answered_under_the_id_where_that_can_be_read() {
        let id = |json: &str| Message::parse(json.as_bytes()).unwrap_err().id;
        assert_eq!(id(r#"{"jsonrpc":"1.0","id":5,"method":"ping"}"#), Some(RequestId::Number(5)));
        for method in
            ["5", "null", "[1]", "{}", r#""\ud800""#, "1e999", "[1e999]", r#"{"\ud800":0}"#]
        {
            let json = format!(r#"{{"jsonrpc":"2.0","id":5,"method":{method}}}"#);
            assert_eq!(id(&json), Some(RequestId::Number(5)), "{method}");
            assert_eq!(code(&json), -32600, "{method}");
            let json = format!(r#"{{"jsonrpc":{method},"id":5,"method":"ping"}}"#);
            assert_eq!(id(&json), Some(RequestId::Number(5)), "{method}");
        }
        assert_eq!(id(r#"{"jsonrpc":"1.0","id":5,"result":{}}"#), None, "that id is not theirs");
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#), None);
    }

    #[test]
    fn repeated_members_are_refused() {
        for json in [
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}"#,
        ] {
            assert_eq!(code(json), -32600, "{json}");
        }
    }

    #[test]
    fn parameters_that_cannot_be_read_are_refused_under_the_id_of_their_request() {
        for params in [
            "5",
            "[]",
            r#""x""#,
            r#"["x"]"#,
            "1e999",
            r#""\ud800""#,
            r#"{"\ud800":1}"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","n\u0061me":"b"}"#,
            r#"{"_meta":"x"}"#,
            r#"{"_meta":[]}"#,
            r#"{"_meta":1e999}"#,
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"\ud800"}}"#,
            r#"{"_meta":{"x":[{"$serde_json::private::RawValue":"{}"}]}}"#,
            r#"{"name":"a","arguments":{"x":{"\u0024serde_json::private::Number":"1"}}}"#,
        ] {
            for json in [
                format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#),
                format!(r#"{{"params":{params},"method":"tools/call","id":7,"jsonrpc":"2.0"}}"#),
            ] {
                let Ok(Message::Request { id, params, .. }) = Message::parse(json.as_bytes())
                else {
                    panic!("no request: {json}")
                };
                assert_eq!(id, RequestId::Number(7));
                assert_eq!(params.meta().unwrap_err().code(), -32602, "{json}");
                assert_eq!(params.members().unwrap_err().code(), -32602, "{json}");
            }
        }
        for params in ["null", "{}", r#"{"_meta":null}"#, r#"{"x":1e999}"#] {
            let json = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"m","params":{params}}}"#);
            let message = Message::parse(json.as_bytes());
            let Ok(Message::Request { params, .. }) = message else { panic!("no request") };
            assert!(params.meta().unwrap().is_none(), "{json}");
        }
    }

    #[test]
    fn n20_deep_nesting_is_skipped_without_recursion() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(code(&deep), 0);
    }
}
