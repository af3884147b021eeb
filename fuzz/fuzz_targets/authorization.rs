//! The `Authorization` header: accepted is what the grammar says, and nothing else.
//!
//! The input is one header value on each line; a first line that begins with `?` is the
//! query.

#![no_main]

use std::sync::LazyLock;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use portcullis_auth::{BearerToken, MAX_TOKEN_BYTES};
use portcullis_fuzz::in_proportion;
use regex_lite::Regex;

/// RFC 6750 §2.1 with the scheme in any letter case (RFC 9110 §11.1, §11.2).
static CREDENTIALS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)$").unwrap());

fuzz_target!(|input: &[u8]| {
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let query = lines.first().and_then(|first| first.strip_prefix(b"?"));
    let query = query.map(|query| String::from_utf8_lossy(query).into_owned());
    if query.is_some() {
        lines.remove(0);
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        // The others are refused by the HTTP reader.
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(AUTHORIZATION, value);
    }

    let read =
        in_proportion(input.len(), || BearerToken::from_request(&headers, query.as_deref()).ok());
    let read = read.as_ref().map(BearerToken::expose);

    let expected =
        by_the_grammar(&headers).filter(|_| !query.as_deref().is_some_and(leaks_a_token));
    assert_eq!(read, expected);
    if let Some(token) = read {
        let mut again = HeaderMap::new();
        again.append(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let again = BearerToken::from_request(&again, None).expect("what was read can be sent");
        assert_eq!(again.expose(), token);
    }
});

fn by_the_grammar(headers: &HeaderMap) -> Option<&str> {
    let values: Vec<&HeaderValue> = headers.get_all(AUTHORIZATION).iter().collect();
    let [value] = values.as_slice() else { return None };
    let value = str::from_utf8(value.as_bytes()).ok()?;
    let token = CREDENTIALS.captures(value)?.get(1)?.as_str();
    // Spaces count for the header's length, which is checked before it is read.
    let fits = value.len() <= MAX_TOKEN_BYTES + "Bearer ".len();
    fits.then_some(token)
}

fn leaks_a_token(query: &str) -> bool {
    let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.map(percent_decode_str).any(|name| name.eq(*b"access_token"))
}
