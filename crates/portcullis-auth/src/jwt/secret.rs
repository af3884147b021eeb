//! What is not a secret, although somebody gave it for one (RFC 8725 §2.1, §3.5).

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use portcullis_guard::signature::public_form;

/// How many different bytes a secret has at least; a random one has many more.
const MIN_DISTINCT: usize = 8;
/// How often one encoding within another is undone: a PEM text in base64, a key in that.
const DEPTH: usize = 3;
/// Digits that are so many are a modulus.
const DIGITS_OF_A_MODULUS: usize = 200;
/// What stands in examples and templates for a secret. None is short enough to be in a random
/// text by chance.
const PLACEHOLDERS: [&str; 13] = [
    "changeme",
    "changethis",
    "changeit",
    "yoursecret",
    "yourjwtsecret",
    "your256bitsecret",
    "yourkey",
    "replaceme",
    "replacethis",
    "placeholder",
    "supersecret",
    "secretkey",
    "examplesecret",
];
/// How the names of files with keys end.
const FILES: [&str; 8] = [".pem", ".key", ".pub", ".crt", ".cer", ".der", ".json", ".txt"];

const BASE64: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// What makes a text no secret, if anything does: a public key above all, in whichever form
/// programs write and consoles show it.
pub(super) fn weakness(secret: &str) -> Option<String> {
    let told = |problem: &str| Some(problem.to_owned());
    if let Some(form) = public_text(secret, DEPTH) {
        return Some(form);
    }
    if let Some(what) = no_key(secret) {
        return Some(format!("is {what}, not a secret"));
    }
    let mut bytes = secret.bytes().collect::<Vec<_>>();
    bytes.sort_unstable();
    bytes.dedup();
    if secret.trim() != secret {
        told("begins or ends with white space: remove it")
    } else if secret.len() >= 32 && bytes.len() < MIN_DISTINCT {
        told("repeats only a few characters: make one with `openssl rand -base64 64`")
    } else {
        None
    }
}

/// A key or a document that holds one, as a text.
fn public_text(text: &str, depth: usize) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    // RFC 7468; RFC 4716, which has four dashes and a space.
    if text.contains("-----BEGIN") || text.contains("---- BEGIN") {
        return Some("is PEM text: a public key is not a secret".to_owned());
    }
    if text.starts_with(['{', '[']) && !text.starts_with("{{") {
        return Some("is JSON text: give the decoded value of `k`".to_owned());
    }
    if text.starts_with('<') {
        return Some("is XML or a placeholder, not a secret".to_owned());
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && text.len() >= DIGITS_OF_A_MODULUS {
        return Some(
            "is a number as long as an RSA modulus: a public key is not a secret".to_owned(),
        );
    }
    // A line of SSH's has options before the key, and a comment after it.
    let words = text.split_whitespace().filter(|word| word.len() < text.len());
    words.chain([text]).find_map(|part| public_bytes(part, depth))
}

/// A key in base64, base64url or hexadecimal digits.
fn public_bytes(text: &str, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let compact = text.replace(char::is_whitespace, "");
    let standard = GeneralPurpose::new(&STANDARD, BASE64).decode(&compact).ok();
    let url_safe = GeneralPurpose::new(&URL_SAFE, BASE64).decode(&compact).ok();
    [hexadecimal(&compact), standard, url_safe].into_iter().flatten().find_map(|bytes| {
        if let Some(form) = public_form(&bytes) {
            return Some(format!("is {form} without its PEM frame, not a secret"));
        }
        public_text(str::from_utf8(&bytes).ok()?, depth)
    })
}

/// As OpenSSL shows them: with colons, or after `Modulus=`.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let text = ["Modulus=", "0x"].iter().find_map(|p| text.strip_prefix(p)).unwrap_or(text);
    let digits = text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16));
    let digits: Vec<u8> = digits.map(|digit| u8::try_from(digit?).ok()).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high * 16 + low),
        _ => None,
    });
    pairs.collect()
}

/// What stands where a secret belongs, but is not one.
fn no_key(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let variable = |rest: &str| {
        !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let shell = text.strip_prefix('$').is_some_and(variable);
    let windows =
        text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).is_some_and(variable);
    let expression = ["${", "$(", "{{"].iter().any(|begin| text.contains(begin));
    if text.contains("://") {
        return Some("a URL");
    }
    if shell || windows || expression {
        return Some("an unexpanded variable");
    }
    if is_path(text) {
        return Some("the path of a file");
    }
    let letters: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let letters = letters.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|known| letters.contains(known)).then_some("a placeholder")
}

fn is_path(text: &str) -> bool {
    let relative = ["./", "../", "~/", "file:"].iter().any(|begin| text.starts_with(begin));
    let named = FILES.iter().any(|end| text.to_ascii_lowercase().ends_with(end));
    let drive =
        matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    // A random text in base64 may begin with a slash; it has letters of both cases then.
    let base64 = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let random = base64 && text.bytes().any(|b| b.is_ascii_uppercase());
    let absolute = text.starts_with('/') && (!random || text.starts_with("/Users/"));
    relative || named || drive || absolute
}
