//! Public values that are configured as a secret by mistake.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair};
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

use super::*;

fn hex(bytes: &[u8], between: &str) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(between)
}

/// A text of SSH's: its length, and itself.
fn ssh(parts: &[&[u8]]) -> Vec<u8> {
    let with_length = |part: &&[u8]| [&(part.len() as u32).to_be_bytes()[..], part].concat();
    parts.iter().flat_map(with_length).collect()
}

fn lines(text: &str) -> String {
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}

/// Why a secret is refused at the start, if it is.
fn problem(secret: &str) -> Option<JwtProblem> {
    let builder = JwtVerifier::hmac(Secret::new(secret.to_owned())).issuer(ISSUER);
    let error = builder.audience(AUDIENCE).build().err()?;
    assert_eq!(error.problems().len(), 1, "{error}");
    error.problems().first().cloned()
}

#[test]
fn trial_a8_a_public_key_is_no_secret_in_whichever_spelling() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let info: PublicKeyX509Der<'_> = rsa.public_key().as_der().unwrap();
    let (info, plain) = (info.as_ref(), rsa.public_key().as_ref());
    // RSAPublicKey of RFC 8017 §A.1.1, with lengths of two bytes and a zero in front.
    let (n, e) = (plain[9..9 + 256].to_vec(), [1, 0, 1]);
    let signed_n = [&[0][..], &n].concat();
    let rsa_ssh = ssh(&[b"ssh-rsa", &e, &signed_n]);
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = ec.public_key().as_ref();
    let ec_ssh = ssh(&[b"ecdsa-sha2-nistp256", b"nistp256", point]);
    let ed = Issuer::new("ed");
    let ed_ssh = ssh(&[b"ssh-ed25519", ed.key.public_key().as_ref()]);
    let pem = |label: &str, der: &[u8]| {
        let body = lines(&STANDARD.encode(der));
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let rfc4716 = format!(
        "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"a\"\n{}\n---- END SSH2 PUBLIC KEY ----\n",
        lines(&STANDARD.encode(&rsa_ssh))
    );
    let mut spellings = vec![
        pem("PUBLIC KEY", info),
        pem("RSA PUBLIC KEY", plain),
        pem("CERTIFICATE", info),
        rfc4716,
        STANDARD.encode(pem("PUBLIC KEY", info)),
        encode(pem("PUBLIC KEY", info).as_bytes()),
        STANDARD.encode(STANDARD.encode(pem("PUBLIC KEY", info))),
        hex(pem("PUBLIC KEY", info).as_bytes(), ""),
        format!("{{\"kty\":\"RSA\",\"n\":\"{}\",\"e\":\"AQAB\"}}", encode(&n)),
        STANDARD.encode(ed.jwk().to_string()),
        format!("Modulus={}", hex(&n, "").to_uppercase()),
        format!("<RSAKeyValue><Modulus>{}</Modulus></RSAKeyValue>", STANDARD.encode(&n)),
        "7".repeat(50) + &"12345678901234567890".repeat(28),
        format!("from=\"10.0.0.1\",no-pty ssh-rsa {} alice@example.com", STANDARD.encode(&rsa_ssh)),
    ];
    for (name, blob) in
        [("ssh-rsa", &rsa_ssh), ("ecdsa-sha2-nistp256", &ec_ssh), ("ssh-ed25519", &ed_ssh)]
    {
        spellings.push(format!("{name} {} alice@example.com", STANDARD.encode(blob)));
        spellings.push(format!("{name} {}\n", STANDARD.encode(blob)));
    }
    let ed_info =
        [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0], ed.key.public_key().as_ref()]
            .concat();
    for bytes in
        [info, plain, &n, &signed_n, point, &point[1..], &rsa_ssh, &ec_ssh, &ed_ssh, &ed_info]
    {
        spellings.extend([
            STANDARD.encode(bytes),
            STANDARD_NO_PAD.encode(bytes),
            URL_SAFE.encode(bytes),
            encode(bytes),
            lines(&STANDARD.encode(bytes)),
            hex(bytes, ""),
            hex(bytes, "").to_uppercase(),
            hex(bytes, ":"),
            format!("0x{}", hex(bytes, "")),
        ]);
    }
    for spelling in spellings {
        let problem = problem(&spelling).unwrap_or_else(|| panic!("it started: {spelling}"));
        assert_eq!(problem.kind(), JwtProblemKind::WeakSecret, "{spelling}: {problem}");
        assert!(!problem.text().contains(&spelling), "{problem}");
    }
}

#[test]
fn trial_a8_what_stands_for_a_secret_is_none() {
    for (text, what) in [
        ("https://vault.example.com/v1/secret/data/jwt", "a URL"),
        ("vault://secret/data/portcullis/jwt-signing", "a URL"),
        ("${JWT_HMAC_SECRET_OF_THIS_DEPLOYMENT}", "an unexpanded variable"),
        ("prefix-${JWT_HMAC_SECRET}-and-more-text", "an unexpanded variable"),
        ("$JWT_HMAC_SECRET_OF_THIS_DEPLOYMENT", "an unexpanded variable"),
        ("%JWT_HMAC_SECRET_OF_THIS_DEPLOYMENT%", "an unexpanded variable"),
        ("$(cat /run/secrets/jwt-hmac-secret)", "an unexpanded variable"),
        ("{{ .Values.jwt.hmacSecret | quote }}", "an unexpanded variable"),
        ("${{ secrets.JWT_HMAC_SECRET_PRODUCTION }}", "an unexpanded variable"),
        ("/run/secrets/jwt_hmac_secret_of_production", "the path of a file"),
        ("/etc/portcullis/secrets/jwt/hmac/current", "the path of a file"),
        ("/Users/alice/portcullis/secrets/hmac/current", "the path of a file"),
        ("./secrets/jwt-hmac-secret-of-production", "the path of a file"),
        ("C:\\ProgramData\\portcullis\\hmac-secret", "the path of a file"),
        ("secrets/jwt-hmac-secret-of-production.key", "the path of a file"),
        ("<your secret of at least 32 characters here>", "XML or a placeholder"),
        ("your-256-bit-secret-your-256-bit-secret", "a placeholder"),
        ("change-me-change-me-change-me-0123456789", "a placeholder"),
        ("CHANGEME_CHANGEME_CHANGEME_0123456789", "a placeholder"),
        ("a_placeholder_for_the_secret_in_vault", "a placeholder"),
    ] {
        let problem = problem(text).unwrap_or_else(|| panic!("it started: {text}"));
        assert_eq!(problem.kind(), JwtProblemKind::WeakSecret, "{text}");
        assert_eq!(problem.text(), format!("the secret is {what}, not a secret"), "{text}");
    }
}

#[test]
fn trial_a8_random_secrets_are_taken_in_every_spelling() {
    let random = |length: usize, seed: u8| {
        let blocks = (0..length.div_ceil(32))
            .map(|block| portcullis_guard::digest::sha256(&[seed, u8::try_from(block).unwrap()]));
        blocks.flatten().take(length).collect::<Vec<u8>>()
    };
    for seed in 0..=255 {
        for length in [32, 48, 64, 96] {
            let bytes = random(length, seed);
            for text in [STANDARD.encode(&bytes), encode(&bytes), hex(&bytes, "")] {
                let problem = problem(&text);
                assert_eq!(problem, None, "{text}");
                let slash = format!("/{text}");
                let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit());
                let standard = !text.contains(['-', '_']);
                if standard && !hexadecimal {
                    assert!(super::super::secret::weakness(&slash).is_none(), "{slash}");
                }
            }
        }
    }
}
