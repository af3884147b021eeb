//! A use of a component as nearly all clients write it, read in one look.
//!
//! To find members wherever they are, whatever they are, costs more than all that is decided about a call.
//! What is read here is what the reader for all messages would make of it, or nothing.

use std::borrow::Cow;
use std::sync::Arc;

use portcullis_guard::json;
use serde_json::value::RawValue;

use crate::message::envelope::{MAX_ID_BYTES, Message, RequestId};
use crate::message::meta::{Judged, Meta};
use crate::message::params::{Members, Params};
use crate::message::word::Word;

/// The most digits of a number that is an id and fits for sure.
const DIGITS: usize = 18;

/// A `_meta` that a text begins with, by its length, and what was judged of it.
pub(crate) type KnownMeta = (usize, Arc<Judged>);

/// Reads a request without white space between its parts, whose `params` are a `name`, `arguments` and a
/// `_meta` that is known, as far as they are there. None for every other message.
pub(super) fn read<'a>(
    text: &'a str,
    known: impl Fn(&str) -> Option<KnownMeta>,
) -> Option<Message<'a>> {
    let (mut version, mut id, mut method, mut params) = (None, None, None, None);
    let after = each_member(text, |name, value| match name {
        "jsonrpc" => once(&mut version, ((), value.strip_prefix("\"2.0\"")?)),
        "id" => once(&mut id, request_id(value)?),
        "method" => once(&mut method, string(value)?),
        "params" => once(&mut params, members(value, &known)?),
        _ => None,
    });
    after.filter(|after| after.is_empty())?;
    version?;
    let method = Cow::Borrowed(method?);
    Some(Message::Request { id: id?, method, params: Params::Members(Box::new(params?)) })
}

fn members<'a>(
    text: &'a str,
    known: impl Fn(&str) -> Option<KnownMeta>,
) -> Option<(Members<'a>, &'a str)> {
    let (mut named, mut arguments, mut meta) = (None, None, None);
    let after = each_member(text, |name, value| match name {
        "name" => once(&mut named, string(value)?),
        "arguments" => once(&mut arguments, object(value)?),
        "_meta" => {
            let (length, judged) = known(value)?;
            once(&mut meta, (judged, value.get(length..)?))
        }
        _ => None,
    })?;
    let name = named.map(|name| Word::Text(Cow::Borrowed(name)));
    Some((Members::of_use(name, arguments, meta.map(Meta::Known)), after))
}

/// Has `read` take the value off each member of an object that has some; gives what comes after it.
fn each_member<'a>(
    text: &'a str,
    mut read: impl FnMut(&'a str, &'a str) -> Option<&'a str>,
) -> Option<&'a str> {
    let mut rest = text.strip_prefix('{')?;
    loop {
        let (name, value) = member(rest)?;
        rest = read(name, value)?;
        match rest.strip_prefix('}') {
            Some(after) => return Some(after),
            None => rest = rest.strip_prefix(',')?,
        }
    }
}

/// Notes what a member holds; none if it was there before.
fn once<'a, T>(place: &mut Option<T>, (value, rest): (T, &'a str)) -> Option<&'a str> {
    place.replace(value).is_none().then_some(rest)
}

/// The name of a member, and what comes after its colon.
fn member(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = quoted(text)?;
    Some((name, rest.strip_prefix(':')?))
}

/// A string of visible ASCII without escapes, and what comes after it.
fn string(text: &str) -> Option<(&str, &str)> {
    quoted(text).filter(|(string, _)| json::is_plain(string))
}

/// What stands between a quotation mark and the next, and what comes after that.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    // Names are short: a search that begins with many bytes at once is slower.
    let (quoted, rest) = text.split_at_checked(text.bytes().position(|byte| byte == b'"')?)?;
    Some((quoted, rest.strip_prefix('"')?))
}

fn request_id(text: &str) -> Option<(RequestId, &str)> {
    if text.starts_with('"') {
        let (id, rest) = string(text)?;
        return (id.len() <= MAX_ID_BYTES).then(|| (RequestId::String(id.into()), rest));
    }
    let end = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at_checked(end)?;
    let is_usual = digits == "0" || !digits.starts_with('0');
    let number = digits.parse().ok().filter(|_| is_usual && digits.len() <= DIGITS)?;
    Some((RequestId::Number(number), rest))
}

/// An object, not looked at any further, and what comes after it.
fn object(text: &str) -> Option<(&RawValue, &str)> {
    if !text.starts_with('{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let object = values.next()?.ok()?;
    let rest = text.get(values.byte_offset()..)?;
    (!json::has_reserved_member(object.get())).then_some((object, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientCapabilities, ProtocolVersion};

    const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","x":[1,"}"]}"#;
    const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"h}i","n":[1,{"a":null}]},"_meta":META}}"#;

    fn known(text: &str) -> Option<KnownMeta> {
        let judged = Judged {
            version: ProtocolVersion::V2026_07_28,
            client: None,
            capabilities: ClientCapabilities::NONE,
            log_level: None,
        };
        text.starts_with(META).then(|| (META.len(), Arc::new(judged)))
    }

    /// The message, all of it that anybody reads.
    fn shown(message: &Message<'_>) -> String {
        let Message::Request { id, method, params } = message else { return String::new() };
        let meta = params.meta().map(|meta| meta.map(|meta| meta.version().map(str::to_owned)));
        let rest = params.members().map(Members::without_meta);
        format!("{id:?} {method:?} {meta:?} {rest:?}")
    }

    /// Whether a message is read here: if it is, it is read as by the reader for all.
    fn is_read(text: &str) -> bool {
        let Some(read) = read(text, known) else { return false };
        let all = Message::parse_all(text.as_bytes(), known).expect("what is read is a message");
        assert_eq!(shown(&read), shown(&all), "{text}");
        true
    }

    #[test]
    fn requests_are_read_in_any_order_of_their_members() {
        let call = CALL.replace("META", META);
        for text in [
            &*call,
            r#"{"method":"tools/call","params":{"name":"echo"},"jsonrpc":"2.0","id":"a-b"}"#,
            r#"{"params":{"arguments":{},"name":"x"},"id":0,"method":"prompts/get","jsonrpc":"2.0"}"#,
        ] {
            assert!(is_read(text), "{text}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_reader_for_all() {
        let call = CALL.replace("META", META);
        for (from, to) in [
            ("\"id\":7", "\"id\":07"),
            ("\"id\":7", "\"id\":-7"),
            ("\"id\":7", "\"id\":7.0"),
            ("\"id\":7", "\"id\":null"),
            ("\"id\":7", "\"id\":1234567890123456789"),
            ("\"id\":7,", ""),
            ("\"id\":7", "\"id\":7,\"id\":7"),
            ("\"id\":7", "\"id\":7,\"result\":{}"),
            ("\"2.0\"", "\"1.0\""),
            ("tools/call", "tools\\/call"),
            ("\"echo\"", "\"echo\",\"name\":\"other\""),
            ("\"echo\"", "5"),
            ("\"echo\"", "\"\u{e9}\""),
            ("\"echo\"", "\"\u{1}\""),
            ("\"text\"", "\"$serde_json::private::Number\""),
            ("\"text\"", "\"\\u0024serde_json::private::Number\""),
            ("2026-07-28", "2025-11-25"),
            ("{\"jsonrpc\"", " {\"jsonrpc\""),
            (",\"arguments\"", ", \"arguments\""),
        ] {
            let text = call.replacen(from, to, 1);
            assert_ne!(text, call);
            assert!(!is_read(&text), "{text}");
        }
        assert!(!is_read(&format!("{call}\n")) && !is_read(&format!("{call}}}")));
        let id = |length: usize| call.replacen("7", &format!("\"{}\"", "x".repeat(length)), 1);
        assert!(is_read(&id(MAX_ID_BYTES)) && !is_read(&id(MAX_ID_BYTES + 1)));
    }

    #[test]
    fn no_text_is_read_as_another_message_than_by_the_reader_for_all() {
        let call = CALL.replace("META", META);
        let mut are_read = 0;
        for at in 0..call.len() {
            let (before, after) = call.split_at(at);
            let (_, rest) = after.split_at(1);
            let strings = ["", "\"", "\\", "{", "}", "[", "]", ",", ":", "0", " ", "$", "\"a\":1,"];
            for put in strings {
                are_read += usize::from(is_read(&format!("{before}{put}{rest}")));
                are_read += usize::from(is_read(&format!("{before}{put}{after}")));
            }
            are_read += usize::from(is_read(before)) + usize::from(is_read(after));
        }
        assert!(are_read > 500, "{are_read}");
    }
}
