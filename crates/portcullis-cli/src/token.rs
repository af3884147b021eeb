//! `portcullis token`: a token for a server that verifies with a shared secret.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::auth::JwtVerifier;
use portcullis::guard::{Clock, Environment, Secret, SystemClock};
use portcullis_guard::random;
use portcullis_guard::signature::{MacHash, MacKey};
use serde_json::json;

use crate::arguments::TokenCommand;
use crate::{Error, output};

const SECRET: &str = "JWT_HMAC_SECRET";
const ALGORITHM: &str = "HS256";
const SECRET_FILE: &str = "JWT_HMAC_SECRET_FILE";
/// What the token says its client is.
const CLIENT_ID: &str = "portcullis-token";
/// How long it may be good: it is for trying a server, and nothing takes it back.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn run(command: &TokenCommand) -> Result<(), Error> {
    if command.expires > LONGEST {
        return Err(
            "a token that is made by hand is good for a day at most: name a shorter --expires"
                .into(),
        );
    }
    let environment = Environment::process();
    let secret = secret(&environment)?;
    let algorithms = environment.variable("JWT_ALGORITHMS");
    if algorithms.is_some_and(|names| !parts(names).any(|name| name == ALGORITHM)) {
        return Err(format!("JWT_ALGORITHMS leaves out {ALGORITHM}, which this signs with").into());
    }
    let named = |flag: Option<&str>, variable: &str, name: &str| {
        let value = flag.or(environment.variable(variable)).map(str::to_owned);
        value.ok_or_else(|| format!("set {variable}, or name {name}"))
    };
    let issuer = named(command.issuer.as_deref(), "JWT_ISSUER", "--issuer")?;
    let audiences = named(command.audience.as_deref(), "JWT_AUDIENCE", "--audience")?;
    // Of several the first, as the server parts them.
    let audience = parts(&audiences).next().unwrap_or_default();
    // It says what is wrong with them in the words of the server.
    JwtVerifier::hmac(secret.clone()).issuer(&issuer).audience(audience).build()?;
    let now = SystemClock.now().duration_since(UNIX_EPOCH)?;
    let id = URL_SAFE_NO_PAD.encode(random::bytes::<16>()?);
    let mut claims = json!({
        "iss": issuer,
        "aud": audience,
        "sub": command.subject,
        "client_id": CLIENT_ID,
        "jti": id,
        "iat": now.as_secs(),
        "exp": now.saturating_add(command.expires).as_secs(),
    });
    if let (false, Some(claims)) = (command.scope.is_empty(), claims.as_object_mut()) {
        claims.insert("scope".to_owned(), command.scope.join(" ").into());
    }
    let header = json!({"alg": ALGORITHM, "typ": "at+jwt"});
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let input = format!("{header}.{claims}");
    let key = MacKey::new(MacHash::Sha256, secret.expose().as_bytes())
        .map_err(|error| format!("{SECRET}: {error}"))?;
    let code = URL_SAFE_NO_PAD.encode(key.code(input.as_bytes()));
    Ok(output::result(&format!("{input}.{code}"))?)
}

/// The parts of a list, as the server reads one.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty())
}

fn secret(environment: &Environment) -> Result<Secret<String>, Error> {
    let named = match (environment.variable(SECRET), environment.variable(SECRET_FILE)) {
        (Some(_), Some(_)) => {
            return Err(format!("{SECRET} and {SECRET_FILE} are both set: unset one").into());
        }
        (None, Some(path)) => &environment.clone().with_variable_from_file(SECRET, path)?,
        (_, None) => environment,
    };
    let secret = named.variable(SECRET).ok_or_else(|| {
        format!(
            "set {SECRET} or {SECRET_FILE}, as the server has it: one with public keys takes no token \
             that is made here"
        )
    })?;
    // As the server reads a file.
    let line = secret.strip_suffix('\n').unwrap_or(secret);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}
