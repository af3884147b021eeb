//! Known secrets, and the search for them in what rests.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use portcullis::guard::{Clock, SystemClock};
use portcullis::store::{RecordOwner, RecordValue, Store};

/// What a thief would look for in what rests.
pub const SECRETS: [&str; 3] =
    ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "alice+admin@example.com", "pass/word? 4&more"];

/// The spellings of a secret in which it would be looked for.
pub fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let hex = |digit: fn(u8) -> String| bytes.iter().map(|byte| digit(*byte)).collect::<String>();
    let percent = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let texts = [
        secret.to_owned(),
        hex(|byte| format!("{byte:02x}")),
        hex(|byte| format!("{byte:02X}")),
        hex(|byte| format!("%{byte:02X}")),
        bytes.iter().map(|byte| percent(*byte)).collect(),
    ];
    let mut spellings: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    spellings.push(secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
    // In base64 the same text has three spellings, by what stands before it: whole groups of each.
    for skipped in 0..3 {
        let whole = &bytes[skipped..][..(bytes.len() - skipped) / 3 * 3];
        spellings.push(STANDARD_NO_PAD.encode(whole).into_bytes());
        spellings.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
    }
    spellings
}

/// As JSON and `Debug` write it, once and in a text that is JSON itself.
pub fn escaped(secret: &str) -> impl Iterator<Item = Vec<u8>> {
    let within = |text: String| text[1..text.len() - 1].to_owned();
    let json = |text: &str| within(serde_json::Value::from(text).to_string());
    let once = [json(secret), within(format!("{secret:?}"))];
    let twice = once.clone().map(|once| json(&once));
    once.into_iter().chain(twice).map(String::into_bytes)
}

/// How many of the spellings are in what rests.
pub fn found(resting: &[u8], secret: &str) -> usize {
    let is_there =
        |spelling: &Vec<u8>| resting.windows(spelling.len()).any(|part| part == spelling);
    spellings(secret).into_iter().filter(is_there).count()
}

/// Stores every spelling of each, under keys that are made of them too.
pub async fn fill(store: impl Store) {
    let in_an_hour = SystemClock.now() + Duration::from_secs(3600);
    for secret in SECRETS {
        let owner = RecordOwner::new("token", [secret]);
        for (number, spelling) in spellings(secret).into_iter().enumerate() {
            let text = [b"{\"token\":\"", spelling.as_slice(), b"\"}"].concat();
            let key = owner.key([secret, &number.to_string()]);
            store.put(&key, RecordValue::new(text).unwrap(), in_an_hour).await.unwrap();
        }
        assert_eq!(store.list(&owner, 100).await.unwrap().len(), spellings(secret).len());
    }
}
