//! How the server authenticates, and what does not build.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_guard::signature::{Scheme, SigningKey};

use super::super::super::{VerifierProblem, VerifierProblemKind};
use super::super::credentials::CredentialSource;
use super::*;

const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";

fn pairs(body: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn rfc6749_2_3_1_basic_credentials_are_encoded_as_in_a_form() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    for (builder, header) in [
        (at(&provider, &clock), "mcp+server%3A1:a%2Bb%26%25+%C3%BC"),
        (at(&provider, &clock).unencoded_basic(), "mcp server-1:a+b&% \u{fc}"),
    ] {
        let id = if header.contains("server-1") { "mcp server-1" } else { "mcp server:1" };
        let builder = builder.client_secret_basic(id, secret("a+b&% \u{fc}"));
        assert!(verify(&builder.build().unwrap(), "t o+k/e=n").await.is_ok());
        let (head, body) = provider.request();
        let sent = format!("authorization: Basic {}", STANDARD.encode(header));
        assert!(head.lines().any(|line| line == sent), "{head}");
        assert!(head.starts_with("POST /introspect HTTP/1.1"));
        assert_eq!(body, "token=t+o%2Bk%2Fe%3Dn&token_type_hint=access_token");
    }
}

#[tokio::test]
async fn rfc6749_2_3_1_credentials_may_be_in_the_body() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let builder = at(&provider, &clock).client_secret_post("mcp", secret("a+b"));
    assert!(verify(&builder.build().unwrap(), "abc").await.is_ok());
    let (head, body) = provider.request();
    assert!(!head.contains("authorization"), "{head}");
    let pairs = pairs(&body);
    assert!(pairs.contains(&("client_id".into(), "mcp".into())));
    assert!(pairs.contains(&("client_secret".into(), "a+b".into())));
}

#[tokio::test]
async fn rfc7523_3_a_private_key_signs_an_assertion_for_the_issuer() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let builder = at(&provider, &clock).private_key_jwt("mcp", secret(PEM)).key_id("one");
    let verifier = builder.build().unwrap();
    let mut numbers = Vec::new();
    for token in ["abc", "def"] {
        assert!(verify(&verifier, token).await.is_ok());
        let pairs = pairs(&provider.request().1);
        let value = |name: &str| pairs.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(value("client_assertion_type"), crate::client_credentials::ASSERTION_TYPE);
        let assertion = value("client_assertion");
        let (input, signature) = assertion.rsplit_once('.').unwrap();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let key = SigningKey::from_pem(&secret(PEM)).unwrap();
        let key = key.public_key().verifying(Scheme::Ed25519).unwrap();
        key.verify(input.as_bytes(), &decode(signature)).unwrap();
        let (header, claims) = input.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&decode(header)).unwrap();
        assert_eq!(header, json!({"alg": "EdDSA", "typ": "JWT", "kid": "one"}));
        let mut claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
        numbers.push(claims.as_object_mut().unwrap().remove("jti").unwrap());
        let expected =
            json!({"iss": "mcp", "sub": "mcp", "aud": ISSUER, "iat": NOW, "exp": NOW + 60});
        assert_eq!(claims, expected);
    }
    assert_ne!(numbers[0], numbers[1], "an assertion is used once");
}

#[tokio::test]
async fn the_start_shows_whether_the_credentials_are_good() {
    let (provider, clock) = (Provider::start(&json!({"active": false})).await, clock());
    let verifier = verifier(&provider, &clock);
    assert!(verifier.ready().await.is_ok());
    provider.answer(401, json!({"error": "invalid_client"}));
    let error = verifier.ready().await.unwrap_err();
    assert!(error.reason().contains("401, invalid_client"), "{error}");
    provider.answer(200, json!({"active": true}));
    assert!(verifier.ready().await.is_err(), "it says so of every token");
}

#[test]
fn what_is_missing_or_unsafe_is_named_all_at_once() {
    let builder = || IntrospectionVerifier::endpoint("https://idp.example.com/introspect");
    let whole = || builder().issuer(ISSUER).audience(AUDIENCE);
    let basic = |builder: IntrospectionVerifierBuilder| {
        builder.client_secret_basic("mcp", secret("hunter2"))
    };
    let kinds = |builder: IntrospectionVerifierBuilder| -> Vec<VerifierProblemKind> {
        match builder.build() {
            Ok(_) => Vec::new(),
            Err(error) => error.problems().iter().map(VerifierProblem::kind).collect(),
        }
    };
    use VerifierProblemKind::*;
    assert_eq!(kinds(basic(whole())), []);
    assert_eq!(kinds(builder()), [MissingCredentials, MissingIssuer, MissingAudience]);
    for url in ["http://idp.example.com/i", "idp", "https://10.0.0.1/i", "https://u:p@h.example/i"]
    {
        let at = IntrospectionVerifier::endpoint(url).issuer(ISSUER).audience(AUDIENCE);
        assert_eq!(kinds(basic(at)), [InvalidEndpoint], "{url}");
    }
    for (builder, kind) in [
        (basic(basic(whole())), UnusableCredentials),
        (whole().client_secret_post("", secret("hunter2")), UnusableCredentials),
        (whole().client_secret_basic("mcp", secret("")), UnusableCredentials),
        (whole().private_key_jwt("mcp", secret("hunter2")), UnusableCredentials),
        (whole().client_secret_basic("a:b", secret("x")).unencoded_basic(), UnusableCredentials),
        (basic(whole().audience("")), MissingAudience),
        (basic(whole().required_scopes(["a b"])), InvalidScope),
        (basic(whole().subject_claim("")), InvalidClaim),
        (basic(whole().leeway(Duration::from_secs(301))), LeewayTooLong),
        (basic(whole().cache_lifetime(Duration::from_secs(301))), CacheTooLong),
    ] {
        assert_eq!(kinds(builder), [kind]);
    }
    let warned = whole().client_secret_basic("mcp", secret("a+b")).build().unwrap();
    assert_eq!(warned.warnings().len(), 1);
    assert!(basic(whole()).build().unwrap().warnings().is_empty());
}

#[tokio::test]
async fn a_client_secret_in_a_file_is_re_read_as_it_changes() {
    #[expect(clippy::disallowed_methods, reason = "the test is who writes the file")]
    fn write(path: &std::path::Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    write(&path, "hunter2\n");
    let basic = at(&provider, &clock).client_secret_basic_file("mcp", &path).build().unwrap();
    let post = at(&provider, &clock).client_secret_post_file("mcp", &path).build().unwrap();
    let reread = |verifier: &IntrospectionVerifier| match &verifier.inquiry.authority.credentials {
        CredentialSource::File(file) => file.reread(),
        CredentialSource::Fixed(_) => panic!("it is in a file"),
    };
    for (text, in_force) in [("hunter2\n", "hunter2"), ("hunter3", "hunter3"), ("\n", "hunter3")] {
        write(&path, text);
        for verifier in [&basic, &post] {
            assert_eq!(reread(verifier).is_ok(), text != "\n");
        }
        assert!(verify(&basic, &format!("basic {text}")).await.is_ok());
        let sent = format!("authorization: Basic {}", STANDARD.encode(format!("mcp:{in_force}")));
        let (head, _) = provider.request();
        assert!(head.lines().any(|line| line == sent), "{head}");
        assert!(verify(&post, &format!("post {text}")).await.is_ok());
        let pairs = pairs(&provider.request().1);
        assert!(pairs.contains(&("client_secret".into(), in_force.into())), "{pairs:?}");
    }
    write(&path, "hunter2");
    let key = at(&provider, &clock).private_key_jwt_file("mcp", &path).build().unwrap_err();
    assert_eq!(key.problems()[0].kind(), VerifierProblemKind::UnusableCredentials);
    assert!(!key.to_string().contains("hunter2"), "{key}");
    write(&path, PEM);
    let key = at(&provider, &clock).private_key_jwt_file("mcp", &path).build().unwrap();
    assert!(verify(&key, "key").await.is_ok());
}

#[test]
fn the_environment_describes_a_verifier() {
    use portcullis_guard::Environment;

    let names = [
        ("INTROSPECTION_ENDPOINT", "https://idp.example.com/introspect"),
        ("INTROSPECTION_ISSUER", ISSUER),
        ("INTROSPECTION_AUDIENCE", "https://a.example.com/mcp, https://b.example.com/mcp"),
        ("INTROSPECTION_CLIENT_ID", "mcp"),
        ("INTROSPECTION_REQUIRED_SCOPES", "read write"),
    ];
    let build = |more: &[(&str, &str)]| {
        let environment = Environment::from_pairs(names.iter().chain(more).copied());
        IntrospectionVerifierBuilder::from_env(&environment).build()
    };
    let secret = ("INTROSPECTION_CLIENT_SECRET", "hunter2");
    let one_line = PEM.replace('\n', "\\n");
    let key = ("INTROSPECTION_PRIVATE_KEY", one_line.as_str());
    let method = |name| ("INTROSPECTION_AUTH_METHOD", name);
    for (more, expected) in [
        (&[secret][..], "client_secret_basic"),
        (&[secret, method("client_secret_post")], "client_secret_post"),
        (&[key], "private_key_jwt"),
        (&[key, method("private_key_jwt")], "private_key_jwt"),
    ] {
        let verifier = build(more).unwrap();
        let description = verifier.description();
        assert!(description.contains(&format!("({expected})")), "{description}");
        assert_eq!(verifier.audiences().len(), 2);
        assert_eq!(verifier.required_scopes().to_string(), "read write");
    }
    use VerifierProblemKind::*;
    for (more, kinds) in [
        (&[][..], &[MissingCredentials][..]),
        (&[secret, key], &[UnusableCredentials]),
        (&[secret, method("private_key_jwt")], &[InvalidVariable]),
        (&[key, method("client_secret_post")], &[InvalidVariable]),
        (&[secret, method("client_secret_jwt")], &[InvalidVariable]),
        (&[secret, ("INTROSPECTION_ENDPOINT", "idp")], &[InvalidEndpoint]),
        (&[secret, ("INTROSPECTION_REQUIRED_SCOPES", ",")], &[InvalidVariable]),
        (&[("INTROSPECTION_CLIENT_SECRET_FILE", "/nowhere/secret")], &[UnusableCredentials]),
    ] {
        let error = build(more).unwrap_err();
        let found: Vec<_> = error.problems().iter().map(VerifierProblem::kind).collect();
        assert_eq!(found, kinds, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_provider_inside_is_named_and_its_authority_is_in_a_file() {
    let at = |host: &str| {
        IntrospectionVerifier::endpoint(format!("https://{host}/introspect"))
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .client_secret_basic("mcp", secret("hunter2"))
    };
    let kind = |builder: IntrospectionVerifierBuilder| {
        builder.build().map(drop).map_err(|error| error.problems()[0].kind())
    };
    assert_eq!(kind(at("10.0.0.1")), Err(VerifierProblemKind::InvalidEndpoint));
    assert_eq!(kind(at("10.0.0.1").allow_private_idp("10.0.0.1")), Ok(()));
    let other = at("10.0.0.2").allow_private_idp("10.0.0.1");
    assert_eq!(kind(other), Err(VerifierProblemKind::InvalidEndpoint));
    let absent = at("idp.example.com").ca_file("/nowhere/ca.pem");
    assert_eq!(kind(absent), Err(VerifierProblemKind::UnusableClient));
}
