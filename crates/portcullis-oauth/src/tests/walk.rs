//! A whole sign-in, from registration to revocation.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_client_registers_signs_a_user_in_refreshes_and_is_revoked() {
    let site = Site::new();
    let metadata = site.fetch("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["issuer"], ORIGIN);
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("registration_endpoint", "/register"),
        ("revocation_endpoint", "/revoke"),
    ] {
        assert_eq!(metadata[member], format!("{ORIGIN}{path}"), "{member}");
    }
    let client_id = site.register(CALLBACK).await;
    let form = site.open(&client_id).await;
    let answer = site.consent(&form, "allow", PASSWORD).await;
    let parameters = answer.redirect(CALLBACK);
    assert_eq!(value(&parameters, "state"), Some("s t+a/te"));
    assert_eq!(value(&parameters, "iss"), Some(ORIGIN));
    assert_eq!(value(&parameters, "error"), None);
    let redeemed = site.redeem(&client_id, &answer).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
    let tokens = redeemed.json();
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&json!("Bearer"), &json!("read")));
    let access = tokens["access_token"].as_str().unwrap();
    let alice = site.verifier.verify(&access.into()).await.unwrap();
    assert_eq!((alice.subject(), alice.client_id()), ("alice", Some(client_id.as_str())));
    assert_eq!((alice.scopes().to_string().as_str(), alice.issuer()), ("read", Some(ORIGIN)));

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh),
        ("client_id", client_id.as_str()),
    ];
    let refreshed = site.post("/token", &fields).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
    let tokens = refreshed.json();
    let access = tokens["access_token"].as_str().unwrap();
    assert!(site.verifier.verify(&access.into()).await.is_ok());

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let revoked = site.post("/revoke", &[("token", refresh), ("client_id", &client_id)]).await;
    assert_eq!(revoked.status, StatusCode::OK, "{}", revoked.body);
    site.clock.advance(Duration::from_secs(10));
    assert!(site.verifier.verify(&access.into()).await.is_err());
}

#[tokio::test]
async fn rule_12_another_process_with_the_same_keys_and_store_goes_on() {
    let (clock, keys) = (Arc::new(ManualClock::at(1_800_000_000)), KeyRing::ephemeral().unwrap());
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let process = || Site::on(ORIGIN, store.clone(), keys.clone(), clock.clone());
    let client_id = process().register(CALLBACK).await;
    let form = process().open(&client_id).await;
    let answer = process().consent(&form, "allow", PASSWORD).await;
    let redeemed = process().redeem(&client_id, &answer).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
    let access = redeemed.json()["access_token"].as_str().unwrap().to_owned();
    let alice = process().verifier.verify(&access.as_str().into()).await.unwrap();
    assert_eq!(alice.subject(), "alice");

    let other_keys = Site::on(ORIGIN, store.clone(), KeyRing::ephemeral().unwrap(), clock.clone());
    other_keys.fetch(&authorize_uri(&client_id, &[])).await.in_place(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn every_endpoint_answers_where_it_says_and_no_other_address_does() {
    let site = Site::new();
    for endpoint in site.endpoints.endpoints() {
        let request = Request::builder().method(endpoint.method.clone()).uri(&endpoint.path);
        let answer = site.send(request.body(String::new()).unwrap()).await;
        assert_ne!(answer.status, StatusCode::NOT_FOUND, "{endpoint:?}");
        assert!(!answer.status.is_server_error(), "{endpoint:?}");
    }
    for uri in ["/", "/consent", "/token", "/authorize/", "/Authorize"] {
        assert_eq!(site.fetch(uri).await.status, StatusCode::NOT_FOUND, "{uri}");
    }
    let head = Request::head(authorize_uri("x", &[])).body(String::new()).unwrap();
    assert_eq!(site.send(head).await.status, StatusCode::BAD_REQUEST);
}
