//! Clients that authenticate with a key of their own.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::signature::{Scheme, SigningKey};

use super::website::Website;
use super::*;
use crate::client::{Clients, Credentials, Shared};
use crate::error::ErrorCode;
use crate::{PreRegisteredClient, Registration};

const NOW: u64 = 1_800_000_000;
const ID: &str = "ci.example-1";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client with a key pair.
struct Signer {
    key: SigningKey,
    kid: &'static str,
}

impl Signer {
    fn new(scheme: Scheme, kid: &'static str) -> Self {
        Self { key: SigningKey::generate(scheme).unwrap(), kid }
    }

    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = self.key.public_key();
        match (public.coordinates(), public.ed25519_point()) {
            (Some((x, y)), _) => json!({
                "kty": "EC", "crv": "P-256", "kid": self.kid, "x": encode(x), "y": encode(y),
            }),
            (None, Some(x)) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": encode(x)})
            }
            (None, None) => unreachable!("a key of another kind"),
        }
    }

    fn jwks(&self) -> Value {
        json!({"keys": [self.jwk()]})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(&self) -> Value {
        let algorithm = match self.key.scheme() {
            Scheme::Ed25519 => "EdDSA",
            _ => "ES256",
        };
        json!({"alg": algorithm, "kid": self.kid, "typ": "JWT"})
    }

    /// An assertion of the client `id`, with `changes`: null leaves a claim out.
    fn assertion(&self, id: &str, changes: &Value) -> String {
        let mut claims = json!({
            "iss": id,
            "sub": id,
            "aud": ORIGIN,
            "iat": NOW,
            "exp": NOW + 60,
            "jti": portcullis_guard::Reference::new().to_string(),
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        self.sign(&self.header(), &claims)
    }
}

fn policy(signer: &Signer) -> ClientPolicy {
    let client = PreRegisteredClient::new(ID, [CALLBACK]).jwk_set(signer.jwks().to_string());
    ClientPolicy::new(Registration::Off).client(client)
}

/// What revoking an unknown token says, which any client may that proves who it is.
async fn shown(site: &Site, assertion: &str, further: &[(&str, &str)]) -> Answer {
    let fields =
        [("token", "x"), ("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)];
    site.post("/revoke", &[&fields[..], further].concat()).await
}

#[tokio::test]
async fn o31_a_client_signs_in_with_its_key_and_no_client_id_beside() {
    for scheme in [Scheme::Ed25519, Scheme::EcdsaP256Sha256] {
        let signer = Signer::new(scheme, "a");
        let site = Site::with_policy(policy(&signer));
        let metadata = site.fetch("/.well-known/oauth-authorization-server").await.json();
        let methods = &metadata["token_endpoint_auth_methods_supported"];
        assert_eq!(*methods, json!(["none", "private_key_jwt"]));
        let algorithms =
            metadata["token_endpoint_auth_signing_alg_values_supported"].as_array().unwrap();
        assert!(algorithms.contains(&json!("ES256")) && algorithms.contains(&json!("EdDSA")));
        assert!(algorithms.iter().all(|name| !name.as_str().unwrap().starts_with("HS")));

        let form = site.open(ID).await;
        let answer = site.consent(&form, "allow", PASSWORD).await;
        let token_endpoint = format!("{ORIGIN}/token");
        let assertion = signer.assertion(ID, &json!({"aud": token_endpoint}));
        let fields =
            [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion.as_str())];
        let redeemed = site.redeem_with(ID, &answer, &fields, &[]).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
        for audience in [json!(ORIGIN), json!([ORIGIN]), json!([token_endpoint])] {
            let assertion = signer.assertion(ID, &json!({"aud": audience}));
            assert_eq!(shown(&site, &assertion, &[]).await.status, StatusCode::OK, "{audience}");
        }
        // RFC 7523 section 3: `iat` may be left out.
        let assertion = signer.assertion(ID, &json!({"iat": null}));
        assert_eq!(shown(&site, &assertion, &[]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn o31_an_assertion_that_is_not_for_here_and_now_is_refused_in_one_text() {
    let signer = Signer::new(Scheme::EcdsaP256Sha256, "a");
    let site = Site::with_policy(policy(&signer));
    let unknown = shown(&site, &signer.assertion("nobody", &json!({})), &[]).await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    for changes in [
        json!({"aud": null}),
        json!({"aud": "https://evil.example"}),
        json!({"aud": format!("{ORIGIN}/mcp")}),
        json!({"aud": format!("{ORIGIN}/revoke")}),
        json!({"aud": [ORIGIN, "https://evil.example"]}),
        json!({"aud": []}),
        json!({"iss": "other"}),
        json!({"iss": ORIGIN}),
        json!({"iss": null}),
        json!({"exp": null}),
        json!({"exp": NOW - 31}),
        json!({"exp": NOW + 331}),
        json!({"exp": NOW + 315_360_000}),
        json!({"exp": "1800000060"}),
        json!({"nbf": NOW + 60}),
        json!({"iat": NOW + 60}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 1}),
        json!({"jti": "x".repeat(256)}),
    ] {
        let refused = shown(&site, &signer.assertion(ID, &changes), &[]).await;
        assert_eq!((refused.status, &refused.body), (unknown.status, &unknown.body), "{changes}");
    }
    let longest = signer.assertion(ID, &json!({"exp": NOW + 330}));
    assert_eq!(shown(&site, &longest, &[]).await.status, StatusCode::OK);
    let none = site.post("/revoke", &[("token", "x"), ("client_id", ID)]).await;
    assert_eq!((none.status, none.body), (unknown.status, unknown.body));
    let subject = shown(&site, &signer.assertion(ID, &json!({"sub": "other"})), &[]).await;
    assert_eq!(subject.status, StatusCode::UNAUTHORIZED);
    let secret = [("client_id", ID), ("client_secret", "x")];
    let both = shown(&site, &signer.assertion(ID, &json!({})), &secret).await;
    assert_eq!(both.json()["error"], "invalid_request");
}

#[tokio::test]
async fn o31_an_assertion_has_the_type_of_one_or_none() {
    let signer = Signer::new(Scheme::Ed25519, "a");
    let site = Site::with_policy(policy(&signer));
    for (typ, status) in [
        (json!(null), StatusCode::OK),
        (json!("JWT"), StatusCode::OK),
        (json!("client-authentication+jwt"), StatusCode::OK),
        (json!("application/client-authentication+jwt"), StatusCode::OK),
        (json!("at+jwt"), StatusCode::UNAUTHORIZED),
        (json!("order-paid+jwt"), StatusCode::UNAUTHORIZED),
        (json!("client-authentication"), StatusCode::UNAUTHORIZED),
        (json!(""), StatusCode::UNAUTHORIZED),
    ] {
        let mut header = signer.header();
        match &typ {
            Value::Null => drop(header.as_object_mut().unwrap().remove("typ")),
            typ => header["typ"] = typ.clone(),
        }
        let jti = portcullis_guard::Reference::new().to_string();
        let claims = json!({"iss": ID, "sub": ID, "aud": ORIGIN, "exp": NOW + 60, "jti": jti});
        let answer = shown(&site, &signer.sign(&header, &claims), &[]).await;
        assert_eq!(answer.status, status, "{typ}");
    }
}

#[tokio::test]
async fn o31_an_assertion_about_somebody_else_is_none_of_its_signer() {
    let signer = Signer::new(Scheme::Ed25519, "a");
    let clock = Arc::new(ManualClock::at(NOW));
    let shared = Shared {
        issuer: ORIGIN.to_owned(),
        keys: KeyRing::ephemeral().unwrap(),
        clock: clock.clone(),
        store: Arc::new(MemoryStore::new(clock)),
    };
    let clients = Clients::new(&policy(&signer), shared).unwrap();
    let client = clients.find(ID, None).await.unwrap();
    let shown = async |subject: &str| {
        let assertion = Some(signer.assertion(ID, &json!({"sub": subject})));
        let shown = Credentials { secrets: Vec::new(), assertion, methods: 1 };
        clients.authenticate(ID, &client, &shown).await.map_err(|error| error.code)
    };
    assert_eq!(shown("other").await, Err(ErrorCode::InvalidClient));
    assert_eq!(shown(ID).await, Ok(()));
}

#[tokio::test]
async fn o31_no_other_key_and_no_other_algorithm_signs_for_a_client() {
    let signer = Signer::new(Scheme::EcdsaP256Sha256, "a");
    let site = Site::with_policy(policy(&signer));
    let claims = json!({"iss": ID, "sub": ID, "aud": ORIGIN, "exp": NOW + 60, "jti": "x"});
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    let other = Signer::new(Scheme::EcdsaP256Sha256, "a");
    let of = |header: Value| format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header.to_string()));
    let unsigned = of(json!({"alg": "none"}));
    let embedded = json!({"alg": "ES256", "jwk": other.jwk()});
    let symmetric = of(json!({"alg": "HS256", "kid": "a"}));
    for forged in [
        format!("{unsigned}."),
        format!("{unsigned}.c2ln"),
        format!("{symmetric}.{}", URL_SAFE_NO_PAD.encode([0; 32])),
        other.sign(&other.header(), &claims),
        other.sign(&embedded, &claims),
        signer.sign(&json!({"alg": "EdDSA", "kid": "a"}), &claims),
        signer.sign(&json!({"alg": "ES256", "kid": "a", "crit": ["b64"]}), &claims),
        signer.sign(&json!({"alg": "ES256", "kid": "a", "typ": "dpop+jwt"}), &claims),
        signer.sign(&signer.header(), &claims) + "A",
    ] {
        let answer = shown(&site, &forged, &[]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{forged}");
    }
    let own = signer.sign(&signer.header(), &claims);
    assert_eq!(shown(&site, &own, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn o31_an_assertion_is_good_once_at_all_replicas_together() {
    let signer = Signer::new(Scheme::Ed25519, "a");
    let clock = Arc::new(ManualClock::at(NOW));
    let (store, keys) = (Arc::new(MemoryStore::new(clock.clone())), KeyRing::ephemeral().unwrap());
    let replica =
        || Arc::new(Site::replica(policy(&signer), store.clone(), keys.clone(), clock.clone()));
    let replicas = [replica(), replica()];
    let assertion = signer.assertion(ID, &json!({}));
    let mut answers = tokio::task::JoinSet::new();
    for n in 0..100 {
        let (site, assertion) = (Arc::clone(&replicas[n % 2]), assertion.clone());
        answers.spawn(async move { shown(&site, &assertion, &[]).await.status });
    }
    let mut taken = 0;
    while let Some(status) = answers.join_next().await {
        taken += usize::from(status.unwrap() == StatusCode::OK);
    }
    assert_eq!(taken, 1);
    // With the leeway for clocks it would be good for 90 s, and its record lasts as long.
    clock.advance(Duration::from_secs(89));
    let again = shown(&replicas[0], &assertion, &[]).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    clock.advance(Duration::from_secs(1));
    let again = shown(&replicas[1], &assertion, &[]).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "it has expired");
    // A forged one uses nothing up.
    let forged =
        Signer::new(Scheme::Ed25519, "a").assertion(ID, &json!({"jti": "y", "exp": NOW + 200}));
    assert_eq!(shown(&replicas[0], &forged, &[]).await.status, StatusCode::UNAUTHORIZED);
    let own = signer.assertion(ID, &json!({"jti": "y", "exp": NOW + 200}));
    assert_eq!(shown(&replicas[0], &own, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn o31_the_keys_of_a_document_are_found_and_another_client_cannot_use_them() {
    let website = Website::start().await;
    let signer = Signer::new(Scheme::EcdsaP256Sha256, "a");
    let json_type = "Content-Type: application/json\r\n";
    website.answer("/jwks", 200, json_type, &signer.jwks().to_string());
    let method = "private_key_jwt";
    let by_uri = json!({"token_endpoint_auth_method": method, "jwks_uri": website.url("/jwks")});
    let by_uri = website.document("/by-uri", &by_uri);
    let inline = json!({"token_endpoint_auth_method": method, "jwks": signer.jwks()});
    let inline = website.document("/inline", &inline);
    let site =
        Site::with_policy(ClientPolicy::new(Registration::Documents).allow_loopback_documents());
    for id in [&by_uri, &inline] {
        let assertion = signer.assertion(id, &json!({}));
        let answer = shown(&site, &assertion, &[("client_id", id)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let none = site.post("/revoke", &[("token", "x"), ("client_id", id)]).await;
        assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    }
    let assertion = signer.assertion(&by_uri, &json!({}));
    let answer = shown(&site, &assertion, &[("client_id", &inline)]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);

    // Where the keys cannot be had, nobody says that the client is wrong.
    let away = json!({"token_endpoint_auth_method": method, "jwks_uri": website.url("/away")});
    let away = website.document("/keys-away", &away);
    website.answer("/away", 503, "", "");
    let answer = shown(&site, &signer.assertion(&away, &json!({})), &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
}

#[tokio::test]
async fn d01_assertions_are_bounded_for_one_address_and_for_all_together() {
    let signer = Signer::new(Scheme::Ed25519, "a");
    let site = Site::with_policy(policy(&signer));
    // It would not be taken, and is counted all the same.
    let bad = signer.assertion(ID, &json!({"aud": "https://other.example.com"}));
    let show = async |remote: &str| {
        let fields = [
            ("token", "x"),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", bad.as_str()),
        ];
        let request =
            Request::post("/revoke").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        site.send_from(remote, request.body(query(&fields)).unwrap()).await.status
    };
    for _ in 0..120 {
        assert_eq!(show("192.0.2.1").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(show("192.0.2.1").await, StatusCode::TOO_MANY_REQUESTS);
    for n in 120..3_000 {
        let remote = format!("198.51.{}.{}", n / 100, n % 100);
        assert_eq!(show(&remote).await, StatusCode::UNAUTHORIZED, "{n}");
    }
    assert_eq!(show("203.0.113.1").await, StatusCode::TOO_MANY_REQUESTS);
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(show("203.0.113.1").await, StatusCode::UNAUTHORIZED);
}
