//! The authorization endpoint, before a user has answered.

use portcullis_store::Store;

use super::*;

#[tokio::test]
async fn the_page_says_who_asks_where_the_answer_goes_and_for_what() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let page = site.fetch(&authorize_uri(&client_id, &[("scope", "")])).await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "Allow access to <bdi>Field notes</bdi>?",
        "calls itself <strong><bdi>Test &lt;client&gt;</bdi></strong>",
        "<strong><bdi>127.0.0.1:33418</bdi></strong>",
        "<li><code><bdi>read</bdi></code></li><li><code><bdi>write</bdi></code></li>",
    ] {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' http://127.0.0.1:33418;"), "{policy}");
}

#[tokio::test]
async fn rule_18_opening_the_page_leaves_nothing_behind() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    for _ in 0..3 {
        let page = site.fetch(&authorize_uri(&client_id, &[("prompt", "consent")])).await;
        assert_eq!(page.status, StatusCode::OK);
    }
    assert!(site.store.is_empty());
}

#[tokio::test]
async fn rule_19_an_unknown_client_gets_a_400_that_says_what_to_do() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let elsewhere = Site::new().register(CALLBACK).await;
    for unknown in ["x", "pcc_", &client_id[..client_id.len() - 1], &elsewhere] {
        let answer = site.fetch(&authorize_uri(unknown, &[])).await;
        answer.in_place(StatusCode::BAD_REQUEST);
        assert!(answer.body.contains("Remove the server"), "{}", answer.body);
    }
}

#[tokio::test]
async fn o32_r05_nothing_is_redirected_to_an_unproven_address() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    for uri in [
        "https://evil.example/cb",
        "http://127.0.0.1:33418/Callback",
        "http://127.0.0.1:33418/callback/",
        "http://127.0.0.1:33418/callback?a=b",
        "http://127.0.0.1:33418/callback#",
        "http://127.0.0.1:33418/callback#x",
        "http://127.0.0.1:33418/%63allback",
        "http://127.0.0.1:33418/a/../callback",
        "http://localhost:33418/callback",
        "http://127.0.0.1:33418@evil.example/callback",
        "http://127.0.0.1.evil.example:33418/callback",
        "https://127.0.0.1:33418/callback",
        "HTTP://127.0.0.1:33418/callback",
        "http://127.1:33418/callback",
        "javascript:alert(1)",
        "",
    ] {
        // With a second error, which would be redirected.
        let changes = [("redirect_uri", uri), ("response_type", "token")];
        let answer = site.fetch(&authorize_uri(&client_id, &changes)).await;
        answer.in_place(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn r07_the_port_of_a_loopback_redirect_is_free() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let uri = "http://127.0.0.1:50123/callback";
    let form = site.fetch(&authorize_uri(&client_id, &[("redirect_uri", uri)])).await.form();
    let answer = site.consent(&form, "allow", PASSWORD).await;
    assert!(value(&answer.redirect(uri), "code").is_some());
}

#[tokio::test]
async fn a_parameter_that_is_there_twice_is_refused_in_place() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    for twice in ["&state=x", "&redirect_uri=x", "&client_id=x", "&code_challenge=x", "&a=&a="] {
        let uri = authorize_uri(&client_id, &[]) + twice;
        site.fetch(&uri).await.in_place(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn o01_o20_o22_o23_what_is_wrong_is_told_to_a_proven_client_with_state_and_iss() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    for (changes, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "id_token")], "unsupported_response_type"),
        (&[("response_type", "code token")], "unsupported_response_type"),
        (&[("response_type", "none")], "unsupported_response_type"),
        (&[("response_type", "")], "invalid_request"),
        (&[("response_mode", "form_post")], "invalid_request"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("request", "e30.e30.")], "invalid_request"),
        (&[("request_uri", "https://evil.example")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "s256")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("resource", "https://other.example/mcp")], "invalid_target"),
        (&[("resource", "http://127.0.0.1:8000/mcp2")], "invalid_target"),
        (&[("resource", "http://127.0.0.1:8000/mcp#x")], "invalid_target"),
    ] {
        let answer = site.fetch(&authorize_uri(&client_id, changes)).await;
        let parameters = answer.redirect(CALLBACK);
        assert_eq!(value(&parameters, "error"), Some(error), "{changes:?}");
        assert_eq!(value(&parameters, "state"), Some("s t+a/te"));
        assert_eq!(value(&parameters, "iss"), Some(ORIGIN));
        assert!(value(&parameters, "error_description").is_some());
        assert_eq!(value(&parameters, "code"), None);
        let location = answer.headers[LOCATION].to_str().unwrap();
        assert!(!location.contains('+'), "rule 21: {location}");
    }
}

#[tokio::test]
async fn a_state_that_could_not_be_given_back_is_refused_without_it() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    for state in ["a\nb", "ä", "\0", &"x".repeat(2_049)] {
        let answer = site.fetch(&authorize_uri(&client_id, &[("state", state)])).await;
        let parameters = answer.redirect(CALLBACK);
        assert_eq!(value(&parameters, "error"), Some("invalid_request"));
        assert_eq!(value(&parameters, "state"), None);
    }
}

#[tokio::test]
async fn o20_a_redirect_uri_that_says_iss_itself_gets_no_answer() {
    let site = Site::new();
    let uri = "http://127.0.0.1:33418/callback?iss=https%3A%2F%2Fevil.example";
    let body = json!({"redirect_uris": [uri]}).to_string();
    let request = Request::post("/register").header(CONTENT_TYPE, "application/json");
    let answer = site.send(request.body(body).unwrap()).await;
    if answer.status == StatusCode::CREATED {
        let client_id = answer.json()["client_id"].as_str().unwrap().to_owned();
        let answer = site.fetch(&authorize_uri(&client_id, &[("redirect_uri", uri)])).await;
        answer.in_place(StatusCode::BAD_REQUEST);
    } else {
        assert_eq!(answer.json()["error"], "invalid_redirect_uri");
    }
}

#[tokio::test]
async fn r10_the_answer_to_an_app_goes_to_its_scheme_and_the_policy_lets_it() {
    let site = Site::new();
    let uri = "cursor://anysphere.cursor-mcp/oauth/callback";
    let client_id = site.register(uri).await;
    let page = site.fetch(&authorize_uri(&client_id, &[("redirect_uri", uri)])).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' cursor:;"), "{policy}");
    let answer = site.consent(&page.form(), "allow", PASSWORD).await;
    assert!(value(&answer.redirect(uri), "code").is_some());
}

#[tokio::test]
async fn rule_23_a_client_may_leave_resource_out() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let form = site.fetch(&authorize_uri(&client_id, &[("resource", "")])).await.form();
    let answer = site.consent(&form, "allow", PASSWORD).await;
    assert!(value(&answer.redirect(CALLBACK), "code").is_some());
}

#[tokio::test]
async fn o32_no_link_of_the_server_leads_to_a_website_by_itself() {
    let site = Site::new();
    let website = "https://client.example.com/cb";
    let client_id = site.register(website).await;
    for wrong in [("response_type", "token"), ("code_challenge", "x"), ("resource", "https://x/")] {
        let uri = authorize_uri(&client_id, &[("redirect_uri", website), wrong]);
        site.fetch(&uri).await.in_place(StatusCode::BAD_REQUEST);
    }
    // The user decides, and then the website is told.
    let form = site.fetch(&authorize_uri(&client_id, &[("redirect_uri", website)])).await.form();
    let denied = site.consent(&form, "deny", "").await;
    assert_eq!(value(&denied.redirect(website), "error"), Some("access_denied"));
}
