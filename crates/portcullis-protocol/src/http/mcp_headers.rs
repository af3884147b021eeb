//! The headers that repeat parts of the body (MCP Streamable HTTP §Request Metadata).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};

use crate::http::fields::{Fields, PARAMETER, Repeated, Values};
use crate::http::rejection::{Rejection, Rule};
use crate::{ParamHeaders, ProtocolVersion, RpcError};

const VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";

/// The version that the header names.
///
/// # Errors
///
/// -32020 when it is missing or repeated, -32022 when it names one that is not served here.
pub(super) fn version(fields: &Fields<'_>) -> Result<ProtocolVersion, RpcError> {
    let supported = &ProtocolVersion::OVER_HTTP;
    let name = single(&fields.protocol_version, VERSION)?;
    ProtocolVersion::parse(name)
        .filter(|version| supported.contains(version))
        .ok_or_else(|| RpcError::unsupported_version(name, supported))
}

/// Whether the header names a stateless version, as every request of one has to.
pub(super) fn name_stateless(fields: &Fields<'_>) -> bool {
    let mut names = fields.protocol_version.iter().filter_map(|value| value.to_str().ok());
    names.any(|name| ProtocolVersion::parse(name).is_some_and(ProtocolVersion::is_stateless))
}

/// In a session the header names a version with sessions, or is not there: 400 otherwise (2025-11-25
/// Streamable HTTP §Protocol Version Header). It only SHOULD be the one that was agreed on, and there
/// are clients that always name the same one: the session goes on with its own.
pub(super) fn check_session(fields: &Fields<'_>) -> Result<(), Rejection> {
    let has_sessions = |name: &HeaderValue| {
        let version = name.to_str().ok().and_then(ProtocolVersion::parse);
        version.is_some_and(|version| ProtocolVersion::WITH_SESSIONS.contains(&version))
    };
    match fields.protocol_version.iter().all(has_sessions) {
        true => Ok(()),
        false => Err(Rejection::new(
            Rule::Session,
            StatusCode::BAD_REQUEST,
            "MCP-Protocol-Version names no version with sessions: name that of the session",
        )),
    }
}

/// What belongs to no session may name a version that is served here, or none.
pub(super) fn check_sessionless(fields: &Fields<'_>) -> Result<(), RpcError> {
    match fields.protocol_version.is_none() {
        true => Ok(()),
        false => version(fields).map(drop),
    }
}

/// The version of the header must be that of the body.
pub(super) fn check_version(header: ProtocolVersion, body: &str) -> Result<(), RpcError> {
    same(VERSION, header.as_str(), body)
}

/// `Mcp-Method` must be the method of the body.
pub(super) fn check_method(fields: &Fields<'_>, body: &str) -> Result<(), RpcError> {
    same(METHOD, single(&fields.method, METHOD)?, body)
}

/// `Mcp-Name` must be the name or URI of the body, for the methods that have one.
pub(super) fn check_name(fields: &Fields<'_>, body: Option<&str>) -> Result<(), RpcError> {
    let Some(body) = body else { return Ok(()) };
    let header = single(&fields.name, NAME)?;
    let malformed = || format!("{NAME} is not well-formed base64");
    let header = decode(header).ok_or_else(|| RpcError::HeaderMismatch(malformed().into()))?;
    same(NAME, &header, body)
}

/// The `Mcp-Param-…` headers, decoded: which of them have to be there, the tool says.
pub(super) fn params(fields: &Fields<'_>) -> ParamHeaders {
    let mut params = ParamHeaders::default();
    if !fields.has_params {
        return params;
    }
    for (name, value) in fields.headers {
        if let Some(name) = name.as_str().strip_prefix(PARAMETER) {
            params.add(name, value.to_str().ok().and_then(decode));
        }
    }
    params
}

fn single<'a>(values: &Values<'a>, name: &str) -> Result<&'a str, RpcError> {
    match values.single() {
        Ok(Some(value)) => value
            .to_str()
            .map_err(|_| RpcError::HeaderMismatch(format!("{name} has invalid characters").into())),
        Ok(None) => Err(RpcError::HeaderMismatch(
            format!("`{name}` is missing: it must repeat the value in the body").into(),
        )),
        Err(Repeated) => Err(RpcError::HeaderMismatch(format!("{name} is repeated").into())),
    }
}

fn same(name: &str, header: &str, body: &str) -> Result<(), RpcError> {
    if header == body {
        return Ok(());
    }
    Err(RpcError::HeaderMismatch(format!("{name} differs from the body").into()))
}

/// Undoes `=?base64?…?=` (§Value Encoding); any other value is meant as it is.
fn decode(value: &str) -> Option<Cow<'_, str>> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="))
    else {
        return Some(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn name(header: &str, body: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(NAME, header.parse().unwrap());
        check_name(&Fields::of(&headers), Some(body)).is_ok()
    }

    #[test]
    fn names_are_compared_after_decoding() {
        assert!(name("echo", "echo"));
        assert!(name("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"));
        assert!(name("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="));
        for (header, body) in [
            ("harmless", "delete_user"),
            ("Echo", "echo"),
            ("=?base64?bad padding?=", "x"),
            ("=?base64?/w==?=", "\u{ff}"),
            ("=?BASE64?ZWNobw==?=", "echo"),
        ] {
            assert!(!name(header, body), "{header}");
        }
    }

    #[test]
    fn n22_missing_and_repeated_headers_are_mismatches() {
        let mut headers = HeaderMap::new();
        assert_eq!(check_method(&Fields::of(&headers), "tools/list").unwrap_err().code(), -32020);
        headers.append(METHOD, "tools/list".parse().unwrap());
        assert!(check_method(&Fields::of(&headers), "tools/list").is_ok());
        headers.append(METHOD, "tools/list".parse().unwrap());
        assert_eq!(check_method(&Fields::of(&headers), "tools/list").unwrap_err().code(), -32020);
    }

    #[test]
    fn versions_that_are_not_served_are_told_what_is() {
        let mut headers = HeaderMap::new();
        assert_eq!(version(&Fields::of(&headers)).unwrap_err().code(), -32020);
        for unserved in ["2099-01-01", "2024-11-05"] {
            headers.insert(VERSION, unserved.parse().unwrap());
            assert_eq!(version(&Fields::of(&headers)).unwrap_err().code(), -32022);
        }
        headers.insert(VERSION, "2026-07-28".parse().unwrap());
        assert_eq!(version(&Fields::of(&headers)), Ok(ProtocolVersion::V2026_07_28));
    }
}
