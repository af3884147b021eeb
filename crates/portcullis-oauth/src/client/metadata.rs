//! What a client says of itself when it registers.

use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::cut;
use serde_json::{Map, Value};

use super::redirect_uri::RedirectUri;
use crate::error::{ErrorCode, OAuthError};

/// What a client says of itself (RFC 7591 §2), as far as it matters here. Other members are
/// ignored; no address is ever fetched.
#[derive(Debug)]
pub(crate) struct ClientMetadata {
    pub(crate) redirect_uris: Vec<RedirectUri>,
    /// What it calls itself, which nobody has checked.
    pub(crate) name: Option<String>,
    pub(crate) scope: Option<String>,
    /// Members that are given back as they came.
    pub(crate) echoed: Map<String, Value>,
}

/// How many redirect URIs a client has.
const MAX_REDIRECT_URIS: usize = 10;
/// How long a name is, in characters: of a longer one the beginning is kept.
pub(super) const MAX_NAME: usize = 120;
/// The longest registration, in bytes.
const MAX_BODY: usize = 16 * 1024;
const BOUNDS: Bounds = Bounds { values: 256, depth: 8 };
/// Given back, and not used.
const ECHOED: [&str; 3] = ["client_uri", "software_id", "software_version"];
const MAX_ECHOED: usize = 512;

impl ClientMetadata {
    /// Reads the body of a registration.
    ///
    /// What it decides, in this order:
    ///
    /// 1. It is one JSON object of at most 16 KiB, with no member twice.
    /// 2. It has 1 to 10 redirect URIs, and [`RedirectUri`] takes each. A client that says it
    ///    is of the web has https ones alone.
    /// 3. It can use codes: `grant_types` and `response_types` name them, or are left out.
    ///
    /// # Errors
    ///
    /// `invalid_redirect_uri` and `invalid_client_metadata` (RFC 7591 §3.2.2).
    pub(crate) fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        let text = Some(body).filter(|body| body.len() <= MAX_BODY);
        let text = text.ok_or_else(|| invalid("the body is longer than 16 KiB"))?;
        let text = std::str::from_utf8(text).map_err(|_| invalid("the body is not UTF-8"))?;
        let object = json::read_object(text, BOUNDS).map_err(|refused| {
            invalid("the body is no JSON object").because(refused.to_string())
        })?;
        let redirect_uris = redirect_uris(&object)?;
        let application_type = string(&object, "application_type")?;
        if application_type == Some("web") && !redirect_uris.iter().all(RedirectUri::is_website) {
            let text = "application_type web has https redirect URIs alone: register as native";
            return Err(OAuthError::new(ErrorCode::InvalidRedirectUri, text));
        }
        contains(&object, "grant_types", "authorization_code")?;
        contains(&object, "response_types", "code")?;
        let name = string(&object, "client_name")?.map(|name| cut(name, MAX_NAME).into_owned());
        let scope = string(&object, "scope")?.map(str::to_owned);
        let mut echoed = Map::new();
        for member in ECHOED {
            let short = object.get(member).and_then(Value::as_str).unwrap_or_default();
            if !short.is_empty() && short.len() <= MAX_ECHOED {
                echoed.insert(member.to_owned(), short.into());
            }
        }
        if let Some(kind @ ("web" | "native")) = application_type {
            echoed.insert("application_type".to_owned(), kind.into());
        }
        Ok(Self { redirect_uris, name, scope, echoed })
    }
}

fn invalid(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, text)
}

fn redirect_uris(object: &Map<String, Value>) -> Result<Vec<RedirectUri>, OAuthError> {
    let invalid = |text: String| OAuthError::new(ErrorCode::InvalidRedirectUri, text);
    let texts = object.get("redirect_uris").and_then(Value::as_array);
    let texts = texts.filter(|texts| (1..=MAX_REDIRECT_URIS).contains(&texts.len()));
    let texts = texts.ok_or_else(|| invalid("redirect_uris has to name 1 to 10".to_owned()))?;
    let mut uris = Vec::with_capacity(texts.len());
    for (n, text) in texts.iter().enumerate() {
        let text = text.as_str().unwrap_or_default();
        let uri = RedirectUri::parse(text)
            .map_err(|error| invalid(format!("redirect_uris[{n}]: {}", error.as_str())))?;
        uris.push(uri);
    }
    Ok(uris)
}

/// A text; null and empty count as left out.
pub(super) fn string<'a>(
    object: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, OAuthError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => {
            let text = format!("{name} is not a string");
            Err(OAuthError::new(ErrorCode::InvalidClientMetadata, text))
        }
    }
}

/// A list that is left out has the one value that there is (RFC 7591 §2).
pub(super) fn contains(
    object: &Map<String, Value>,
    name: &'static str,
    value: &str,
) -> Result<(), OAuthError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(values)) if values.iter().any(|known| known == value) => Ok(()),
        Some(_) => {
            let text = format!("{name} has to contain {value}");
            Err(OAuthError::new(ErrorCode::InvalidClientMetadata, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URI: &str = "http://localhost:1/cb";

    fn refused(body: &[u8]) -> (ErrorCode, String) {
        let error = ClientMetadata::parse(body).unwrap_err();
        let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        assert!(!error.description.is_empty() && error.description.chars().all(plain), "{error:?}");
        (error.code, error.description.into_owned())
    }

    fn code(body: &Value) -> ErrorCode {
        refused(body.to_string().as_bytes()).0
    }

    #[test]
    fn rfc7591_3_2_2_redirect_uris_are_judged_one_by_one() {
        for uris in [json!([]), json!(null), json!("x"), json!([1]), json!([""]), json!({})] {
            assert_eq!(code(&json!({"redirect_uris": uris})), ErrorCode::InvalidRedirectUri);
        }
        assert_eq!(code(&json!({})), ErrorCode::InvalidRedirectUri);
        assert_eq!(code(&json!({"redirect_uris": vec![URI; 11]})), ErrorCode::InvalidRedirectUri);
        let (_, text) = refused(br#"{"redirect_uris": ["http://localhost/", "javascript:x"]}"#);
        assert!(text.starts_with("redirect_uris[1]: its scheme"), "{text}");
    }

    #[test]
    fn rfc7591_3_2_2_what_cannot_use_codes_is_refused() {
        for (name, value) in [
            ("grant_types", json!(["client_credentials"])),
            ("grant_types", json!([])),
            ("grant_types", json!("authorization_code")),
            ("response_types", json!(["token"])),
            ("client_name", json!(1)),
            ("scope", json!(["read"])),
            ("application_type", json!({})),
        ] {
            let body = json!({"redirect_uris": [URI], name: value});
            assert_eq!(code(&body), ErrorCode::InvalidClientMetadata, "{body}");
        }
    }

    #[test]
    fn r13_a_client_of_the_web_has_no_redirect_uri_on_a_device() {
        let of = |kind: &str, uri: &str| {
            let body = json!({"redirect_uris": [uri], "application_type": kind}).to_string();
            ClientMetadata::parse(body.as_bytes()).map(|metadata| metadata.echoed.len())
        };
        assert_eq!(of("web", "https://example.com/cb"), Ok(1));
        assert_eq!(of("native", "https://example.com/cb"), Ok(1));
        assert_eq!(of("native", URI), Ok(1));
        assert_eq!(of("", URI), Ok(0));
        for uri in [URI, "cursor://host/cb"] {
            assert_eq!(of("web", uri).unwrap_err().code, ErrorCode::InvalidRedirectUri);
        }
    }

    #[test]
    fn what_two_readers_would_read_differently_is_refused() {
        let twice = format!(r#"{{"redirect_uris":["{URI}"],"redirect_uris":["https://evil/"]}}"#);
        let deep =
            format!(r#"{{"redirect_uris":["{URI}"],"x":{}{}}}"#, "[".repeat(9), "]".repeat(9));
        let long = format!(r#"{{"redirect_uris":["{URI}"],"x":"{}"}}"#, "y".repeat(MAX_BODY));
        for body in
            [b"".as_slice(), b"[]", b"\xff", twice.as_bytes(), deep.as_bytes(), long.as_bytes()]
        {
            assert_eq!(refused(body).0, ErrorCode::InvalidClientMetadata);
        }
    }

    #[test]
    fn o17_of_a_long_name_the_beginning_is_kept() {
        let body = json!({"redirect_uris": [URI], "client_name": "ä".repeat(5_000)}).to_string();
        let name = ClientMetadata::parse(body.as_bytes()).unwrap().name.unwrap();
        assert_eq!(name, "ä".repeat(MAX_NAME) + "…");
    }
}
