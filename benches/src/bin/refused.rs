//! What it costs to refuse tokens that no key of the issuer verifies.
//!
//! The issuer has nine RSA keys of 2,048 bits, and the tokens name none of them, so that each of
//! them could be by eight. A token that is sent again over HTTP/2 is an index in the table of
//! header compression (RFC 7541): with its frame, that is 14 bytes.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use aws_lc_rs::digest;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use benches::Result;
use benches::issuer::{AUDIENCE, ISSUER};
use portcullis::auth::{BearerToken, JwtVerifier, TokenVerifier};
use serde_json::{Value, json};

const KEYS: usize = 9;
const TOKENS: usize = 2_000;
/// A frame of 9 bytes, and 5 fields that the table has already.
const BYTES_AGAIN: f64 = 14.0;
/// The most CPU time that a KiB of refused tokens may take, in milliseconds.
const LIMIT: f64 = 5.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints both figures; whether they are within the limit.
async fn run() -> Result<bool> {
    let url = publish()?;
    let builder = JwtVerifier::jwks(url).issuer(ISSUER).audience(AUDIENCE);
    let verifier = builder.allow_loopback_idp().build()?;
    verifier.ready().await?;
    let tokens: Vec<BearerToken> =
        (0..TOKENS).map(|number| stray(number).as_str().into()).collect();
    let each = measure(&verifier, tokens.iter()).await?;
    let last = tokens.last().ok_or("there is a token")?;
    let again = measure(&verifier, std::iter::repeat_n(last, TOKENS)).await?;
    // The characters of base64 take 6 bits of Huffman's code on average (RFC 7541 §B).
    let bytes = stray(0).len() as f64 * 0.75;
    let mut within = true;
    for (what, cpu, bytes) in
        [("another token each time", each, bytes), ("the same token again", again, BYTES_AGAIN)]
    {
        let per_kib = cpu / 1e3 * 1024.0 / bytes;
        within &= per_kib <= LIMIT;
        println!("{what}: {cpu:.1} µs of CPU, {bytes:.0} bytes, {per_kib:.2} ms per KiB");
    }
    Ok(within)
}

/// CPU time for each of `tokens`, in microseconds.
async fn measure(
    verifier: &JwtVerifier,
    tokens: impl Iterator<Item = &BearerToken>,
) -> Result<f64> {
    let (mut asked, begun) = (0.0, cpu_time()?);
    for token in tokens {
        if verifier.verify(token).await.is_ok() {
            return Err("nobody signed it".into());
        }
        asked += 1.0;
    }
    Ok((cpu_time()? - begun) / asked)
}

/// CPU time of this thread, in microseconds.
fn cpu_time() -> Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().ok_or("schedstat is empty")?.parse()?;
    Ok(nanoseconds / 1e3)
}

/// A token without a key id, with a signature of the right length.
fn stray(number: usize) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let seed = digest::digest(&digest::SHA256, &number.to_be_bytes());
    let mut signature = seed.as_ref().repeat(8);
    if let Some(first) = signature.first_mut() {
        // Below every modulus, or it would not be looked at.
        *first &= 0x7f;
    }
    let (header, claims) = (part(&json!({"alg": "RS256"})), part(&json!({"n": number})));
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Serves a JWK set of new keys on loopback; gives its URL.
fn publish() -> Result<String> {
    let mut keys = Vec::new();
    for number in 0..KEYS {
        let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
        // RSAPublicKey of RFC 8017 §A.1.1, with lengths of two bytes and a zero in front.
        let modulus = key.public_key().as_ref().get(9..9 + 256).ok_or("the modulus is there")?;
        let modulus = URL_SAFE_NO_PAD.encode(modulus);
        keys.push(json!({"kty": "RSA", "kid": number.to_string(), "n": modulus, "e": "AQAB"}));
    }
    let socket = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/jwks", socket.local_addr()?);
    let body = json!({ "keys": keys }).to_string();
    std::thread::spawn(move || {
        for mut stream in socket.incoming().map_while(std::result::Result::ok) {
            let length = body.len();
            let _ = stream.read(&mut [0; 4096]);
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            let _ = stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice());
        }
    });
    Ok(url)
}
