//! Registration, the authorization request, and the code for a token.

use std::io::{self, BufRead};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis::guard::{ErrorChain, FetchRequest, Secret, Url};
use portcullis_guard::{digest, random};
use serde_json::{Value, json};

use super::client::{Client, unanswered};
use super::fault;
use super::issuer::Issuer;
use super::report::{Report, Step};
use crate::{Error, output};

/// Where the browser ends. Nobody listens there: its user copies the address.
const CALLBACK: &str = "http://127.0.0.1:33418/callback";

/// A sign-in that was begun.
#[derive(Debug)]
pub(crate) struct SignIn {
    client_id: String,
    verifier: Secret<String>,
    state: String,
    /// What the user opens.
    at: Url,
}

/// The id of the client: the given one, or one that it registers for (RFC 7591).
pub(crate) async fn client_id(
    client: &Client,
    issuer: &Issuer,
    given: Option<&str>,
    has_token: bool,
    report: &mut Report,
) -> Option<String> {
    if let Some(given) = given {
        report.skipped(Step::Registration, "a client id was given");
        return Some(given.to_owned());
    }
    let Some(at) = issuer.url("registration_endpoint") else {
        match issuer.is_true("client_id_metadata_document_supported") {
            true => report.skipped(
                Step::Registration,
                "clients name their metadata documents: give the URL of one as --client-id",
            ),
            // Whoever has a token was given it without registering.
            false => report.failed_unless(
                has_token,
                Step::Registration,
                fault::REGISTRATION_MISSING,
                "no way is announced",
            ),
        }
        return None;
    };
    let request = FetchRequest::post(&at).header("accept", "application/json").json(&json!({
        "client_name": "Portcullis doctor",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }));
    let answer = match client.send(&at, request).await {
        Ok(answer) => answer,
        Err(error) => {
            report.failed(Step::Registration, unanswered(&error), ErrorChain::new(&error));
            return None;
        }
    };
    let object = answer.object().unwrap_or_default();
    match object.get("client_id").and_then(Value::as_str) {
        Some(id) if answer.is_success() => {
            report.passed(Step::Registration, "a client may register with a callback on loopback");
            Some(id.to_owned())
        }
        _ => {
            let seen = format!("{at} answers {}", answer.told());
            report.failed(Step::Registration, fault::REGISTRATION_REFUSED, seen);
            None
        }
    }
}

impl SignIn {
    /// Begins one, as a client does for its user.
    pub(crate) async fn begin(
        client: &Client,
        issuer: &Issuer,
        client_id: String,
        resource: &Url,
        scope: Option<&str>,
        report: &mut Report,
    ) -> Result<Option<Self>, Error> {
        let Some(mut at) = issuer.url("authorization_endpoint") else { return Ok(None) };
        let verifier = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<32>()?);
        let state = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<16>()?);
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest::sha256(verifier.as_bytes()));
        at.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client_id)
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", &state)
            .append_pair("resource", resource.as_str());
        if let Some(scope) = scope {
            at.query_pairs_mut().append_pair("scope", scope);
        }
        let request = FetchRequest::get(&at).header("accept", "text/html");
        let answer = match client.send(&at, request).await {
            Ok(answer) => answer,
            Err(error) => {
                report.failed(Step::Authorize, unanswered(&error), ErrorChain::new(&error));
                return Ok(None);
            }
        };
        let to = Url::parse(answer.header("location")).ok();
        let error = to.as_ref().and_then(|to| parameter(to, "error"));
        if let Some(error) = error {
            let why = to.and_then(|to| parameter(&to, "error_description")).unwrap_or_default();
            report.failed(
                Step::Authorize,
                fault::AUTHORIZE_REFUSED,
                format_args!("{error}: {why}"),
            );
            return Ok(None);
        }
        if !(200..400).contains(&answer.status()) {
            let seen = format!("a request in order is answered {}", answer.told());
            report.failed(Step::Authorize, fault::AUTHORIZE_REFUSED, seen);
            return Ok(None);
        }
        report.passed(Step::Authorize, "the user is asked to sign in");
        Ok(Some(Self { client_id, verifier: Secret::known(verifier), state, at }))
    }

    /// Lets the user sign in, and redeems the code.
    pub(crate) async fn end(
        self,
        client: &Client,
        issuer: &Issuer,
        resource: &Url,
        report: &mut Report,
    ) -> Result<Option<Secret<String>>, Error> {
        output::note(format_args!(
            "\nOpen this address, and sign in:\n\n  {}\n\nThe browser ends at a page that cannot be \
             reached. Paste its address here:",
            self.at
        ));
        let mut pasted = String::new();
        io::stdin().lock().read_line(&mut pasted)?;
        let Ok(pasted) = Url::parse(pasted.trim()) else {
            return Err("that is no address: it begins with http://127.0.0.1".into());
        };
        let Some(code) = self.code(&pasted, issuer, report) else { return Ok(None) };
        let Some(at) = issuer.url("token_endpoint") else { return Ok(None) };
        let request = FetchRequest::post(&at).header("accept", "application/json").form([
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", CALLBACK),
            ("client_id", &self.client_id),
            ("code_verifier", self.verifier.expose()),
            ("resource", resource.as_str()),
        ]);
        let answer = match client.send(&at, request).await {
            Ok(answer) => answer,
            Err(error) => {
                report.failed(Step::Token, unanswered(&error), ErrorChain::new(&error));
                return Ok(None);
            }
        };
        if !answer.is_success() {
            let seen = format!("{at} answers {}", answer.told());
            report.failed(Step::Token, fault::CODE_REFUSED, seen);
            return Ok(None);
        }
        let object = answer.object().unwrap_or_default();
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let token = Secret::known(text("access_token").to_owned());
        // It may be left out; whatever is there is a number of seconds.
        let lasts = object.get("expires_in");
        let seconds = lasts.and_then(Value::as_u64).filter(|seconds| *seconds > 0);
        if token.expose().is_empty()
            || !text("token_type").eq_ignore_ascii_case("bearer")
            || lasts.is_some() != seconds.is_some()
        {
            let lasts = lasts.map_or("missing".to_owned(), Value::to_string);
            let seen = format!("token_type {:?}, expires_in {lasts}", text("token_type"));
            report.failed(Step::Token, fault::TOKEN_MALFORMED, seen);
            return Ok(None);
        }
        let lasts = seconds.map_or("an unknown time".to_owned(), |seconds| format!("{seconds} s"));
        report.passed(Step::Token, format_args!("a token, good for {lasts}"));
        Ok(Some(token))
    }

    fn code(&self, pasted: &Url, issuer: &Issuer, report: &mut Report) -> Option<Secret<String>> {
        if let Some(error) = parameter(pasted, "error") {
            let why = parameter(pasted, "error_description").unwrap_or_default();
            report.failed(Step::Token, fault::SIGN_IN_DENIED, format_args!("{error}: {why}"));
            return None;
        }
        let state = parameter(pasted, "state").unwrap_or_default();
        if state != self.state {
            report.failed(Step::Token, fault::STATE_DIFFERS, format_args!("state is {state:?}"));
            return None;
        }
        let iss = parameter(pasted, "iss");
        let announced = issuer.is_true("authorization_response_iss_parameter_supported");
        if iss.as_ref().map_or(announced, |iss| *iss != issuer.name) {
            report.failed(Step::Token, fault::ISS_DIFFERS, format_args!("iss is {iss:?}"));
            return None;
        }
        let code = parameter(pasted, "code");
        if code.is_none() {
            report.failed(Step::Token, fault::SIGN_IN_DENIED, "the address has no code");
        }
        code.map(Secret::known)
    }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
