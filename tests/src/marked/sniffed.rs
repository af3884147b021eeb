//! What of a server's start, of a request and of a response is a secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::note::{Owner, is_looked_for, note};
use super::search::Search;
use crate::sign_in::decoded;

/// Members of forms, queries and JSON whose values are secrets.
const MEMBERS: [&str; 13] = [
    "access_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token",
    "password",
    "refresh_token",
    "registration_access_token",
    "subject_token",
    "token",
    "api_key",
];
/// Parts of the names of variables whose values are secrets.
const VARIABLES: [&str; 4] = ["SECRET", "PASSWORD", "TOKEN", "PORTCULLIS_KEYS"];

/// Notes what a server is given at its start.
pub fn sniff_start(arguments: &[&str], variables: &[(&str, &str)]) {
    for pair in arguments.windows(2) {
        match pair {
            ["--client-secret", secret] => note(Owner::Server, secret),
            ["--client-secret-file" | "--key-file", file] => note_file(file),
            _ => {}
        }
    }
    for (name, value) in variables {
        if !VARIABLES.iter().any(|part| name.contains(part)) {
            note_url(value);
        } else if name.ends_with("_FILE") {
            note_file(value);
        } else {
            note_words(value);
        }
    }
}

fn note_file(path: &str) {
    note_words(&std::fs::read_to_string(path).unwrap_or_default());
}

/// Of a list of keys the keys, which have an id and a state beside them; of anything else all of it.
fn note_words(text: &str) {
    let keys: Vec<&str> =
        text.split_whitespace().filter(|word| word.starts_with("pck1_")).collect();
    match keys.is_empty() {
        true => note(Owner::Server, text),
        false => keys.into_iter().for_each(|key| note(Owner::Server, key)),
    }
}

/// The password of a URL such as that of Redis.
fn note_url(value: &str) {
    let user = value.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
    if let Some((_, password)) = user.and_then(|(user, _)| user.split_once(':')) {
        note(Owner::Server, password);
    }
}

/// Notes what a client shows: its token, its cookies, and what a form holds.
pub fn sniff_request(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut is_form = false;
    for (number, line) in head.lines().enumerate() {
        if number == 0 {
            let target = line.split(' ').nth(1).unwrap_or_default();
            note_pairs(target.split_once('?').map_or("", |(_, query)| query));
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => note_authorization(value.trim()),
            "cookie" => note_cookies(value.split(';')),
            "content-type" => is_form = value.contains("x-www-form-urlencoded"),
            _ => {}
        }
    }
    if is_form {
        note_pairs(body);
    }
}

/// Looks for the token of a request in its response, which has no reason to repeat it.
///
/// # Panics
///
/// When it is there.
pub fn check_reflection(request: &[u8], answer: &str) {
    let text = String::from_utf8_lossy(request);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let bearer = head.lines().filter_map(|line| line.strip_prefix("Authorization: Bearer "));
    let shown: Vec<&str> = bearer.map(str::trim).filter(|token| is_looked_for(token)).collect();
    if !shown.is_empty() {
        Search::new(shown.iter()).look(answer.as_bytes(), |found| {
            panic!("a response repeats the token of its request: {}", found.excerpt);
        });
    }
}

/// Notes what a response hands out.
pub fn sniff_response(headers: &[(String, String)], body: &str) {
    for (name, value) in headers {
        match name.as_str() {
            "set-cookie" => note_cookies(value.split(';').take(1)),
            "location" => note_pairs(value.split_once('?').map_or("", |(_, query)| query)),
            _ => {}
        }
    }
    if body.starts_with('{') && MEMBERS.iter().any(|member| body.contains(member)) {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        for member in MEMBERS {
            if let Some(value) = json.get(member).and_then(Value::as_str) {
                note(Owner::Client, value);
            }
        }
    }
}

fn note_authorization(value: &str) {
    let (scheme, credentials) = value.split_once(' ').unwrap_or(("", value));
    note(Owner::Client, credentials);
    let basic = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(credentials).ok());
    let basic = basic.flatten().and_then(|pair| String::from_utf8(pair).ok());
    if let Some((_, secret)) = basic.as_deref().and_then(|pair| pair.split_once(':')) {
        note(Owner::Client, secret);
    }
}

fn note_cookies<'a>(cookies: impl Iterator<Item = &'a str>) {
    for (_, value) in cookies.filter_map(|cookie| cookie.split_once('=')) {
        note(Owner::Client, value);
    }
}

fn note_pairs(pairs: &str) {
    for (name, value) in pairs.split('&').filter_map(|pair| pair.split_once('=')) {
        if MEMBERS.contains(&name)
            && let Some(value) = decoded(value)
        {
            note(Owner::Client, &value);
        }
    }
}
