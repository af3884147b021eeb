//! Wycheproof's vectors and the RFCs' examples.

use serde_json::{Map, Value, json};

use super::super::compact::CompactJws;
use super::super::key::Key;
use super::super::key_set::KeySet;
use super::*;

/// Whether the key or set of keys `jwk` verifies `jws`.
fn verifies(jwk: &Value, jws: &str) -> bool {
    let Ok(parsed) = CompactJws::parse(jws) else { return false };
    let set = match jwk.get("keys").and_then(Value::as_array) {
        Some(keys) => keys.clone(),
        None => vec![jwk.clone()],
    };
    // A secret is configured by itself, and without an id.
    let keys = match set.as_slice() {
        [secret] if secret["kty"] == "oct" => secret_key(secret),
        set => KeySet::read(&json!({"keys": set}).to_string(), &asymmetric()).ok(),
    };
    keys.is_some_and(|keys| keys.verify(&parsed).is_ok())
}

fn asymmetric() -> Vec<Algorithm> {
    Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()).collect()
}

fn secret_key(jwk: &Value) -> Option<KeySet> {
    let secret = URL_SAFE_NO_PAD.decode(jwk["k"].as_str()?).ok()?;
    let algorithm = jwk["alg"].as_str().map_or(Some(Algorithm::HS256), Algorithm::parse)?;
    Key::secret(&secret, &[algorithm]).map(KeySet::of).ok()
}

/// Where we differ from the vectors, and why.
const DIFFERENT: [(&str, u64, &str); 10] = [
    ("key", 2, "stricter: symmetric keys in a set are never used"),
    ("crypto", 48, "stricter: as key 2"),
    ("signature", 346, "stricter: the key says `alg` PS256, the token PS384 (RFC 7517 §4.4)"),
    ("signature", 350, "stricter: as 346"),
    ("signature", 347, "stricter: the key says `alg` ES521, which no RFC knows"),
    ("signature", 351, "stricter: as 347"),
    ("signature", 372, "stricter: a `?` in the header is no base64url"),
    ("signature", 373, "stricter: a `?` in the payload is no base64url"),
    ("signature", 367, "the same text as the valid 357: what its comment speaks of is not there"),
    ("signature", 370, "the same text as the valid 357: what its comment speaks of is not there"),
];

#[test]
fn wycheproof_json_web_signatures_and_keys() {
    let (mut counted, mut wrong) = (0, Vec::new());
    for (file, text) in [
        (
            "signature",
            include_str!("../../../vectors/wycheproof-jose/json_web_signature_test.json"),
        ),
        ("key", include_str!("../../../vectors/wycheproof-jose/json_web_key_test.json")),
        ("crypto", include_str!("../../../vectors/wycheproof-jose/json_web_crypto_test.json")),
    ] {
        let vectors: Map<String, Value> = serde_json::from_str(text).unwrap();
        for group in vectors["testGroups"].as_array().unwrap() {
            let key = group.get("public").unwrap_or(&group["private"]);
            for test in group["tests"].as_array().unwrap() {
                // Encrypted tokens are not served at all.
                let jws = test.get("jws").unwrap_or(&test["jwe"]);
                let jws = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
                let id = test["tcId"].as_u64().unwrap();
                let different = DIFFERENT.iter().any(|(of, own, _)| *of == file && *own == id);
                let valid = test["result"] == "valid" && test.get("jws").is_some();
                if verifies(key, &jws) != (valid ^ different) {
                    let comment = (&group["comment"], &test["comment"]);
                    wrong.push(format!("{file} {id}: {comment:?} {key} {jws}"));
                }
                counted += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(counted, 401 + 26 + 83);
}

/// The claims of RFC 7519 §3.1, in the RFCs' own spelling.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn rfc7515_a1_and_rfc7519_3_1_hs256() {
    let key = json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"});
    let jws = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    assert!(verifies(&key, &jws));
    assert_eq!(CompactJws::parse(&jws).unwrap().claims().unwrap()["exp"], 1_300_819_380);
}

#[test]
fn rfc7515_a2_rs256() {
    let key = json!({"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"});
    let jws = format!(
        "eyJhbGciOiJSUzI1NiJ9.{JOE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    assert!(verifies(&key, &jws));
}

#[test]
fn rfc7515_a3_es256() {
    let key = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let jws = format!(
        "eyJhbGciOiJFUzI1NiJ9.{JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert!(verifies(&key, &jws));
}

#[test]
fn rfc7515_a4_es512_of_a_payload_that_is_no_json() {
    let key = json!({"kty": "EC", "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"});
    let jws = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    assert!(verifies(&key, jws));
    assert!(
        CompactJws::parse(jws).unwrap().claims().is_err(),
        "the signature is good, the claims are not"
    );
}

#[test]
fn rfc7515_a5_and_rfc7519_6_1_an_unsecured_token_is_refused() {
    assert!(CompactJws::parse(&format!("eyJhbGciOiJub25lIn0.{JOE}.")).is_err());
}

#[test]
fn rfc8037_a4_eddsa() {
    let key =
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let jws = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(verifies(&key, jws));
    let renamed = "eyJhbGciOiJFZDI1NTE5In0.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.UxhIYLHGg39NVCLpQAVD_UcfOmnGSCzLFZoXYkLiIbFccmOb_qObsgjzLKsfJw-4NlccUgvYrEHrRbNV0HcZAQ";
    assert!(verifies(&key, renamed), "RFC 9864 names it Ed25519");
}
