//! How pages look, and what they say of scopes.

use super::*;
use crate::{Branding, OAuthProxy};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn site(change: impl FnOnce(LoginProvider) -> LoginProvider) -> Site {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let keys = KeyRing::ephemeral().unwrap();
    let provider = provider(store.clone(), keys, clock.clone()).scopes(["read", "write"]);
    Site::of(change(provider), ORIGIN, store, clock)
}

#[tokio::test]
async fn each_page_of_a_sign_in_looks_as_the_operator_wants() {
    let branding = Branding::new().title("Example & Co").logo(PNG).accent_color("#7a1fa2");
    let site = site(|provider| provider.branding(branding));
    let client = site.register(CALLBACK).await;
    let form = site.open(&client).await;
    for page in [
        site.fetch(&authorize_uri(&client, &[])).await,
        site.consent(&form, "allow", "wrong").await,
        site.fetch("/connections").await,
        site.fetch(&authorize_uri("unknown", &[])).await,
        site.post("/consent", &[("decision", "allow")]).await,
        site.fetch("/auth/callback?state=x").await,
    ] {
        let said = page.body.contains("<bdi>Example &amp; Co</bdi></header>");
        let shown = page.body.contains("<header><img src=\"data:image/png;base64,iVBORw0KGgo=\"");
        let coloured = page.body.contains(":root { --act: #7a1fa2; --act-text: #ffffff }");
        assert!(said && shown && coloured, "{}", page.body);
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("; img-src data:; "), "{policy}");
    }
}

#[tokio::test]
async fn a_scope_is_shown_in_the_words_of_the_operator_and_else_by_its_name() {
    let site = site(|provider| provider.scope_description("read", "Read your <notes>"));
    let client = site.register(CALLBACK).await;
    let all = site.fetch(&authorize_uri(&client, &[("scope", "read write")])).await.body;
    let read = "<li class=\"words\"><bdi>Read your &lt;notes&gt;</bdi> <code class=\"small\"><bdi>read</bdi></code></li>";
    let write = "<li><code><bdi>write</bdi></code></li>";
    assert!(all.contains(&format!("{read}{write}</ul>")), "{all}");
}

#[test]
fn what_cannot_be_shown_is_refused_at_start() {
    let url = PublicUrl::parse(ORIGIN, EndpointPath::parse("/mcp").unwrap()).unwrap();
    let provider = || LoginProvider::new().user("alice", Secret::new(PASSWORD.to_owned()));
    for refused in [
        provider().branding(Branding::new().logo(b"<svg/>".to_vec())),
        provider().branding(Branding::new().accent_color("blue")),
        provider().branding(Branding::new().title("")),
        provider().scopes(["read"]).scope_description("reed", "Read your notes"),
    ] {
        assert!(Arc::new(refused).at(&url).is_err());
    }
    let proxy = OAuthProxy::builder()
        .authorization_endpoint("https://idp.example.com/authorize")
        .token_endpoint("https://idp.example.com/token")
        .userinfo_endpoint("https://idp.example.com/userinfo")
        .public_client("mcp")
        .branding(Branding::new().accent_color("blue"));
    assert!(Arc::new(proxy).at(&url).is_err());
}
