//! Users of a directory of one's own.

use portcullis_auth::{BearerToken, MaybeFuture, Scopes};

use super::*;
use crate::upstream::tests::log::Log;
use crate::{ClientPolicy, OAuthProvider, SignInPage, SignInRefused, UserIdentity};

/// Alice, who may read; whoever says their password is `away` cannot be looked up.
#[derive(Debug)]
struct Directory;

impl OAuthProvider for Directory {
    fn sign_in<'a>(
        &'a self,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> MaybeFuture<'a, Result<UserIdentity, SignInRefused>> {
        MaybeFuture::ready(match (name, password.expose().as_str()) {
            (_, "away") => Err(SignInRefused::Unavailable),
            ("alice", PASSWORD) => {
                let alice = UserIdentity::new("u-17").claim("department", "research");
                Ok(alice.claim("sub", "u-18").scopes(["read", "admin"]))
            }
            (_, password) if password.starts_with("nested ") => {
                let (_, levels) = password.split_once(' ').unwrap();
                let nested =
                    (0..levels.parse().unwrap()).fold(json!("research"), |inner, _| json!([inner]));
                Ok(UserIdentity::new("u-19").claim("email", "x").claim("units", nested))
            }
            _ => Err(SignInRefused::Wrong),
        })
    }
}

fn site() -> Site {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let page = SignInPage::new(Directory).scopes(["read", "write"]).store(store.clone());
    Site::of(page.clock(clock.clone()), ORIGIN, store, clock)
}

#[tokio::test]
async fn a_token_says_of_a_user_what_their_provider_does_and_grants_what_they_may() {
    let site = site();
    let client = site.register(CALLBACK).await;
    let page = site.fetch(&authorize_uri(&client, &[("scope", "read write")])).await;
    let answer = site.consent(&page.form(), "allow", PASSWORD).await;
    let token = site.redeem(&client, &answer).await.json();
    assert_eq!(token["scope"], "read");
    let token = BearerToken::from(token["access_token"].as_str().unwrap());
    let principal = site.verifier.verify(&token).await.unwrap();
    assert_eq!(principal.subject(), "u-17");
    assert_eq!(principal.claims()["department"], "research");
    assert_eq!(*principal.scopes(), Scopes::from_iter(["read"]));
}

#[tokio::test]
async fn while_the_directory_is_away_nobody_signs_in_and_it_says_so() {
    let site = site();
    let client = site.register(CALLBACK).await;
    let form = site.open(&client).await;
    let answer = site.consent(&form, "allow", "away").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.body.contains("Nobody can tell at the moment"), "{}", answer.body);
    let answer = site.consent(&form, "allow", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[test]
fn it_is_for_any_host_and_warns_of_passwords() {
    let url = PublicUrl::parse("https://mcp.example.com", EndpointPath::parse("/mcp").unwrap());
    let page = Arc::new(SignInPage::new(Directory));
    assert!(!page.summary().loopback_only);
    let policy = ClientPolicy::default().allow_loopback_documents();
    assert!(SignInPage::new(Directory).clients(policy).summary().loopback_only);
    let warnings = page.at(&url.unwrap()).unwrap().warnings;
    assert!(warnings[0].contains("second factor") && warnings[1].contains("SignInPage a store"));
}

#[tokio::test]
async fn claims_that_nest_too_deep_to_be_read_again_are_refused_and_none_is_lost() {
    let site = site();
    let client = site.register(CALLBACK).await;
    let log = Log::begin();
    for (password, kept) in [("nested 6", true), ("nested 7", false)] {
        let form = site.open(&client).await;
        let answer = site.consent(&form, "allow", password).await;
        let parameters = answer.redirect(CALLBACK);
        if kept {
            let token = site.redeem(&client, &answer).await.json();
            let token = BearerToken::from(token["access_token"].as_str().unwrap());
            let principal = site.verifier.verify(&token).await.unwrap();
            assert_eq!(principal.claims()["units"], json!([[[[[["research"]]]]]]));
            assert!(!log.text().contains("cannot be kept"), "{}", log.text());
        } else {
            assert_eq!(value(&parameters, "error"), Some("server_error"));
            assert!(log.text().contains("cannot be kept"), "{}", log.text());
            assert!(log.text().contains("units"), "{}", log.text());
        }
    }
}
