//! Which client sends a request to the token or revocation endpoint, and how it proves that (RFC 6749
//! §2.3, §3.2.1; RFC 7521 §4.2).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response};
use portcullis_auth::EndpointRequest;
use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::quoted;
use serde_json::Value;

use super::noted;
use crate::client::{Credentials, TooMany};
use crate::error::{ErrorCode, OAuthError};
use crate::parameters::Parameters;
use crate::server::AuthorizationServer;

/// The id of the client, which has proven that it is itself, if it can.
///
/// What it decides, in this order:
///
/// 1. Body, Basic credentials and assertion name one client, whichever of them do (rule 22).
/// 2. The client is known.
/// 3. No address shows more than 120 assertions a minute, and all together no more than 3,000: each good
///    one is remembered until it ends.
/// 4. It is public, or its credentials are right ([`Clients`](crate::client::Clients)).
///
/// # Errors
///
/// `invalid_client`, and `temporarily_unavailable` where it cannot be told.
pub(super) async fn authenticate(
    server: &AuthorizationServer,
    request: &EndpointRequest,
    form: &Parameters,
) -> Result<String, OAuthError> {
    let (client_id, credentials) = shown(&request.head.headers, form)?;
    let client = server.clients.find(&client_id, request.remote).await?;
    if credentials.assertion.is_some() {
        let now = server.clock.now();
        let of_address = server.assertions_of_one.count(request.remote, now);
        let counted = of_address.and_then(|()| server.assertions.count(None, now));
        counted.map_err(|TooMany| {
            OAuthError::new(ErrorCode::SlowDown, "too many assertions: try again in a minute")
        })?;
    }
    server.clients.authenticate(&client_id, &client, &credentials).await?;
    noted::about_client(&request.notes, &client_id, &client);
    Ok(client_id)
}

/// The answer to a request that is refused. A client that sent credentials in a header is told
/// which ones are meant (RFC 6749 §5.2).
pub(super) fn refused(
    server: &AuthorizationServer,
    headers: &HeaderMap,
    error: OAuthError,
) -> Response<Vec<u8>> {
    // Anybody can cause it.
    if let Some(dropped) = server.clients.throttle.pass() {
        let cause = quoted(error.cause.as_deref().unwrap_or(&error.description));
        let error = error.code.as_str();
        tracing::info!(error, cause, dropped, "refused by the token endpoint");
    }
    let challenged = error.code == ErrorCode::InvalidClient && headers.contains_key(AUTHORIZATION);
    let slow_down = error.code == ErrorCode::SlowDown;
    let mut response = error.into_response();
    if challenged {
        let basic = HeaderValue::from_static("Basic realm=\"token\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, basic);
    }
    if slow_down {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn refuse(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, description)
}

/// Who a request says that it is from, and what it shows for it.
fn shown(headers: &HeaderMap, form: &Parameters) -> Result<(String, Credentials), OAuthError> {
    let basic = basic(headers)?;
    let mut credentials = Credentials::default();
    let mut named = form.value("client_id").map(str::to_owned);
    if let Some(basic) = basic {
        named = Some(basic.id(named.as_deref())?);
        if !basic.password.is_empty() {
            credentials.methods += 1;
            credentials.secrets.extend(readings(&basic.password));
        }
    }
    if let Some(secret) = form.value("client_secret") {
        credentials.methods += 1;
        credentials.secrets.push(secret.to_owned());
    }
    if let Some(assertion) = form.value("client_assertion") {
        if form.value("client_assertion_type") != Some(JWT_BEARER) {
            return Err(refuse("client_assertion_type has to be that of jwt-bearer"));
        }
        credentials.methods += 1;
        let subject = subject(assertion).ok_or_else(|| refuse("client_assertion is no JWT"))?;
        if named.as_ref().is_some_and(|named| *named != subject) {
            return Err(refuse("client_id differs from the client_assertion"));
        }
        named = Some(subject);
        credentials.assertion = Some(assertion.to_owned());
    }
    let named = named.ok_or_else(|| refuse("client_id is missing"))?;
    Ok((named, credentials))
}

/// Basic credentials (RFC 7617 §2), as they were sent.
struct Basic {
    user: String,
    password: String,
}

impl Basic {
    /// The id in it, which is `named` where the body names one.
    fn id(&self, named: Option<&str>) -> Result<String, OAuthError> {
        let [raw, decoded] = readings(&self.user);
        match named {
            Some(named) if named == raw || named == decoded => Ok(named.to_owned()),
            Some(_) => Err(refuse("client_id differs from the Basic credentials")),
            // No id of ours has a character that encoding changes, but those that are addresses.
            None => Ok(decoded),
        }
    }
}

/// A value as it stands, and as one that was encoded like a form (RFC 6749 §2.3.1): some clients send
/// the one, some the other. Percent-encoding alone is read by the second too.
fn readings(value: &str) -> [String; 2] {
    let decoded = form_urlencoded::parse(value.replace('&', "%26").replace('=', "%3D").as_bytes())
        .next()
        .map(|(text, _)| text.into_owned());
    [value.to_owned(), decoded.unwrap_or_default()]
}

fn basic(headers: &HeaderMap) -> Result<Option<Basic>, OAuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(refuse("there is more than one Authorization header")),
        (Some(value), None) => {
            let text = "the Authorization header has no Basic credentials of a client";
            let read = value.to_str().ok().and_then(decoded);
            read.map(Some).ok_or_else(|| refuse(text))
        }
        (None, None) => Ok(None),
    }
}

fn decoded(header: &str) -> Option<Basic> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    let (user, password) = (user.to_owned(), password.to_owned());
    (!user.is_empty()).then_some(Basic { user, password })
}

/// `sub` of a JWT that nobody has verified yet: it says whose keys are to verify it.
fn subject(jwt: &str) -> Option<String> {
    const BOUNDS: Bounds = Bounds { values: 1_024, depth: 16 };
    const LONGEST: usize = 16 * 1024;
    let mut parts = jwt.split('.').filter(|_| jwt.len() <= LONGEST);
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims = json::read_object(str::from_utf8(&payload).ok()?, BOUNDS).ok()?;
    claims.get("sub").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[&str], body: &str) -> Result<(String, Credentials), ErrorCode> {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let form = Parameters::parse(body.as_bytes()).unwrap();
        shown(&map, &form).map_err(|error| error.code)
    }

    fn of(headers: &[&str], body: &str) -> Result<String, ErrorCode> {
        read(headers, body).map(|(id, _)| id)
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn rule_22_the_client_is_named_in_the_body_or_by_basic_credentials_which_agree() {
        assert_eq!(of(&[], "client_id=a").as_deref(), Ok("a"));
        for credentials in ["a:", "a:secret", "a:with:colons"] {
            assert_eq!(of(&[&basic(credentials)], "").as_deref(), Ok("a"), "{credentials}");
            assert_eq!(of(&[&basic(credentials)], "client_id=a").as_deref(), Ok("a"));
        }
        let url = "https%3A%2F%2Fapp.example.com%2Fclient";
        assert_eq!(
            of(&[&basic(&format!("{url}:"))], "").as_deref(),
            Ok("https://app.example.com/client")
        );
        assert!(of(&[&basic(&format!("{url}:"))], &format!("client_id={url}")).is_ok());
        let refused = Err(ErrorCode::InvalidClient);
        assert_eq!(of(&[], ""), refused);
        assert_eq!(of(&[&basic("a:")], "client_id=b"), refused);
        assert_eq!(of(&[&basic("a:"), &basic("a:")], ""), refused);
        for header in ["Bearer a", "Basic", "Basic !", &basic("a"), &basic(":x")] {
            assert_eq!(of(&[header], "client_id=a"), refused, "{header}");
        }
    }

    #[test]
    fn rule_22_a_secret_is_read_in_each_way_in_which_clients_encode_it() {
        for (sent, secret) in [
            ("a:s%20e%2Bc", "s e+c"),
            ("a:s+e%2Bc", "s e+c"),
            ("a:s e+c", "s e+c"),
            ("a:s&e=c", "s&e=c"),
            ("a:s%26e%3Dc", "s&e=c"),
            ("a:plain-_", "plain-_"),
        ] {
            let (_, credentials) = read(&[&basic(sent)], "").unwrap();
            assert!(credentials.secrets.iter().any(|read| read == secret), "{sent}");
            assert_eq!(credentials.methods, 1);
        }
        let (_, post) = read(&[], "client_id=a&client_secret=s%20e%2Bc").unwrap();
        assert_eq!((post.secrets, post.methods), (vec!["s e+c".to_owned()], 1));
        let (_, both) = read(&[&basic("a:x")], "client_id=a&client_secret=y").unwrap();
        assert_eq!(both.methods, 2);
        let (_, none) = read(&[&basic("a:")], "client_id=a").unwrap();
        assert_eq!((none.secrets.len(), none.methods), (0, 0));
    }

    #[test]
    fn o31_an_assertion_names_the_client_and_says_what_it_is() {
        let form = |claims: &str, rest: &str| {
            let kind = form_urlencoded::byte_serialize(JWT_BEARER.as_bytes()).collect::<String>();
            format!("client_assertion_type={kind}&client_assertion={}{rest}", jwt(claims))
        };
        let (id, shown) = read(&[], &form(r#"{"sub":"a"}"#, "")).unwrap();
        assert_eq!((id.as_str(), shown.methods), ("a", 1));
        assert!(shown.assertion.is_some());
        assert!(read(&[], &form(r#"{"sub":"a"}"#, "&client_id=a")).is_ok());
        for (claims, rest) in [
            (r#"{"sub":"a"}"#, "&client_id=b"),
            (r#"{"sub":["a"]}"#, "&client_id=a"),
            (r#"{"iss":"a"}"#, "&client_id=a"),
            (r#"{"sub":"b","sub":"a"}"#, "&client_id=a"),
            ("[]", "&client_id=a"),
        ] {
            assert_eq!(of(&[], &form(claims, rest)), Err(ErrorCode::InvalidClient), "{claims}");
        }
        let untyped = format!("client_id=a&client_assertion={}", jwt(r#"{"sub":"a"}"#));
        assert_eq!(of(&[], &untyped), Err(ErrorCode::InvalidClient));
        assert_eq!(
            of(&[], &format!("{untyped}&client_assertion_type=x")),
            Err(ErrorCode::InvalidClient)
        );
    }
}
