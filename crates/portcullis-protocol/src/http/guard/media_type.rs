//! Media types, parsed rather than compared by prefix (RFC 9110 §8.3, §12.5.1).

use http::StatusCode;
use portcullis_guard::media_type::{essence, parameters};

use crate::http::fields::Fields;
use crate::http::rejection::{Rejection, Rule};

const JSON: &str = "application/json";
/// What clients of MCP send (Streamable HTTP §Sending Messages): it names both types that are
/// ever asked about.
const USUAL_ACCEPT: &str = "application/json, text/event-stream";

/// Requires a body of `application/json`, in UTF-8, not compressed: 415 for any other.
///
/// A request that a foreign page can send without a preflight (a "simple" one, in CORS) has another
/// type, so it is refused here.
pub(crate) fn check_content(fields: &Fields<'_>) -> Result<(), Rejection> {
    let refused =
        |message| Rejection::new(Rule::Media, StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    let not_json = || refused("The body must be application/json");
    let Ok(Some(value)) = fields.content_type.single() else { return Err(not_json()) };
    if value != JSON && !value.to_str().is_ok_and(is_utf8_json) {
        return Err(not_json());
    }
    if fields.content_encoding.iter().any(|encoding| encoding != "identity") {
        return Err(refused("The body must not be compressed"));
    }
    Ok(())
}

/// Requires a body that is framed by its length, or chunked once: 400 for chunks of chunks, and 501
/// for any further coding, which would be ignored (RFC 9112 §6.1). Several fields are one list.
pub(crate) fn check_framing(fields: &Fields<'_>) -> Result<(), Rejection> {
    if fields.transfer_encoding.is_none() {
        return Ok(());
    }
    let refused = |status, message| Err(Rejection::new(Rule::Body, status, message));
    let codings: Vec<&[u8]> = fields
        .transfer_encoding
        .iter()
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    match codings.iter().all(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        true if codings.len() == 1 => Ok(()),
        true => refused(StatusCode::BAD_REQUEST, "Transfer-Encoding must be chunked, once"),
        false => {
            refused(StatusCode::NOT_IMPLEMENTED, "The only supported transfer coding is chunked")
        }
    }
}

/// Requires a client that takes `application/json`: 406 if it says that it does not.
pub(crate) fn check_accept(fields: &Fields<'_>) -> Result<(), Rejection> {
    match accepts(fields, &[JSON, "application/*", "*/*"]) {
        true => Ok(()),
        false => Err(not_acceptable("Accept must allow application/json")),
    }
}

/// Whether the client takes `text/event-stream`.
pub(crate) fn accepts_stream(fields: &Fields<'_>) -> bool {
    accepts(fields, &["text/event-stream", "text/*", "*/*"])
}

/// Requires a client that takes `text/event-stream`: 406 if it says that it does not.
pub(crate) fn check_accept_stream(fields: &Fields<'_>) -> Result<(), Rejection> {
    match accepts_stream(fields) {
        true => Ok(()),
        false => Err(not_acceptable("Accept must allow text/event-stream")),
    }
}

/// Whether the client names `text/html`, and does not wait for events: a browser that shows what it
/// gets.
pub(crate) fn prefers_html(fields: &Fields<'_>) -> bool {
    let names = |range| {
        fields
            .accept
            .iter()
            .any(|value| value.to_str().is_ok_and(|value| takes(value, range) == Some(true)))
    };
    names("text/html") && !names("text/event-stream")
}

fn not_acceptable(message: &'static str) -> Rejection {
    Rejection::new(Rule::Media, StatusCode::NOT_ACCEPTABLE, message)
}

/// Whether it is JSON of the one type, and says nothing else than that it is UTF-8.
fn is_utf8_json(value: &str) -> bool {
    essence(value) == JSON && parameters(value).all(is_utf8_charset)
}

fn is_utf8_charset(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.eq_ignore_ascii_case("charset")
            && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

/// Whether the client takes what these `ranges` hold, the most specific first: the first of them that it
/// names says so. One that says nothing takes everything.
fn accepts(fields: &Fields<'_>, ranges: &[&str]) -> bool {
    if fields.accept.is_none() || fields.accept.iter().any(|value| value == USUAL_ACCEPT) {
        return true;
    }
    let named = ranges.iter().find_map(|range| {
        let values = fields.accept.iter().filter_map(|value| value.to_str().ok());
        // Named twice, once as refused, it is taken.
        values.filter_map(|value| takes(value, range)).reduce(|one, other| one || other)
    });
    named.unwrap_or(false)
}

/// Whether a list of ranges takes this one, if it names it.
fn takes(value: &str, range: &str) -> Option<bool> {
    let named = value.split(',').filter_map(|named| {
        let mut parts = named.split(';').map(str::trim);
        let is_it = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(range));
        let refused = |parameter: &str| {
            parameter.split_once('=').is_some_and(|(name, q)| {
                name.eq_ignore_ascii_case("q") && q.parse::<f32>().is_ok_and(|q| q <= 0.0)
            })
        };
        is_it.then(|| !parts.any(refused))
    });
    named.reduce(|one, other| one || other)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING};

    use super::*;

    #[test]
    fn trial_a12_a_body_is_in_chunks_once_however_that_is_written() {
        let framing = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(TRANSFER_ENCODING, field.parse().unwrap());
            }
            let refusal = check_framing(&Fields::of(&headers)).err();
            refusal.map(|refusal| refusal.into_response().status().as_u16())
        };
        for good in [&[][..], &["chunked"], &["Chunked"], &[" CHUNKED\t"]] {
            assert_eq!(framing(good), None, "{good:?}");
        }
        for twice in [&["chunked", "chunked"][..], &["chunked, Chunked"]] {
            assert_eq!(framing(twice), Some(400), "{twice:?}");
        }
        for other in [
            &["gzip, chunked"][..],
            &["gzip", "chunked"],
            &["identity"],
            &["chunked,"],
            &["chunked;q=1"],
            &[""],
            &["xchunked"],
        ] {
            assert_eq!(framing(other), Some(501), "{other:?}");
        }
    }

    fn content(types: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in types {
            headers.append(CONTENT_TYPE, value.parse().unwrap());
        }
        check_content(&Fields::of(&headers)).is_ok()
    }

    fn accept(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, value.parse().unwrap());
        check_accept(&Fields::of(&headers)).is_ok()
    }

    #[test]
    fn n04_only_application_json_is_a_body() {
        for json in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(content(&[json]), "{json}");
        }
        for other in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/jsonp",
            "application/json-patch+json",
            "application/json;x=text/plain",
            "application/json; charset=utf-16",
            "application/json, text/plain",
            "json",
            "",
        ] {
            assert!(!content(&[other]), "{other}");
        }
        assert!(!content(&[]));
        assert!(!content(&["application/json", "text/plain"]));
    }

    #[test]
    fn n19_compressed_bodies_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        headers.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(check_content(&Fields::of(&headers)).is_err());
    }

    #[test]
    fn rfc9110_12_5_1_accept_is_read_as_http_says() {
        for yes in [
            "application/json, text/event-stream",
            "*/*",
            "application/*;q=0.5",
            "text/html, */*;q=0.1",
            "*/*;q=0, application/json",
            "text/event-stream;q=0, */*",
        ] {
            assert!(accept(yes), "{yes}");
        }
        for no in [
            "text/html",
            "application/json;q=0",
            "text/event-stream",
            "",
            "application/json;q=0, */*",
            "*/*, application/*;q=0",
            "text/html;q=0.5, application/json; Q=0.000, application/*",
        ] {
            assert!(!accept(no), "{no}");
        }
    }

    #[test]
    fn a_stream_is_for_those_who_take_one() {
        let stream = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, value.parse().unwrap());
            check_accept_stream(&Fields::of(&headers)).is_ok()
        };
        assert!(stream("text/event-stream") && stream("text/*") && stream("application/json, */*"));
        assert!(!stream("application/json") && !stream("text/event-stream;q=0"));
        assert!(!stream("text/event-stream;q=0, */*"));
        assert!(check_accept_stream(&Fields::of(&HeaderMap::new())).is_ok());
    }
}
