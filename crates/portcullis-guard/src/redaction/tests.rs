//! Secrets in every spelling, and many of them at once.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::matcher::Matcher;
use super::*;
use crate::Secret;

const SECRET: &str = "p\u{e4}ss/word? 4\"&\\more+~.\u{1f511}";

/// What the matcher of one secret makes of a text: the registry is one for all tests.
fn redacted(secret: &str, text: &str) -> String {
    let matcher = Matcher::new([secret.as_bytes()].into_iter()).unwrap();
    let bytes = text.as_bytes();
    into_text(matcher.redact(bytes).unwrap_or_else(|| bytes.to_vec()))
}

#[test]
fn e08_a_secret_is_found_in_every_spelling() {
    let bytes = SECRET.as_bytes();
    let percent = |left: &str| -> String {
        let each = bytes.iter().map(|byte| match char::from(*byte) {
            letter if letter.is_ascii_alphanumeric() || left.contains(letter) => letter.to_string(),
            _ => format!("%{byte:02X}"),
        });
        each.collect()
    };
    let json = serde_json::to_string(SECRET).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for spelling in [
        SECRET.to_owned(),
        json.trim_matches('"').to_owned(),
        json.trim_matches('"').replace('/', "\\/"),
        r#"p\u00e4ss/word? 4\"&\\more+~.\ud83d\udd11"#.to_owned(),
        r#"p\u00E4ss/word? 4\"&\\more+~.\uD83D\uDD11"#.to_owned(),
        format!("{SECRET:?}").trim_matches('"').to_owned(),
        percent(""),
        percent("-._~"),
        percent("-._~").to_lowercase(),
        bytes.iter().map(|byte| format!("%{byte:02X}")).collect(),
        percent("-._~!'()*"),
        percent("-._* ").replace(' ', "+"),
        percent("-_.~!'()*;,/?:@&=+$#"),
        hex.to_uppercase(),
        hex,
        STANDARD.encode(SECRET),
        STANDARD.encode(SECRET).trim_end_matches('=').to_owned(),
        URL_SAFE.encode(SECRET),
    ] {
        for (before, after) in [("", ""), ("key: \"", "\" and more"), ("\u{1f511}", "\u{1f511}")] {
            let text = format!("{before}{spelling}{after}");
            assert_eq!(redacted(SECRET, &text), format!("{before}{REDACTED}{after}"), "{spelling}");
        }
    }
}

#[test]
fn e08_what_debug_and_json_escape_otherwise_is_found_in_both() {
    let secret = "it's\u{1b} a \"secret\"\u{7f}";
    for spelling in [format!("{secret:?}"), serde_json::to_string(secret).unwrap()] {
        assert_eq!(redacted(secret, &spelling), "\"[redacted]\"", "{spelling}");
        // As a log writes a text that is JSON.
        for twice in [format!("{spelling:?}"), serde_json::to_string(&spelling).unwrap()] {
            assert_eq!(redacted(secret, &twice), r#""\"[redacted]\"""#, "{twice}");
        }
    }
}

#[test]
fn e08_in_a_longer_text_in_base64_no_byte_of_the_secret_stays() {
    for length in 8..40 {
        let secret = &"9f1c0e7bA2d84f6d9c3b5a7e8f0d1c2bXyZ!~ab"[..length];
        for before in 0..8 {
            let text = format!("{}{secret}{}", &"........"[..before], "____");
            for (encoded, engine) in
                [(STANDARD.encode(&text), STANDARD), (URL_SAFE.encode(&text), URL_SAFE)]
            {
                let left = redacted(secret, &encoded);
                let (head, tail) = left.split_once(REDACTED).unwrap();
                for part in [&head[..head.len() / 4 * 4], &tail[tail.len() % 4..]] {
                    let part = engine.decode(part).unwrap();
                    assert!(part.iter().all(|byte| b"._".contains(byte)), "{text}: {left}");
                }
            }
        }
    }
}

#[test]
fn e08_a_private_key_is_found_line_by_line() {
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPkq\nq3b0v9+JxkT1sZ\nAA==\n-----END PRIVATE KEY-----";
    let text =
        "  -----BEGIN PRIVATE KEY-----\r\n  MC4CAQAwBQYDK2VwBCIEIPkq\r\n  q3b0v9+JxkT1sZ\r\n";
    let expected = "  -----BEGIN PRIVATE KEY-----\r\n  [redacted]\r\n  [redacted]\r\n";
    assert_eq!(redacted(key, text), expected);
    // Where there is no line to look for, the whole is.
    assert_eq!(redacted("ab\ncd\nef\ngh", "x ab\ncd\nef\ngh y"), "x [redacted] y");
}

#[test]
fn secrets_that_overlap_are_one_and_others_are_two() {
    let matcher = |secrets: &[&'static str]| {
        Matcher::new(secrets.iter().map(|secret| secret.as_bytes())).unwrap()
    };
    let matcher = matcher(&["abcdefghij", "efghijklmnop", "efghijkl"]);
    let redacted = |text: &str| into_text(matcher.redact(text.as_bytes()).unwrap());
    assert_eq!(redacted("..abcdefghijklmnop.."), "..[redacted]..");
    assert_eq!(redacted("abcdefghijabcdefghij"), "[redacted][redacted]");
    assert_eq!(redacted("abcdefghij and efghijkl"), "[redacted] and [redacted]");
    assert!(matcher.redact(b"abcdefghi, and nothing else").is_none());
    assert!(!matcher.finds(b""));
}

/// Against a search that looks everywhere, in texts that are made of pieces of the secrets.
#[test]
fn e08_what_is_found_is_what_a_slow_search_finds() {
    let mut seed = 1_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut found = 0;
    for _ in 0..2_000 {
        let letters = 2 + random(3);
        let mut word = |length: usize| -> String {
            (0..length).map(|_| char::from(b'a' + random(letters) as u8)).collect()
        };
        let secrets: Vec<String> = (8..12).map(&mut word).collect();
        let mut text = word(60);
        text.insert_str(13, &secrets[0]);
        let matcher = Matcher::new(secrets.iter().map(|secret| secret.as_bytes())).unwrap();
        let mut hidden = vec![false; text.len()];
        for secret in &secrets {
            for start in 0..text.len() {
                if text[start..].starts_with(secret.as_str()) {
                    hidden[start..start + secret.len()].fill(true);
                }
            }
        }
        let kept: String = text
            .chars()
            .zip(&hidden)
            .filter(|(_, hidden)| !**hidden)
            .map(|(letter, _)| letter)
            .collect();
        let redacted = into_text(matcher.redact(text.as_bytes()).unwrap());
        assert_eq!(redacted.replace(REDACTED, ""), kept, "{secrets:?} in {text}");
        found += hidden.iter().filter(|hidden| **hidden).count();
    }
    assert!(found > 16_000, "{found}");
}

#[test]
fn e08_a_secret_is_known_as_long_as_a_copy_lives_and_for_all_threads() {
    let secret = "e08-lives-as-long-as-a-copy";
    let known = Secret::known(secret.to_owned());
    let copy = known.clone();
    let in_a_thread = || std::thread::spawn(move || redact(secret).into_owned()).join().unwrap();
    assert_eq!((redact(secret).into_owned(), in_a_thread()), (REDACTED.into(), REDACTED.into()));
    drop(known);
    assert_eq!((redact(secret).into_owned(), in_a_thread()), (REDACTED.into(), REDACTED.into()));
    drop(copy);
    assert_eq!((redact(secret).into_owned(), in_a_thread()), (secret.into(), secret.into()));
    // Of the same secret twice, one is enough.
    let (first, second) = (Secret::known(secret.to_owned()), Secret::known(secret.to_owned()));
    drop(first);
    assert_eq!(redact(secret), REDACTED);
    drop(second);
}

#[test]
fn e08_a_secret_of_the_environment_is_known_after_what_held_it_is_gone() {
    use crate::Environment;
    use crate::environment::{Variable, Variables};
    use crate::secret_source::EnvironmentSecret;

    let environment = Environment::from_pairs([("A", "e08-read-once"), ("B", "e08-read-by-name")]);
    let variable = Variable { name: "A", kind: "String", default: None, may_be_file: false };
    drop(Variables::new(&environment).required_secret::<String>(variable));
    drop(EnvironmentSecret::new(&environment, "B"));
    drop(environment);
    for secret in ["e08-read-once", "e08-read-by-name"] {
        assert_eq!(redact(secret), REDACTED);
    }
}

#[test]
fn e08_short_secrets_are_not_looked_for() {
    let short = Secret::known(" e08-abc\n".to_owned());
    assert!(short.matches(" e08-abc\n"));
    assert_eq!(redact("e08-abc"), "e08-abc");
}

#[test]
fn e08_secrets_come_and_go_while_many_threads_redact() {
    let stays = Secret::known("e08-stays-known-all-the-time".to_owned());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    drop(Secret::known("e08-comes-and-goes".to_owned()));
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    assert_eq!(redact("<e08-stays-known-all-the-time>"), "<[redacted]>");
                }
            });
        }
    });
    drop(stays);
}

#[test]
fn e08_values_that_take_turns_push_no_older_one_out() {
    let values = KnownValues::default();
    values.add(b"e08-the-oldest-of-three", "the test");
    for _ in 0..20 {
        values.add(b"e08-one-of-two-in-turns", "the test");
        values.add(b"e08-other-of-two-in-turns", "the test");
    }
    assert_eq!(redact("e08-the-oldest-of-three"), "[redacted]");
}

#[test]
fn e08_the_same_secret_again_is_the_one_that_is_known() {
    let values = KnownValues::default();
    // The second is too short to be looked for: it is not warned of again.
    for secret in [&b"e08-the-same-again"[..], b"e08-one"] {
        let known = Known::new(secret, "the test");
        assert!(Arc::ptr_eq(&known, &Known::new(secret, "the test")));
        for _ in 0..20 {
            values.add(secret, "the test");
        }
        // Other tests hold it while they look for secrets.
        let takes_one_place = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            Arc::strong_count(&known) == 2
        });
        assert!(takes_one_place, "of 16 values, it takes one place");
        assert!(!Arc::ptr_eq(&known, &Known::new(b"e08-another", "the test")));
    }
    assert_eq!(redact("e08-the-same-again, e08-one"), "[redacted], e08-one");
}
