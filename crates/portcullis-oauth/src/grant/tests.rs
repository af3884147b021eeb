//! Codes, access tokens and refresh tokens, and what becomes of one that is used twice.

use std::time::Duration;

use portcullis_auth::{AccessTokenVerifier, BearerToken, Principal, TokenVerifier, VerifyError};
use portcullis_guard::{ManualClock, digest};
use portcullis_store::{Distant, MemoryStore};

use super::*;
use crate::record::authorization_code::CODE_LIFETIME;
use crate::record::grant::{GRACE, IDLE, LONGEST};

const ISSUER: &str = "https://mcp.example.com";
const RESOURCE: &str = "https://mcp.example.com/mcp";
pub(super) const NOW: u64 = 1_800_000_000;
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://localhost:1234/callback";

pub(super) struct World {
    pub(super) grants: Grants,
    pub(super) clock: Arc<ManualClock>,
}

fn world() -> World {
    let clock = Arc::new(ManualClock::at(NOW));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    World { grants: grants(&store, &clock, KeyRing::ephemeral().unwrap()), clock }
}

pub(super) fn grants(store: &Arc<dyn Store>, clock: &Arc<ManualClock>, keys: KeyRing) -> Grants {
    let (of, by) = (Arc::clone(store), clock.clone());
    Grants {
        issuer: ISSUER.to_owned(),
        resource: RESOURCE.to_owned(),
        store: Arc::clone(store),
        access_tokens: AccessTokenKeys::new(ISSUER, RESOURCE, of, by).unwrap(),
        keys,
        clock: clock.clone(),
        upstream: None,
        pending: Arc::default(),
    }
}

impl World {
    pub(super) async fn code(&self) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(digest::sha256(VERIFIER.as_bytes()));
        let approval = Approval {
            client_id: "client".to_owned(),
            client_name: Some("Notes".to_owned()),
            subject: "alice".to_owned(),
            scopes: Scopes::from_iter(["read", "write"]),
            redirect_uri: REDIRECT.to_owned(),
            code_challenge: CodeChallenge::parse(Some("S256"), Some(&challenge)).unwrap(),
            claims: Map::new(),
            allowed_at: None,
            tokens: None,
        };
        self.grants.issue_code(approval).await.unwrap().expose().clone()
    }

    pub(super) async fn tokens(&self) -> TokenResponse {
        self.grants.redeem(&redemption(&self.code().await)).await.unwrap()
    }

    async fn refresh(&self, token: &str) -> Result<TokenResponse, ErrorCode> {
        self.grants.refresh(&refresh(token)).await.map_err(|error| error.code)
    }

    /// Whom an access token speaks for, as a server with no memory of it would say.
    async fn verify(&self, token: &str) -> Result<Arc<Principal>, VerifyError> {
        let verifier = AccessTokenVerifier::new(self.grants.access_tokens.clone());
        verifier.verify(&BearerToken::from(token)).await
    }
}

pub(super) fn redemption(code: &str) -> CodeRedemption<'_> {
    CodeRedemption {
        code,
        code_verifier: VERIFIER,
        client_id: "client",
        redirect_uri: Some(REDIRECT),
        resource: Some(RESOURCE),
    }
}

fn refresh(token: &str) -> Refresh<'_> {
    Refresh { refresh_token: token, client_id: "client", scope: None, resource: None }
}

#[tokio::test]
async fn a_code_becomes_tokens_for_what_the_user_allowed() {
    let world = world();
    let tokens = world.tokens().await;
    let principal = world.verify(tokens.access_token.expose()).await.unwrap();
    assert_eq!((principal.subject(), principal.client_id()), ("alice", Some("client")));
    assert_eq!(principal.issuer(), Some(ISSUER));
    assert_eq!(*principal.scopes(), Scopes::from_iter(["read", "write"]));
    let json = tokens.to_json();
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["scope"], "read write");
}

#[tokio::test]
async fn q04_what_this_server_never_wrote_costs_no_look_into_the_store() {
    let clock = Arc::new(ManualClock::at(NOW));
    let distant = Distant::new(MemoryStore::new(clock.clone()));
    let store: Arc<dyn Store> = Arc::new(distant.clone());
    let world = World { grants: grants(&store, &clock, KeyRing::ephemeral().unwrap()), clock };
    let tokens = world.tokens().await;
    let code = world.code().await;
    let trips = distant.trips();
    let altered = format!("{}{}", &code[..code.len() - 8], "AAAAAAAA");
    let foreign = self::world().code().await;
    for garbage in ["", "pcac_", "pcac_x", &altered, &foreign, &"pcac_A".repeat(10_000)] {
        let refused = world.grants.redeem(&redemption(garbage)).await.map(|_| ());
        assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidGrant);
        assert!(world.refresh(garbage).await.is_err());
    }
    assert_eq!(distant.trips(), trips, "nobody was asked");
    assert!(world.grants.redeem(&redemption(&code)).await.is_ok());
    assert!(world.refresh(&tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn rule_27_a_token_is_good_for_a_minute_longer_than_was_announced() {
    let world = world();
    let tokens = world.tokens().await;
    let announced = tokens.to_json()["expires_in"].as_u64().unwrap();
    world.clock.advance(Duration::from_secs(announced + 59));
    assert!(world.verify(tokens.access_token.expose()).await.is_ok());
    // The leeway of every verifier is on top.
    world.clock.advance(Duration::from_secs(32));
    assert!(world.verify(tokens.access_token.expose()).await.is_err());
}

#[tokio::test]
async fn rule_27_31_what_is_announced_is_longer_than_any_client_refreshes_ahead() {
    let world = world();
    let mut token = world.tokens().await.refresh_token;
    // To the last day of the grant.
    let mut refreshed = 0;
    while let Ok(tokens) = world.refresh(&token).await {
        let announced = tokens.to_json()["expires_in"].as_u64().unwrap();
        assert!(announced > 300, "{announced}");
        token = tokens.refresh_token;
        refreshed += 1;
        world.clock.advance(IDLE / 2);
    }
    assert!(refreshed > 3, "{refreshed}");
}

#[tokio::test]
async fn o02_o05_a_code_that_comes_with_anything_else_is_used_up() {
    let world = world();
    let changes: [fn(&mut CodeRedemption<'_>); 6] = [
        |shown| shown.client_id = "other",
        |shown| shown.redirect_uri = Some("http://localhost:1/callback"),
        |shown| shown.code_verifier = "x",
        |shown| shown.code_verifier = "",
        |shown| shown.code_verifier = "aBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        |shown| shown.resource = Some("https://other.example.com"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let code = world.code().await;
        let mut shown = redemption(&code);
        change(&mut shown);
        let error = world.grants.redeem(&shown).await.map(|_| ()).unwrap_err();
        let other_resource = number == changes.len() - 1;
        let refused =
            if other_resource { ErrorCode::InvalidTarget } else { ErrorCode::InvalidGrant };
        assert_eq!(error.code, refused, "{}", shown.client_id);
        let error = world.grants.redeem(&redemption(&code)).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidGrant, "{}", shown.client_id);
    }
    // Made up, it uses up no other.
    let code = world.code().await;
    assert!(world.grants.redeem(&redemption("pcac_x")).await.is_err());
    // Rule 23: the resource may be left out, and so may the redirect URI (OAuth 2.1 §10.2).
    let shown = CodeRedemption { resource: None, redirect_uri: None, ..redemption(&code) };
    assert!(world.grants.redeem(&shown).await.is_ok());
}

#[tokio::test]
async fn rule_04_the_resource_may_have_a_slash_at_the_end() {
    let world = world();
    let code = world.code().await;
    let slash = format!("{RESOURCE}/");
    let shown = CodeRedemption { resource: Some(&slash), ..redemption(&code) };
    assert!(world.grants.redeem(&shown).await.is_ok());
    for other in ["https://mcp.example.com/mcp//", "https://mcp.example.com", "", "/"] {
        assert!(world.grants.check_resource(Some(other)).is_err(), "{other}");
    }
}

#[tokio::test]
async fn rule_24_a_code_and_a_refresh_token_survive_a_fault_of_the_store() {
    let clock = Arc::new(ManualClock::at(NOW));
    let distant = Distant::new(MemoryStore::new(clock.clone()));
    let store: Arc<dyn Store> = Arc::new(distant.clone());
    let grants = grants(&store, &clock, KeyRing::ephemeral().unwrap());
    let world = World { grants, clock };
    let code = world.code().await;
    distant.cut(true);
    let error = world.grants.redeem(&redemption(&code)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::TemporarilyUnavailable);
    distant.cut(false);
    world.clock.advance(Duration::from_secs(6));
    let tokens = world.grants.redeem(&redemption(&code)).await.unwrap();
    distant.cut(true);
    let error = world.refresh(&tokens.refresh_token).await.map(|_| ()).unwrap_err();
    assert_eq!(error, ErrorCode::TemporarilyUnavailable);
    distant.cut(false);
    world.clock.advance(Duration::from_secs(6));
    assert!(world.refresh(&tokens.refresh_token).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn rule_24_a_silent_store_is_not_waited_for_longer_than_clients_wait() {
    let clock = Arc::new(ManualClock::at(NOW));
    let distant = Distant::new(MemoryStore::new(clock.clone()));
    let store: Arc<dyn Store> = Arc::new(distant.clone());
    let grants = grants(&store, &clock, KeyRing::ephemeral().unwrap());
    let world = World { grants, clock };
    let code = world.code().await;
    distant.silence(true);
    let asked = tokio::time::Instant::now();
    let error = world.grants.redeem(&redemption(&code)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::TemporarilyUnavailable);
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn o05_rfc6749_4_1_2_a_code_ends_after_a_minute() {
    let world = world();
    let code = world.code().await;
    world.clock.advance(CODE_LIFETIME);
    let error = world.grants.redeem(&redemption(&code)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidGrant);
}

#[tokio::test]
async fn o04_a_second_use_of_a_code_revokes_what_came_of_the_first() {
    let world = world();
    let code = world.code().await;
    let tokens = world.grants.redeem(&redemption(&code)).await.unwrap();
    // Whoever has nothing but the code cannot end it.
    let thief = CodeRedemption { code_verifier: "x", ..redemption(&code) };
    assert!(world.grants.redeem(&thief).await.is_err());
    assert!(world.verify(tokens.access_token.expose()).await.is_ok());
    // Nor does another client, whatever it knows.
    let other = CodeRedemption { client_id: "other", ..redemption(&code) };
    assert!(world.grants.redeem(&other).await.is_err());
    assert!(world.verify(tokens.access_token.expose()).await.is_ok());

    assert!(world.grants.redeem(&redemption(&code)).await.is_err());
    assert!(world.verify(tokens.access_token.expose()).await.is_err());
    assert_eq!(
        world.refresh(&tokens.refresh_token).await.map(|_| ()),
        Err(ErrorCode::InvalidGrant)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn o04_of_many_who_redeem_one_code_one_succeeds_and_the_grant_ends() {
    let world = Arc::new(world());
    let code = world.code().await;
    let tries: Vec<_> = (0..100)
        .map(|_| {
            let (world, code) = (Arc::clone(&world), code.clone());
            tokio::spawn(async move { world.grants.redeem(&redemption(&code)).await.ok() })
        })
        .collect();
    let mut successes = Vec::new();
    for one in tries {
        successes.extend(one.await.unwrap());
    }
    assert_eq!(successes.len(), 1);
    assert!(world.refresh(&successes[0].refresh_token).await.is_err());
}

#[tokio::test]
async fn o25_rule_29_the_previous_refresh_token_gives_the_same_successor_for_a_minute() {
    let world = world();
    let first = world.tokens().await.refresh_token;
    let second = world.refresh(&first).await.unwrap().refresh_token;
    assert_ne!(first, second);
    world.clock.advance(GRACE - Duration::from_secs(1));
    let again = world.refresh(&first).await.unwrap();
    assert_eq!(again.refresh_token, second);
    assert!(world.verify(again.access_token.expose()).await.is_ok());

    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.refresh(&first).await.map(|_| ()), Err(ErrorCode::InvalidGrant));
    let revoked = world.refresh(&second).await.map(|_| ());
    assert_eq!(revoked, Err(ErrorCode::InvalidGrant), "it is in two hands");
    assert!(world.verify(again.access_token.expose()).await.is_err());
}

#[tokio::test]
async fn o25_a_replica_whose_clock_is_ahead_ends_no_grant() {
    let world = world();
    let first = world.tokens().await.refresh_token;
    let second = world.refresh(&first).await.unwrap().refresh_token;
    world.clock.set(NOW - 60);
    assert_eq!(world.refresh(&first).await.unwrap().refresh_token, second);
    // A clock that was set back for longer gives no longer grace.
    world.clock.set(NOW - 1_000);
    assert!(world.refresh(&first).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn o26_of_many_who_refresh_at_once_all_get_one_successor() {
    let world = Arc::new(world());
    let first = world.tokens().await.refresh_token;
    let tries: Vec<_> = (0..100)
        .map(|_| {
            let (world, first) = (Arc::clone(&world), first.clone());
            tokio::spawn(async move { world.refresh(&first).await.unwrap().refresh_token })
        })
        .collect();
    let mut successors = Vec::new();
    for one in tries {
        successors.push(one.await.unwrap());
    }
    successors.sort();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    assert!(world.refresh(&successors[0]).await.is_ok());
}

#[tokio::test]
async fn rule_30_a_refresh_token_is_its_clients_alone() {
    let world = world();
    let token = world.tokens().await.refresh_token;
    let other = Refresh { client_id: "other", ..refresh(&token) };
    let error = world.grants.refresh(&other).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidGrant);
    assert!(world.refresh(&token).await.is_ok(), "the other one ended nothing");
}

#[tokio::test]
async fn rfc6749_6_a_refresh_narrows_the_scopes_and_never_widens_them() {
    let world = world();
    let token = world.tokens().await.refresh_token;
    let asked = async |scope| {
        let token = world.grants.refresh(&Refresh { scope: Some(scope), ..refresh(&token) }).await;
        token.map(|tokens| tokens.scopes.to_string()).map_err(|error| error.code)
    };
    assert_eq!(asked("read").await.as_deref(), Ok("read"));
    assert_eq!(asked("write admin").await.as_deref(), Ok("write"));
    assert_eq!(asked("read write").await.as_deref(), Ok("read write"), "the grant has all of them");
    assert_eq!(asked("").await.as_deref(), Ok("read write"));
    assert_eq!(asked("openid email").await.as_deref(), Ok("read write"), "rule 14: mcp-remote");
    let elsewhere = Refresh { resource: Some("https://other.example.com"), ..refresh(&token) };
    let error = world.grants.refresh(&elsewhere).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidTarget);
}

#[tokio::test]
async fn a_grant_ends_unused_and_at_its_longest() {
    let world = world();
    let token = world.tokens().await.refresh_token;
    world.clock.advance(IDLE);
    assert!(world.refresh(&token).await.is_err(), "unused");

    let mut token = world.tokens().await.refresh_token;
    let step = IDLE - Duration::from_secs(1);
    let mut lasted = Duration::ZERO;
    while let Ok(next) = world.refresh(&token).await {
        token = next.refresh_token;
        world.clock.advance(step);
        lasted += step;
    }
    assert!((LONGEST..LONGEST + IDLE).contains(&lasted), "{lasted:?}");
}

#[tokio::test]
async fn o34_either_token_revokes_the_grant_of_its_own_client() {
    let world = world();
    for by_access_token in [false, true] {
        let tokens = world.tokens().await;
        let access = tokens.access_token.expose();
        let token = if by_access_token { access } else { &tokens.refresh_token };
        world.grants.revoke(token, "other").await.unwrap();
        assert!(world.verify(access).await.is_ok(), "another client revokes nothing");
        world.grants.revoke(token, "client").await.unwrap();
        assert!(world.verify(access).await.is_err());
        assert!(world.refresh(&tokens.refresh_token).await.is_err());
    }
    world.grants.revoke("unknown", "client").await.unwrap();
}

#[tokio::test]
async fn an_access_token_of_other_keys_and_a_refresh_token_are_refused() {
    let world = world();
    let other = self::world();
    let token = other.tokens().await.access_token;
    assert!(world.verify(token.expose()).await.is_err(), "other keys");
    let own = world.tokens().await;
    assert!(world.verify(&own.refresh_token).await.is_err(), "a refresh token");
}

#[tokio::test]
async fn another_resource_of_the_issuer_takes_neither_codes_nor_tokens() {
    let clock = Arc::new(ManualClock::at(NOW));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    let keys = KeyRing::ephemeral().unwrap();
    let one = World { grants: grants(&store, &clock, keys.clone()), clock: clock.clone() };
    let other = "https://mcp.example.com/admin";
    let access_tokens = AccessTokenKeys::new(ISSUER, other, Arc::clone(&store), clock.clone());
    let two = Grants {
        resource: other.to_owned(),
        access_tokens: access_tokens.unwrap(),
        ..grants(&store, &clock, keys)
    };
    let two = World { grants: two, clock };
    let tokens = one.tokens().await;
    let code = one.code().await;
    let shown = CodeRedemption { resource: None, ..redemption(&code) };
    assert!(two.grants.redeem(&shown).await.is_err());
    assert!(two.refresh(&tokens.refresh_token).await.is_err());
    assert!(two.verify(tokens.access_token.expose()).await.is_err());
    assert!(one.grants.redeem(&shown).await.is_ok(), "its own was not used up");
    assert!(one.refresh(&tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn replicas_with_one_store_and_keys_are_one_server() {
    let clock = Arc::new(ManualClock::at(NOW));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    let keys = KeyRing::ephemeral().unwrap();
    let one = World { grants: grants(&store, &clock, keys.clone()), clock: clock.clone() };
    let two = World { grants: grants(&store, &clock, keys), clock };
    let tokens = two.grants.redeem(&redemption(&one.code().await)).await.unwrap();
    assert!(one.verify(tokens.access_token.expose()).await.is_ok());
    let next = one.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(two.refresh(&tokens.refresh_token).await.unwrap().refresh_token, next.refresh_token);
    two.grants.revoke(&next.refresh_token, "client").await.unwrap();
    assert!(one.verify(tokens.access_token.expose()).await.is_err());
}
