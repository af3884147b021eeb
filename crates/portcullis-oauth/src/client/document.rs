//! The metadata document of a client, and what it may say.

use std::sync::Arc;

use portcullis_guard::fetch::{Fetch, Fetched};
use portcullis_guard::json::{self, Bounds};
use portcullis_guard::media_type::is_json;
use portcullis_guard::text::{cut, quoted};
use serde_json::{Map, Value};

use super::authentication::{Audiences, Authentication, ClientKeys, KeyFetch};
use super::document_url::DocumentUrl;
use super::metadata::{MAX_NAME, contains, string};
use super::redirect_uri::RedirectUri;
use super::{Client, ClientSource};

/// The largest document, in bytes (draft-ietf-oauth-client-id-metadata-document, "Maximum Response
/// Size").
pub(crate) const MAX_DOCUMENT: usize = 5 * 1024;
const BOUNDS: Bounds = Bounds { values: 512, depth: 8 };
const MAX_REDIRECT_URIS: usize = 32;

/// Reads the metadata document of a client.
///
/// What it decides, in this order:
///
/// 1. It is JSON, and says so: one object, with no member twice.
/// 2. `client_id` is the address that it was fetched from, byte for byte.
/// 3. It has no secret, and no way to authenticate that needs one: everybody can read it.
/// 4. `client_name` is there; a long one is cut.
/// 5. Of `redirect_uris` those count that [`RedirectUri`] takes and that the website may name: https of
///    its own origin or of a host below, loopback, and the schemes of apps. At least one has to count.
/// 6. It can use codes: `grant_types` and `response_types` name them, or are left out.
/// 7. With `private_key_jwt`, either `jwks` or `jwks_uri` has keys that verify something, eight at most.
///
/// Other members are ignored; no address but `jwks_uri` is ever fetched.
///
/// # Errors
///
/// Says for the log what is wrong.
pub(crate) fn read(
    fetched: &Fetched,
    url: &DocumentUrl,
    audiences: &Audiences,
    keys: &Fetch,
) -> Result<Client, String> {
    if !is_json(fetched.content_type.as_deref().unwrap_or_default()) {
        let given = fetched.content_type.as_deref().map_or("missing".to_owned(), quoted);
        return Err(format!("the Content-Type is {given}, not application/json"));
    }
    let text = str::from_utf8(&fetched.body).map_err(|_| "it is not UTF-8")?;
    let object = json::read_object(text, BOUNDS).map_err(|refused| refused.to_string())?;
    let invalid = |error: crate::error::OAuthError| error.description.into_owned();
    let client_id = string(&object, "client_id").map_err(invalid)?;
    if client_id != Some(url.as_str()) {
        let named = client_id.map_or("missing".to_owned(), quoted);
        return Err(format!("client_id is {named}, which is not its address"));
    }
    if ["client_secret", "client_secret_expires_at"].iter().any(|name| object.contains_key(*name)) {
        return Err("it has a client_secret, which everybody can read".to_owned());
    }
    let name = string(&object, "client_name").map_err(invalid)?;
    let name = name.ok_or("client_name is missing")?;
    contains(&object, "grant_types", "authorization_code").map_err(invalid)?;
    contains(&object, "response_types", "code").map_err(invalid)?;
    Ok(Client {
        name: Some(cut(name, MAX_NAME).into_owned()),
        redirect_uris: redirect_uris(&object, url)?,
        source: ClientSource::Document { website: url.website().to_owned() },
        authentication: authentication(&object, url, audiences, keys)?,
    })
}

fn redirect_uris(
    object: &Map<String, Value>,
    url: &DocumentUrl,
) -> Result<Vec<RedirectUri>, String> {
    let texts = object.get("redirect_uris").and_then(Value::as_array);
    let texts = texts.filter(|texts| (1..=MAX_REDIRECT_URIS).contains(&texts.len()));
    let texts = texts.ok_or("redirect_uris does not name 1 to 32")?;
    let mut uris = Vec::with_capacity(texts.len());
    for text in texts {
        let text = text.as_str().ok_or("redirect_uris holds something that is not a string")?;
        match RedirectUri::parse(text) {
            Ok(uri) if !uri.is_website() || url.answers_for(text) => uris.push(uri),
            Ok(_) => tracing::debug!(uri = quoted(text), "a redirect URI of another website"),
            Err(error) => tracing::debug!(uri = quoted(text), why = error.as_str(), "left out"),
        }
    }
    match uris.is_empty() {
        true => {
            Err("it has no redirect URI of its own website, of loopback or of an app".to_owned())
        }
        false => Ok(uris),
    }
}

fn authentication(
    object: &Map<String, Value>,
    url: &DocumentUrl,
    audiences: &Audiences,
    fetch: &Fetch,
) -> Result<Authentication, String> {
    let method = string(object, "token_endpoint_auth_method");
    match method.map_err(|error| error.description.into_owned())? {
        None | Some("none") => return Ok(Authentication::None),
        Some("private_key_jwt") => {}
        Some(other) => {
            return Err(format!("token_endpoint_auth_method is {}", quoted(other)));
        }
    }
    let keys = match (object.get("jwks"), object.get("jwks_uri")) {
        (Some(set @ Value::Object(_)), None) => ClientKeys::Inline(set.to_string()),
        (None, Some(Value::String(uri))) => ClientKeys::At(uri.clone()),
        _ => return Err("private_key_jwt needs either jwks or jwks_uri".to_owned()),
    };
    audiences
        .verifier(url.as_str(), &keys, KeyFetch::Shared(fetch))
        .map(Arc::new)
        .map(Authentication::Keys)
}

#[cfg(test)]
mod tests {
    use portcullis_guard::SystemClock;
    use serde_json::json;

    use super::*;

    const URL: &str = "https://app.example.com/oauth/client.json";

    fn document() -> Value {
        json!({
            "client_id": URL,
            "client_name": "An app",
            "redirect_uris": ["https://app.example.com/cb", "http://127.0.0.1/callback"],
            "token_endpoint_auth_method": "none",
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut document = document();
        document[name] = value;
        document
    }

    fn read_as(content_type: &str, body: &[u8]) -> Result<Client, String> {
        let fetched = Fetched {
            status: 200,
            cache_control: None,
            content_type: Some(content_type.to_owned()),
            headers: Default::default(),
            body: body.to_vec().into(),
        };
        let url = DocumentUrl::parse(URL, false).unwrap();
        let audiences = Audiences::new("https://mcp.example.com", Arc::new(SystemClock));
        read(&fetched, &url, &audiences, &Fetch::builder().build().unwrap())
    }

    fn parse(document: &Value) -> Result<Client, String> {
        read_as("application/json", document.to_string().as_bytes())
    }

    #[test]
    fn m02_a_document_says_the_address_that_it_was_fetched_from_byte_for_byte() {
        assert!(parse(&document()).is_ok());
        for other in [
            json!("https://app.example.com/oauth/client.json/"),
            json!("https://app.example.com:443/oauth/client.json"),
            json!("https://app.example.com/oauth/client.json?x"),
            json!("https://App.example.com/oauth/client.json"),
            json!("https://app.example.com/oauth/Client.json"),
            json!("https://evil.example/oauth/client.json"),
            json!([URL]),
            json!(null),
            json!(""),
        ] {
            assert!(parse(&with("client_id", other.clone())).is_err(), "{other}");
        }
    }

    #[test]
    fn a_document_is_json_with_a_name_and_redirect_uris_and_without_secrets() {
        for (name, value) in [
            ("client_name", json!(null)),
            ("client_name", json!("")),
            ("client_name", json!(1)),
            ("redirect_uris", json!(null)),
            ("redirect_uris", json!([])),
            ("redirect_uris", json!("https://app.example.com/cb")),
            ("redirect_uris", json!([1])),
            ("redirect_uris", json!(vec!["http://127.0.0.1/cb"; 33])),
            ("redirect_uris", json!(["https://evil.example/cb", "javascript:x"])),
            ("client_secret", json!("x")),
            ("client_secret_expires_at", json!(0)),
            ("token_endpoint_auth_method", json!("client_secret_basic")),
            ("token_endpoint_auth_method", json!("client_secret_post")),
            ("token_endpoint_auth_method", json!("client_secret_jwt")),
            ("token_endpoint_auth_method", json!("private_key_jwt")),
            ("grant_types", json!(["client_credentials"])),
            ("response_types", json!(["token"])),
        ] {
            assert!(parse(&with(name, value.clone())).is_err(), "{name} {value}");
        }
        let text = document().to_string();
        for kind in ["text/html", "text/plain", "application/jsonp", "application/javascript", ""] {
            assert!(read_as(kind, text.as_bytes()).is_err(), "{kind}");
        }
        for kind in ["application/json; charset=utf-8", "application/oauth-client+json"] {
            assert!(read_as(kind, text.as_bytes()).is_ok(), "{kind}");
        }
        let twice = text.replacen('{', r#"{"client_name":"x","#, 1);
        for body in [b"".as_slice(), b"[]", b"\xff", twice.as_bytes()] {
            assert!(read_as("application/json", body).is_err());
        }
    }

    #[test]
    fn of_its_redirect_uris_those_remain_that_are_its_own() {
        let uris = json!([
            "https://app.example.com/cb",
            "https://beta.app.example.com/cb",
            "https://example.com/cb",
            "https://evil.example/cb",
            "http://localhost/callback",
            "http://192.0.2.1/cb",
            "cursor://host/cb",
            "javascript:x",
        ]);
        let client = parse(&with("redirect_uris", uris)).unwrap();
        let kept: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
        assert_eq!(
            kept,
            [
                "https://app.example.com/cb",
                "https://beta.app.example.com/cb",
                "http://localhost/callback",
                "cursor://host/cb"
            ]
        );
        let website = "app.example.com".to_owned();
        assert_eq!(client.source, ClientSource::Document { website });
    }

    #[test]
    fn o17_of_a_long_name_the_beginning_is_kept() {
        let client = parse(&with("client_name", json!("ä".repeat(1_000)))).unwrap();
        assert_eq!(client.name.unwrap().chars().count(), MAX_NAME + 1);
    }

    #[test]
    fn o31_keys_of_a_document_are_public_and_never_on_an_internal_address() {
        let keys = |members: Value| {
            let mut document = with("token_endpoint_auth_method", json!("private_key_jwt"));
            for (name, value) in members.as_object().unwrap() {
                document[name] = value.clone();
            }
            parse(&document)
        };
        let x = "11qYAyeJ-CSXvuh4XsUJ1JRKWoFhSwY6ZNBn8dDS4QY";
        let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]});
        let client = keys(json!({"jwks": set})).unwrap();
        assert!(!client.authentication.is_public());
        assert!(keys(json!({"jwks_uri": "https://app.example.com/jwks"})).is_ok());
        for refused in [
            json!({"jwks": set, "jwks_uri": "https://app.example.com/jwks"}),
            json!({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}),
            json!({"jwks": {"keys": []}}),
            json!({"jwks": "{}"}),
            json!({"jwks_uri": "http://app.example.com/jwks"}),
            json!({"jwks_uri": "https://169.254.169.254/jwks"}),
            json!({"jwks_uri": "https://localhost/jwks"}),
            json!({"jwks_uri": "http://127.0.0.1:8000/jwks"}),
            json!({"jwks_uri": "file:///etc/passwd"}),
        ] {
            assert!(keys(refused.clone()).is_err(), "{refused}");
        }
    }
}
