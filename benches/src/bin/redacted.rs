//! What redaction costs: a result of 100 KB in which 50 known secrets are looked for.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use portcullis::guard::Secret;
use portcullis::guard::redaction::{REDACTED, redact};

const SECRETS: u64 = 50;
const BYTES: usize = 100_000;
/// How often each text is looked at; the fastest look counts.
const ROUNDS: usize = 2_000;

/// At most so long for a text that holds no secret, in microseconds.
const LIMIT: f64 = 40.0;

fn main() -> ExitCode {
    let prose = "It is the duty of whoever keeps a gate to know who goes in, and who goes out. ";
    let texts = [
        ("prose", prose.chars().cycle().take(BYTES).collect()),
        (
            "digits of base64",
            text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
        ),
        ("hexadecimal digits", text(b"0123456789abcdef")),
    ];
    let without = texts.each_ref().map(|(_, text)| fastest(text));
    let secrets: Vec<Secret<String>> = (1..=SECRETS).map(secret).collect();
    let mut is_fast = true;
    for ((name, text), without) in texts.iter().zip(without) {
        let with = fastest(text);
        is_fast &= with <= LIMIT;
        println!("{name}: {with:.1} µs (limit {LIMIT}); {without:.3} µs without secrets");
        assert_eq!(redact(text), *text, "no secret is in it");
    }
    let mut found: String = texts[0].1.clone();
    found.insert_str(BYTES / 2, secrets[7].expose());
    assert!(redact(&found).contains(REDACTED), "one that is in it is found");
    println!("prose with a secret: {:.1} µs", fastest(&found));
    if is_fast { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The shortest of many looks at a text, in microseconds.
fn fastest(text: &str) -> f64 {
    let look = || {
        let begun = Instant::now();
        black_box(redact(black_box(text)));
        begun.elapsed()
    };
    let fastest = (0..ROUNDS).map(|_| look()).min().unwrap_or_default();
    fastest.as_secs_f64() * 1e6
}

/// A secret of 40 letters and digits, as services make them.
fn secret(number: u64) -> Secret<String> {
    let mut random = Random(number);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    Secret::known((0..40).map(|_| random.of(letters)).collect())
}

fn text(digits: &[u8]) -> String {
    let mut random = Random(SECRETS + 1);
    (0..BYTES).map(|_| random.of(digits)).collect()
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn of(&mut self, letters: &[u8]) -> char {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(letters[(self.0 >> 33) as usize % letters.len()])
    }
}
