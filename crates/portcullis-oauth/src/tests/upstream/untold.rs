//! Tokens without an end behind an ID token.

use super::*;
use crate::OidcProxy;

impl Proxy {
    /// A provider of OpenID Connect, whose metadata has these `changes`.
    async fn of_openid(changes: &Value) -> Self {
        let provider = StandIn::start().await;
        provider.publish(changes);
        provider.answer("/userinfo", 200, json!({"sub": "u-1"}));
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let secret = Secret::new("s3cret-of-ours".to_owned());
        let proxy = OidcProxy::discover(provider.url.clone(), CLIENT, secret)
            .allow_loopback_idp()
            .scopes(["read", "write"])
            .store(store.clone())
            .keys(KeyRing::ephemeral().unwrap())
            .clock(clock.clone());
        let url = PublicUrl::parse(ORIGIN, EndpointPath::parse("/mcp").unwrap()).unwrap();
        let connections = proxy.connections(&url).unwrap();
        let resource = Arc::new(proxy).at(&url).unwrap();
        let (endpoints, verifier) = (resource.endpoints.unwrap(), resource.verifier);
        let site = Site { endpoints, verifier, store, clock };
        Self { site, tokens: resource.upstream_tokens.unwrap(), connections, provider }
    }

    /// A sign-in at which the provider gives an access token without an end, and nothing to renew it.
    async fn sign_in_untold(&self, client: &str) -> Value {
        let away = self.allow(client, &[]).await;
        let nonce = value(&away.parameters, "nonce").unwrap();
        let id_token = self.provider.id_token(&json!({"nonce": nonce}));
        self.provider
            .grant(&json!({"id_token": id_token, "expires_in": null, "refresh_token": null}));
        let answer = self.come_back(&away, &[("code", "upstream-code")]).await;
        let redeemed = self.site.redeem(client, &answer).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
        redeemed.json()
    }
}

#[tokio::test]
async fn behind_an_id_token_they_are_confirmed_at_each_refresh_for_as_long_as_the_provider_says_so()
{
    let proxy = Proxy::of_openid(&json!({})).await;
    let client = proxy.site.register(CALLBACK).await;
    let mut tokens = proxy.sign_in_untold(&client).await;
    let asked = proxy.provider.seen("/userinfo").len();
    for round in 1..=3 {
        // Far beyond an hour: nothing but the provider ends them.
        proxy.site.clock.advance(Duration::from_secs(5 * 60 * 60));
        let answer = proxy.refresh(&client, text(&tokens, "refresh_token")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(proxy.provider.seen("/userinfo").len(), asked + round);
        tokens = answer.json();
    }
    // A provider that is away ends nothing, and lets nobody go on.
    proxy.provider.answer("/userinfo", 503, json!({}));
    let answer = proxy.refresh(&client, text(&tokens, "refresh_token")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    proxy.provider.answer("/userinfo", 401, json!({}));
    let answer = proxy.refresh(&client, text(&tokens, "refresh_token")).await;
    assert_eq!(answer.json()["error"], "invalid_grant");
    proxy.provider.answer("/userinfo", 200, json!({"sub": "u-1"}));
    let answer = proxy.refresh(&client, text(&tokens, "refresh_token")).await;
    assert_eq!(answer.json()["error"], "invalid_grant", "the grant has ended with them");
}

#[tokio::test]
async fn where_nobody_can_be_asked_about_them_they_end_after_an_hour() {
    let proxy = Proxy::of_openid(&json!({"userinfo_endpoint": null})).await;
    let client = proxy.site.register(CALLBACK).await;
    let tokens = proxy.sign_in_untold(&client).await;
    proxy.site.clock.advance(Duration::from_secs(59 * 60));
    let answer = proxy.refresh(&client, text(&tokens, "refresh_token")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    proxy.site.clock.advance(Duration::from_secs(2 * 60));
    let answer = proxy.refresh(&client, text(&answer.json(), "refresh_token")).await;
    assert_eq!(answer.json()["error"], "invalid_grant");
}
