//! GitHub, as its documentation says that it answers.

use super::*;

const SCOPES: &str = "read:org,read:user,user:email";

fn github(stand_in: &StandIn) -> UpstreamConfig {
    let identity = IdentitySource::GitHub { api: format!("{}/api/v3", stand_in.url) };
    let mut config = UpstreamConfig { identity, ..plain(stand_in, "id") };
    config.authentication = TokenEndpointAuth::Post;
    config.scopes = Scopes::from_iter(["read:user", "user:email"]);
    config
}

async fn stand_in() -> StandIn {
    let stand_in = StandIn::bare().await;
    let tokens = json!({"access_token": "gho_16C7", "scope": SCOPES, "token_type": "bearer"});
    stand_in.answer("/token", 200, tokens);
    let user = json!({
        "login": "octocat", "id": 583_231, "type": "User", "name": "The Octocat",
        "email": "shown@example.org", "site_admin": false,
    });
    stand_in.answer("/api/v3/user", 200, user);
    let emails = json!([
        {"email": "old@example.net", "primary": false, "verified": true, "visibility": null},
        {"email": "octocat@example.com", "primary": true, "verified": true, "visibility": "private"},
    ]);
    stand_in.answer("/api/v3/user/emails", 200, emails);
    stand_in
}

#[tokio::test]
async fn a_user_of_github_is_known_by_the_number_of_the_account() {
    let stand_in = stand_in().await;
    let upstream = built(&github(&stand_in));
    let signed_in = upstream.redeem(&["read"]).await.unwrap();
    assert_eq!(signed_in.subject, "583231");
    let claims = json!({
        "email": "octocat@example.com", "email_verified": true, "name": "The Octocat",
        "login": "octocat",
    });
    assert_eq!(Value::Object(signed_in.claims), claims);
    assert_eq!(signed_in.tokens.expires_at, None, "its tokens have no end");
    let asked = stand_in.seen("/api/v3/user").pop().unwrap();
    assert_eq!(asked.header("authorization"), Some("Bearer gho_16C7"));
    assert_eq!(asked.header("user-agent"), Some("portcullis"));
    assert_eq!(asked.header("accept"), Some("application/vnd.github+json"));
    let form = stand_in.seen("/token")[0].form();
    assert_eq!(form["client_secret"], "s3cret-of-ours");
    assert!(!upstream.parameters(&[]).await.contains_key("nonce"));
    for user in [json!({"login": "octocat"}), json!({"id": "583231"}), json!({"id": null})] {
        stand_in.answer("/api/v3/user", 200, &user);
        assert_eq!(kind(&upstream.redeem(&[]).await), "misconfigured", "{user}");
    }
}

#[tokio::test]
async fn only_an_address_that_github_verified_is_verified() {
    let stand_in = stand_in().await;
    let admission = vec![Admit::email_domains(["example.com"])];
    let upstream = built(&UpstreamConfig { admission, ..github(&stand_in) });
    assert_eq!(kind(&upstream.redeem(&[]).await), "good");
    for emails in [
        json!([{"email": "octocat@example.com", "primary": true, "verified": false}]),
        json!([{"email": "octocat@example.com", "primary": false, "verified": true}]),
        json!([{"email": "octocat@example.com", "primary": true, "verified": "true"}]),
        json!([]),
    ] {
        stand_in.answer("/api/v3/user/emails", 200, &emails);
        assert_eq!(kind(&upstream.redeem(&[]).await), "refused", "{emails}");
    }
    // Without the scope nobody says that the address is verified.
    stand_in.answer("/token", 200, json!({"access_token": "gho_1", "scope": "read:user"}));
    assert_eq!(kind(&upstream.redeem(&[]).await), "refused");
}

#[tokio::test]
async fn members_of_an_organization_are_active_ones_and_github_says_so() {
    let stand_in = stand_in().await;
    let admission = vec![Admit::organizations(["Acme", "other"])];
    let upstream = built(&UpstreamConfig { admission, ..github(&stand_in) });
    assert_eq!(upstream.parameters(&[]).await["scope"], "read:user user:email read:org");
    let membership = "/api/v3/user/memberships/orgs/acme";
    let member =
        |state: &str, login: &str| json!({"state": state, "organization": {"login": login}});
    for (status, answer, expected) in [
        (200, member("active", "acme"), "good"),
        (200, member("active", "Acme"), "good"),
        (200, member("pending", "acme"), "refused"),
        (200, member("active", "evil"), "refused"),
        (200, json!({"state": "active"}), "refused"),
        (404, json!({"message": "Not Found"}), "refused"),
        (
            403,
            json!({"message": "the organization has OAuth App access restrictions"}),
            "misconfigured",
        ),
        (500, json!({}), "unavailable"),
    ] {
        stand_in.answer(membership, status, &answer);
        assert_eq!(kind(&upstream.redeem(&[]).await), expected, "{status} {answer}");
    }
    // Who has left it does not refresh.
    stand_in.answer(membership, 200, member("active", "acme"));
    let tokens = upstream.redeem(&[]).await.unwrap().tokens;
    assert_eq!(kind(&upstream.confirm(&tokens).await), "good");
    stand_in.answer(membership, 404, "");
    assert_eq!(kind(&upstream.confirm(&tokens).await), "refused");
    stand_in.answer("/api/v3/user", 401, json!({"message": "Bad credentials"}));
    assert_eq!(kind(&upstream.confirm(&tokens).await), "refused");
    let odd = vec![Admit::organizations(["../user"])];
    let refused = UpstreamConfig { admission: odd, ..github(&stand_in) }.build(clock());
    assert!(refused.unwrap_err().contains("no login"));
}

#[tokio::test]
async fn tokens_of_github_are_revoked_in_its_own_way() {
    let stand_in = stand_in().await;
    let upstream = built(&github(&stand_in));
    let tokens = upstream.redeem(&[]).await.unwrap().tokens;
    let path = format!("/api/v3/applications/{CLIENT}/token");
    stand_in.answer(&path, 204, "");
    upstream.revoke(&tokens).await;
    let [request] = &stand_in.seen(&path)[..] else { panic!("it was asked once") };
    assert_eq!(request.method, "DELETE");
    assert_eq!(request.body, r#"{"access_token":"gho_16C7"}"#);
    assert!(request.header("authorization").unwrap().starts_with("Basic "));
    assert_eq!(request.header("content-type"), Some("application/json"));
}
