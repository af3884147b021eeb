//! Each preset against a stand-in that answers as the vendor documents.

use std::sync::Arc;

use portcullis_auth::{AuthProvider, EndpointPath, PublicUrl, Scopes};
use portcullis_guard::{Environment, ManualClock, Secret};
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::upstream::tests::stand_in::{CLIENT, NOW, StandIn};
use crate::upstream::{
    Accounts, SignedIn, Upstream, UpstreamAnswer, UpstreamError, UpstreamRequest,
};

const CALLBACK: &str = "https://mcp.example.com/auth/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn secret() -> Secret<String> {
    Secret::new("s3cret".to_owned())
}

/// A preset whose issuer is the stand-in.
fn at<V: Vendor>(provider: &OAuthProxy<V>, stand_in: &StandIn) -> Upstream {
    let mut config = provider.upstream.clone();
    config.discovered = config.discovered.map(|_| stand_in.url.clone());
    config.fetch = config.fetch.allow_loopback();
    config.build(Arc::new(ManualClock::at(NOW))).unwrap()
}

/// What the user is sent to the provider with: `scope`, `prompt`, and what the preset adds.
async fn sent(upstream: &Upstream) -> (String, Option<String>, Vec<String>) {
    let request = UpstreamRequest {
        state: "s-1",
        nonce: "n-1",
        code_verifier: VERIFIER,
        redirect_uri: CALLBACK,
        scopes: &Scopes::default(),
    };
    let url = Url::parse(&upstream.authorization_url(&request).await.unwrap()).unwrap();
    let value = |name: &str| {
        let mut pairs = url.query_pairs();
        pairs.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    };
    let usual = [
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "scope",
        "nonce",
        "prompt",
        "code_challenge",
        "code_challenge_method",
    ];
    let others = url.query_pairs().filter(|(name, _)| !usual.contains(&&**name));
    let others = others.map(|(name, value)| format!("{name}={value}")).collect();
    (value("scope").unwrap(), value("prompt"), others)
}

async fn signed_in(upstream: &Upstream) -> Result<SignedIn, UpstreamError> {
    let answer = UpstreamAnswer {
        code: "c-1",
        iss: None,
        nonce: "n-1",
        code_verifier: VERIFIER,
        redirect_uri: CALLBACK,
        scopes: &Scopes::default(),
    };
    upstream.exchange(&answer).await
}

/// Signs somebody in whose ID token has `claims` too; gives the claims that go on, if they get in.
async fn with_claims(upstream: &Upstream, stand_in: &StandIn, claims: Value) -> Option<Value> {
    stand_in.grant(&json!({"id_token": stand_in.id_token(&claims)}));
    signed_in(upstream).await.ok().map(|signed_in| Value::Object(signed_in.claims))
}

#[tokio::test]
async fn google_asks_offline_with_consent_and_its_domains_are_of_workspace_accounts() {
    let stand_in = StandIn::start().await;
    let google = GoogleProvider::new(CLIENT, secret()).hosted_domains(["example.com"]);
    let upstream = at(&google, &stand_in);
    let asked = ("openid profile email".to_owned(), Some("consent".to_owned()));
    let others = vec!["access_type=offline".to_owned()];
    assert_eq!(sent(&upstream).await, (asked.0, asked.1, others));
    let claims =
        json!({"azp": CLIENT, "hd": "example.com", "at_hash": "x", "picture": "https://x"});
    let claims = with_claims(&upstream, &stand_in, claims).await.unwrap();
    assert_eq!(claims["hd"], "example.com");
    assert!(claims.get("picture").is_none());
    for other in [json!({"azp": CLIENT}), json!({"azp": CLIENT, "hd": "example.org"})] {
        assert_eq!(with_claims(&upstream, &stand_in, other).await, None, "a private account");
    }
    assert!(stand_in.seen("/token")[0].form().contains_key("client_secret"));
}

#[tokio::test]
async fn entra_asks_offline_without_a_prompt_and_says_of_no_address_that_it_is_verified() {
    let stand_in = StandIn::start().await;
    let tenant = "72f988bf-0000-4000-8000-2d7cd011db47";
    let entra = EntraProvider::new(tenant, CLIENT, secret()).claims(["oid"]);
    let upstream = at(&entra, &stand_in);
    let asked = "openid profile email offline_access".to_owned();
    assert_eq!(sent(&upstream).await, (asked, None, Vec::new()));
    let claims = json!({
        "tid": tenant, "oid": "o-1", "preferred_username": "alice@example.com", "ver": "2.0",
        "email_verified": null, "roles": ["Notes.Reader"],
    });
    let claims = with_claims(&upstream, &stand_in, claims).await.unwrap();
    assert_eq!((&claims["tid"], &claims["oid"]), (&json!(tenant), &json!("o-1")));
    assert_eq!(claims["roles"], json!(["Notes.Reader"]));
    let domains = at(&entra.admit(crate::Admit::email_domains("example.com")), &stand_in);
    let unverified = json!({"email_verified": null});
    assert_eq!(with_claims(&domains, &stand_in, unverified).await, None);
}

#[tokio::test]
async fn cognito_and_keycloak_mark_their_id_tokens_and_get_no_offline_access() {
    let stand_in = StandIn::start().await;
    stand_in.publish(&json!({"scopes_supported": ["openid", "offline_access"]}));
    let cognito = CognitoProvider::new("eu-central-1_Ab12Cd34E", CLIENT, secret());
    let cognito = at(&cognito.claims(["cognito:groups"]), &stand_in);
    let keycloak = KeycloakProvider::new("https://kc.example.com/realms/main/", CLIENT, secret());
    let keycloak = at(&keycloak, &stand_in);
    for upstream in [&cognito, &keycloak] {
        assert_eq!(sent(upstream).await, ("openid profile email".to_owned(), None, Vec::new()));
    }
    let claims = json!({"token_use": "id", "cognito:groups": ["staff"], "cognito:username": "a"});
    let claims = with_claims(&cognito, &stand_in, claims).await.unwrap();
    assert_eq!(claims["cognito:groups"], json!(["staff"]));
    let claims = json!({"typ": "ID", "azp": CLIENT, "sid": "x", "acr": "1", "groups": ["/staff"]});
    let claims = with_claims(&keycloak, &stand_in, claims).await.unwrap();
    assert_eq!(claims["groups"], json!(["/staff"]));
}

#[tokio::test]
async fn the_other_openid_presets_ask_offline_where_the_metadata_has_it_and_without_a_prompt() {
    let stand_in = StandIn::start().await;
    stand_in.publish(&json!({"scopes_supported": ["openid", "offline_access"]}));
    let offline = "openid profile email offline_access";
    for (upstream, scope) in [
        (at(&Auth0Provider::new("example.eu.auth0.com", CLIENT, secret()), &stand_in), offline),
        (at(&ClerkProvider::new("a.clerk.accounts.dev", CLIENT, secret()), &stand_in), offline),
        (at(&OktaProvider::new("example.okta.com", CLIENT, secret()), &stand_in), offline),
        (at(&WorkOsProvider::new("example.authkit.app", CLIENT, secret()), &stand_in), offline),
        (at(&HuggingFaceProvider::new(CLIENT, secret()), &stand_in), "openid profile email"),
    ] {
        assert_eq!(sent(&upstream).await, (scope.to_owned(), None, Vec::new()), "{upstream:?}");
        assert!(with_claims(&upstream, &stand_in, json!({})).await.is_some(), "{upstream:?}");
    }
}

#[tokio::test]
async fn discord_is_asked_who_the_user_is_and_its_names_are_the_usual_ones() {
    let stand_in = StandIn::bare().await;
    let mut discord = DiscordProvider::new(CLIENT, secret());
    let endpoints = &mut discord.upstream.endpoints;
    for url in [&mut endpoints.authorization, &mut endpoints.token] {
        *url = url.replace("https://discord.com", &stand_in.url);
    }
    endpoints.userinfo =
        endpoints.userinfo.take().map(|url| url.replace("https://discord.com", &stand_in.url));
    let upstream = at(&discord, &stand_in);
    stand_in.answer(
        "/api/oauth2/token",
        200,
        json!({
            "access_token": "6qrZcUqja7812RVdnEKjpzOL4CvHBFG", "token_type": "Bearer",
            "expires_in": 604_800, "refresh_token": "D43f5y0ahjqew82jZ4NViEr2YafMKhue",
            "scope": "identify email",
        }),
    );
    stand_in.answer(
        "/api/users/@me",
        200,
        json!({
            "id": "80351110224678912", "username": "nelly", "discriminator": "1337",
            "global_name": "Nelly", "verified": true, "email": "nelly@example.com", "flags": 64,
        }),
    );
    assert_eq!(sent(&upstream).await.0, "identify email");
    let signed_in = signed_in(&upstream).await.unwrap();
    assert_eq!(signed_in.subject, "80351110224678912");
    let claims = json!({
        "email": "nelly@example.com", "email_verified": true, "name": "Nelly",
        "preferred_username": "nelly",
    });
    assert_eq!(Value::Object(signed_in.claims), claims);
}

/// What a preset of the environment asks for.
fn issuer<V: Vendor>(
    built: impl Fn(&Environment) -> Result<OAuthProxy<V>, EnvironmentError>,
    prefix: &str,
    further: &[(&str, &str)],
) -> String {
    let (id, secret) = (format!("{prefix}_CLIENT_ID"), format!("{prefix}_CLIENT_SECRET"));
    let missing = built(&Environment::from_pairs([("A", "B")])).unwrap_err().to_string();
    assert!(missing.contains(&id) && missing.contains(&secret), "{missing}");
    let mut environment =
        Environment::from_pairs([(id.as_str(), CLIENT), (&secret, "s3cret-of-the-environment")]);
    for (name, value) in further {
        let missing = built(&environment).unwrap_err().to_string();
        assert!(missing.contains(name), "{missing}");
        environment = environment.with_variable(*name, *value);
    }
    let provider = built(&environment).unwrap();
    assert!(!format!("{provider:?}").contains("s3cret"), "{provider:?}");
    assert!(provider.summary().description.starts_with("users sign in at "));
    let open = provider.upstream.accounts != Accounts::OfAnOrganization;
    let config = provider.upstream.clone();
    let url = EndpointPath::parse("/mcp").unwrap();
    let url = PublicUrl::parse("https://mcp.example.com", url).unwrap();
    let resource = Arc::new(provider).at(&url).unwrap();
    let warned = resource.warnings.iter().any(|text| text.contains("anybody"));
    assert_eq!(warned, open, "{prefix}");
    config.build(Arc::new(ManualClock::at(NOW))).unwrap().issuer().to_owned()
}

#[test]
fn each_preset_is_described_by_variables_and_bound_to_its_issuer() {
    let tenant = "72f988bf-0000-4000-8000-2d7cd011db47";
    let entra = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    for (got, expected) in [
        (issuer(GitHubProvider::from_env, "GITHUB", &[]), "https://github.com/login/oauth"),
        (issuer(GoogleProvider::from_env, "GOOGLE", &[]), "https://accounts.google.com"),
        (issuer(DiscordProvider::from_env, "DISCORD", &[]), "https://discord.com"),
        (issuer(HuggingFaceProvider::from_env, "HUGGINGFACE", &[]), "https://huggingface.co"),
        (issuer(EntraProvider::from_env, "ENTRA", &[("ENTRA_TENANT_ID", tenant)]), &entra),
        (
            issuer(Auth0Provider::from_env, "AUTH0", &[("AUTH0_DOMAIN", "a.eu.auth0.com")]),
            "https://a.eu.auth0.com/",
        ),
        (
            issuer(ClerkProvider::from_env, "CLERK", &[("CLERK_DOMAIN", "a.clerk.accounts.dev")]),
            "https://a.clerk.accounts.dev",
        ),
        (
            issuer(
                CognitoProvider::from_env,
                "COGNITO",
                &[("COGNITO_USER_POOL_ID", "eu-west-1_A")],
            ),
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A",
        ),
        (
            issuer(
                KeycloakProvider::from_env,
                "KEYCLOAK",
                &[("KEYCLOAK_REALM_URL", "https://kc.example.com/realms/main/")],
            ),
            "https://kc.example.com/realms/main",
        ),
        (
            issuer(OktaProvider::from_env, "OKTA", &[("OKTA_DOMAIN", "example.okta.com")]),
            "https://example.okta.com",
        ),
        (
            issuer(WorkOsProvider::from_env, "WORKOS", &[("WORKOS_DOMAIN", "a.authkit.app")]),
            "https://a.authkit.app",
        ),
        (
            issuer(OidcProxy::from_env, "IDP", &[("IDP_ISSUER", "https://idp.example.com/x/")]),
            "https://idp.example.com/x/",
        ),
    ] {
        assert_eq!(got, expected);
    }
    let okta = OktaProvider::new("example.okta.com", CLIENT, secret());
    let okta = okta.authorization_server("default").upstream.discovered;
    assert_eq!(okta.as_deref(), Some("https://example.okta.com/oauth2/default"));
    let enterprise =
        GitHubProvider::new(CLIENT, secret()).enterprise_server("https://ghe.example.com/");
    let built = enterprise.upstream.build(Arc::new(ManualClock::at(NOW))).unwrap();
    assert_eq!(
        (built.issuer(), built.name()),
        ("https://ghe.example.com/login/oauth", "ghe.example.com")
    );
}

#[test]
fn a_tenant_of_entra_is_one_tenant() {
    for tenant in ["common", "organizations", "consumers", "example.com", "", "../x"] {
        let entra = EntraProvider::new(tenant, CLIENT, secret());
        let url = PublicUrl::parse("https://m.example.com", EndpointPath::parse("/mcp").unwrap());
        let error = Arc::new(entra).at(&url.unwrap()).unwrap_err();
        assert!(error.problems()[0].text().contains("tenant"), "{tenant}: {error}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is the operator")]
fn a_secret_may_be_in_a_file() {
    let file = std::env::temp_dir().join(format!("portcullis-secret-{}", std::process::id()));
    std::fs::write(&file, "s3cret\n").unwrap();
    let path = file.to_str().unwrap();
    let environment = Environment::from_pairs([
        ("GITHUB_CLIENT_ID", CLIENT),
        ("GITHUB_CLIENT_SECRET_FILE", path),
    ]);
    let provider = GitHubProvider::from_env(&environment);
    std::fs::remove_file(&file).unwrap();
    assert!(provider.unwrap().upstream.client_secret.unwrap().matches("s3cret"));
}

#[test]
fn n28_a_stand_in_is_on_this_machine_and_so_is_its_server() {
    let google = || GoogleProvider::new("id", Secret::new("secret".to_owned()));
    assert!(!google().summary().loopback_only);
    let url = PublicUrl::parse("http://127.0.0.1:8000", EndpointPath::parse("/mcp").unwrap());
    let url = url.unwrap();
    for issuer in ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost:9000"] {
        let provider = google().stand_in(issuer);
        assert!(provider.summary().loopback_only);
        assert!(Arc::new(provider).at(&url).is_ok(), "{issuer}");
    }
    for issuer in
        ["https://idp.example.com", "https://localhost.example.com", "http://10.0.0.1", "x", ""]
    {
        let error = Arc::new(google().stand_in(issuer)).at(&url).unwrap_err();
        assert!(error.problems()[0].text().contains("not on this machine"), "{error}");
    }
}
