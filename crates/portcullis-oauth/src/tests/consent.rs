//! What a user answers on the page: yes, no, or a wrong password.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn deny_needs_no_password_and_is_told_to_the_client() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let answer = site.consent(&site.open(&client_id).await, "deny", "").await;
    let parameters = answer.redirect(CALLBACK);
    assert_eq!(value(&parameters, "error"), Some("access_denied"));
    assert_eq!(value(&parameters, "state"), Some("s t+a/te"));
    assert_eq!(value(&parameters, "iss"), Some(ORIGIN));
    assert_eq!(value(&parameters, "code"), None);
}

#[tokio::test]
async fn a_wrong_password_shows_the_page_again_and_the_right_one_then_passes() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let form = site.open(&client_id).await;
    for wrong in ["", "x", "dev-password-alic", "Dev-password-alice"] {
        let answer = site.consent(&form, "allow", wrong).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.body.contains("role=\"alert\"") && answer.body.contains("value=\"alice\""));
        assert!(answer.body.contains(&form.request), "the form is there again");
        assert!(!answer.body.contains("value=\"dev"), "the password is not");
    }
    let answer = site.consent(&form, "allow", PASSWORD).await;
    assert!(value(&answer.redirect(CALLBACK), "code").is_some());
}

#[tokio::test]
async fn q04_after_ten_wrong_passwords_the_right_one_has_to_wait() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let form = site.open(&client_id).await;
    for _ in 0..10 {
        assert_eq!(site.consent(&form, "allow", "x").await.status, StatusCode::FORBIDDEN);
    }
    let answer = site.consent(&form, "allow", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers["retry-after"], "600");
    site.clock.advance(Duration::from_secs(600));
    let form = site.open(&client_id).await;
    let answer = site.consent(&form, "allow", PASSWORD).await;
    assert!(value(&answer.redirect(CALLBACK), "code").is_some());
}

#[tokio::test]
async fn o13_o14_a_form_is_good_in_the_browser_that_it_was_made_for_alone() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let (own, other) = (site.open(&client_id).await, site.open(&client_id).await);
    for cookie in [
        other.cookie.clone(),
        String::new(),
        "portcullis-browser=x".to_owned(),
        format!("{}; {}", own.cookie, own.cookie),
        format!("{}; {}", own.cookie, other.cookie),
        format!("__Host-{}", own.cookie),
    ] {
        let form = Form { cookie, request: own.request.clone() };
        site.consent(&form, "allow", PASSWORD).await.in_place(StatusCode::BAD_REQUEST);
        site.consent(&form, "deny", "").await.in_place(StatusCode::BAD_REQUEST);
    }
    assert_eq!(site.consent(&own, "allow", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_is_good_at_the_server_that_made_it_alone() {
    let keys = KeyRing::ephemeral().unwrap();
    let site = Site::new();
    let on = |origin| Site::on(origin, site.store.clone(), keys.clone(), site.clock.clone());
    let (one, other) = (on(ORIGIN), on("http://127.0.0.1:8001"));
    let form = one.open(&one.register(CALLBACK).await).await;
    other.consent(&form, "allow", PASSWORD).await.in_place(StatusCode::BAD_REQUEST);
    assert_eq!(one.consent(&form, "allow", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn o13_two_tabs_of_one_browser_are_both_good_and_each_answers_its_own_client() {
    let site = Site::new();
    let (one, two) = ("http://127.0.0.1/one", "http://127.0.0.1/two");
    let (first, second) = (site.register(one).await, site.register(two).await);
    let tab_one = site.fetch(&authorize_uri(&first, &[("redirect_uri", one)])).await.form();
    let request = Request::get(authorize_uri(&second, &[("redirect_uri", two)]));
    let request = request.header(COOKIE, &tab_one.cookie).body(String::new()).unwrap();
    let tab_two = site.send(request).await.form();
    assert_eq!(tab_one.cookie, tab_two.cookie);
    assert!(
        value(&site.consent(&tab_two, "allow", PASSWORD).await.redirect(two), "code").is_some()
    );
    assert!(
        value(&site.consent(&tab_one, "allow", PASSWORD).await.redirect(one), "code").is_some()
    );
}

#[tokio::test]
async fn a_form_is_good_for_ten_minutes_as_it_was_made() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let form = site.open(&client_id).await;
    let changed = |request: &str| Form { cookie: form.cookie.clone(), request: request.to_owned() };
    let mut flipped = form.request.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for request in [&flipped, &form.request[1..], "x", &client_id] {
        let answer = site.consent(&changed(request), "allow", PASSWORD).await;
        answer.in_place(StatusCode::BAD_REQUEST);
    }
    site.clock.advance(Duration::from_secs(599));
    assert_eq!(site.consent(&form, "allow", PASSWORD).await.status, StatusCode::SEE_OTHER);
    site.clock.advance(Duration::from_secs(1));
    site.consent(&form, "allow", PASSWORD).await.in_place(StatusCode::BAD_REQUEST);
    site.consent(&form, "deny", "").await.in_place(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_form_from_another_page_does_nothing() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let form = site.open(&client_id).await;
    for header in [
        ("origin", "null"),
        ("origin", "http://127.0.0.1:8001"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
    ] {
        for decision in ["allow", "deny"] {
            let answer = site.answer_form(&form, &[header], decision, PASSWORD).await;
            answer.in_place(StatusCode::FORBIDDEN);
        }
    }
    let own = [("origin", ORIGIN), ("sec-fetch-site", "same-origin")];
    let answer = site.answer_form(&form, &own, "allow", PASSWORD).await;
    assert!(value(&answer.redirect(CALLBACK), "code").is_some());
}

#[tokio::test]
async fn what_is_no_form_of_ours_does_nothing() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let form = site.open(&client_id).await;
    for decision in ["", "Allow", "yes"] {
        let answer = site.consent(&form, decision, PASSWORD).await;
        answer.in_place(StatusCode::BAD_REQUEST);
    }
    let fields = query(&[("request", &form.request), ("decision", "deny")]);
    for (content_type, body) in [
        ("application/json", fields.clone()),
        ("text/plain", fields.clone()),
        ("", fields.clone()),
        ("application/x-www-form-urlencoded", format!("{fields}&decision=allow")),
        ("application/x-www-form-urlencoded", String::new()),
    ] {
        let request = Request::post("/consent").header(COOKIE, &form.cookie);
        let request = request.header(CONTENT_TYPE, content_type).body(body).unwrap();
        site.send(request).await.in_place(StatusCode::BAD_REQUEST);
    }
    let request = Request::post("/consent").header(COOKIE, &form.cookie);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded;charset=UTF-8");
    let answer = site.send(request.body(fields).unwrap()).await;
    assert_eq!(value(&answer.redirect(CALLBACK), "error"), Some("access_denied"));
}

#[tokio::test]
async fn o14_over_https_the_cookie_is_bound_to_the_host() {
    let site = Site::at("https://mcp.example.com");
    let client_id = site.register(CALLBACK).await;
    let page = site.fetch(&authorize_uri(&client_id, &[("resource", "")])).await;
    let cookie = page.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-portcullis-browser="), "{cookie}");
    assert!(cookie.contains("; Path=/;") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(cookie.contains("; HttpOnly;") && cookie.contains("; SameSite=Lax;"), "{cookie}");
    assert!(!cookie.contains("Domain"), "{cookie}");
    let answer = site.consent(&page.form(), "allow", PASSWORD).await;
    let parameters = answer.redirect(CALLBACK);
    assert_eq!(value(&parameters, "iss"), Some("https://mcp.example.com"));
}

#[tokio::test]
async fn o10_o11_each_sign_in_asks_whoever_has_said_yes_before() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let form = site.open(&client_id).await;
    assert_eq!(site.consent(&form, "allow", PASSWORD).await.status, StatusCode::SEE_OTHER);
    let other = site.register("http://127.0.0.1/other").await;
    for (id, uri) in [(&client_id, CALLBACK), (&other, "http://127.0.0.1/other")] {
        for prompt in ["none", "consent", ""] {
            let uri = authorize_uri(id, &[("redirect_uri", uri), ("prompt", prompt)]);
            let request = Request::get(uri).header(COOKIE, &form.cookie);
            let page = site.send(request.body(String::new()).unwrap()).await;
            assert!(!page.form().request.is_empty(), "a page with a password to give");
            assert!(page.body.contains("type=\"password\""));
        }
    }
}
