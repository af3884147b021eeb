//! What users see of their connections, and what revoking ends.

mod killed;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_auth::{AccessTokenVerifier, EndpointPath, MaybeFuture, TokenVerifier, VerifyError};
use portcullis_guard::{ManualClock, digest};
use portcullis_store::{
    CasOutcome, Distant, MemoryStore, RecordKey, RecordOwner, RecordValue, StoreError,
};
use serde_json::Map;

use super::*;
use crate::grant::{Approval, CodeChallenge, CodeRedemption, Refresh, TokenResponse};
use crate::record::grant::{IDLE, LONGEST, UNREDEEMED};
use crate::record::grant_index::GrantEntry;

const NOW: u64 = 1_800_000_000;
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CALLBACK: &str = "http://localhost:1234/callback";

struct World {
    connections: Connections,
    store: Distant<MemoryStore>,
    clock: Arc<ManualClock>,
}

fn world() -> World {
    let clock = Arc::new(ManualClock::at(NOW));
    let store = Distant::new(MemoryStore::new(clock.clone()));
    let connections = at("https://mcp.example.com", store.clone(), &clock);
    World { connections, store, clock }
}

/// Those of a server at `origin`.
fn at(origin: &str, store: impl Store, clock: &Arc<ManualClock>) -> Connections {
    let url = PublicUrl::parse(origin, EndpointPath::parse("/mcp").unwrap()).unwrap();
    let Connections(mut grants) = Connections::new(&url, Arc::new(store)).unwrap();
    grants.clock = clock.clone();
    let (of, by) = (grants.store.clone(), grants.clock.clone());
    grants.access_tokens =
        AccessTokenKeys::new(&*grants.issuer, &*grants.resource, of, by).unwrap();
    Connections::of(grants)
}

impl World {
    async fn code(&self, subject: &str, client_id: &str) -> String {
        self.code_of(subject, client_id, None).await
    }

    /// A code for what was allowed at a time, if that was not now.
    async fn code_of(&self, subject: &str, client_id: &str, allowed_at: Option<u64>) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(digest::sha256(VERIFIER.as_bytes()));
        let approval = Approval {
            client_id: client_id.to_owned(),
            client_name: Some(format!("Program {client_id}")),
            subject: subject.to_owned(),
            scopes: Scopes::from_iter(["read", "write"]),
            redirect_uri: CALLBACK.to_owned(),
            code_challenge: CodeChallenge::parse(Some("S256"), Some(&challenge)).unwrap(),
            claims: Map::new(),
            allowed_at,
            tokens: None,
        };
        self.connections.0.issue_code(approval).await.unwrap().expose().clone()
    }

    async fn redeem(&self, code: &str, client_id: &str) -> Option<TokenResponse> {
        let shown = CodeRedemption {
            code,
            code_verifier: VERIFIER,
            client_id,
            redirect_uri: Some(CALLBACK),
            resource: None,
        };
        self.connections.0.redeem(&shown).await.ok()
    }

    async fn allow(&self, subject: &str, client_id: &str) -> TokenResponse {
        self.redeem(&self.code(subject, client_id).await, client_id).await.unwrap()
    }

    async fn refresh(&self, token: &str, client_id: &str) -> Option<TokenResponse> {
        let shown = Refresh { refresh_token: token, client_id, scope: None, resource: None };
        self.connections.0.refresh(&shown).await.ok()
    }

    /// The clients that a user has allowed, as users see them.
    async fn clients(&self, subject: &str) -> Vec<String> {
        let found = self.connections.of_subject(subject).await.unwrap().connections;
        found.into_iter().map(|connection| connection.client_id).collect()
    }

    /// Whether a replica takes a token that has never seen it.
    async fn verify(&self, tokens: &TokenResponse) -> Result<(), VerifyError> {
        let verifier = AccessTokenVerifier::new(self.connections.0.access_tokens.clone());
        verifier.verify(&tokens.access_token.expose().as_str().into()).await.map(|_| ())
    }
}

#[tokio::test]
async fn a_user_sees_what_they_allowed_and_when_it_was_used() {
    let world = world();
    let tokens = world.allow("alice", "one").await;
    let hour = Duration::from_secs(60 * 60);
    world.clock.advance(hour);
    assert!(world.refresh(&tokens.refresh_token, "one").await.is_some());
    world.allow("bob", "one").await;
    let ConnectionList { connections, more } = world.connections.of_subject("alice").await.unwrap();
    let [connection] = &connections[..] else { panic!("{connections:?}") };
    let start = UNIX_EPOCH + Duration::from_secs(NOW);
    assert_eq!(
        (connection.allowed_at, connection.refreshed_at, connection.expires_at),
        (start, start + hour, start + hour + IDLE)
    );
    assert_eq!((&*connection.subject, &*connection.client_id), ("alice", "one"));
    assert_eq!(connection.client_name.as_deref(), Some("Program one"));
    assert_eq!((&*connection.leads_to, more), ("localhost:1234", false));
    assert_eq!(connection.scopes, Scopes::from_iter(["read", "write"]));
    assert_eq!(world.connections.of_client("one").await.unwrap().connections.len(), 2);
    assert!(world.clients("Alice").await.is_empty());
}

#[tokio::test]
async fn what_is_used_last_comes_first() {
    let world = world();
    for client in ["one", "two", "three"] {
        world.allow("alice", client).await;
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(world.clients("alice").await, ["three", "two", "one"]);
}

#[tokio::test]
async fn a_revoked_connection_is_refused_at_every_replica_and_never_read_as_unrestricted() {
    let world = world();
    let (one, two) = (world.allow("alice", "one").await, world.allow("alice", "two").await);
    // It has seen the token, and remembers it for as long as it may.
    let replica = AccessTokenVerifier::new(world.connections.0.access_tokens.clone());
    let verify = async |tokens: &TokenResponse| {
        replica.verify(&tokens.access_token.expose().as_str().into()).await.is_ok()
    };
    assert!(verify(&one).await && verify(&two).await);
    let id = world.connections.of_client("one").await.unwrap().connections[0].id.clone();
    let revoked = world.connections.revoke(&id).await.unwrap().unwrap();
    assert_eq!((&*revoked.client_id, &*revoked.id), ("one", &*id));
    assert!(world.verify(&one).await.is_err() && world.verify(&two).await.is_ok());
    assert!(world.refresh(&one.refresh_token, "one").await.is_none());
    world.clock.advance(Duration::from_secs(5));
    assert!(!verify(&one).await && verify(&two).await);
    assert_eq!(world.clients("alice").await, ["two"]);
    assert_eq!(world.connections.revoke(&id).await.unwrap(), None, "it was revoked");
}

#[tokio::test]
async fn all_of_a_user_or_of_a_client_end_and_no_others_do() {
    let world = world();
    for _ in 0..3 {
        for (subject, client) in [("alice", "one"), ("alice", "two"), ("bob", "one")] {
            world.allow(subject, client).await;
        }
    }
    assert_eq!(world.connections.revoke_all_of("alice").await.unwrap(), 6);
    assert_eq!(world.clients("bob").await, ["one"; 3]);
    world.allow("carol", "two").await;
    assert_eq!(world.connections.revoke_all_to("one").await.unwrap(), 3);
    assert!(world.clients("alice").await.is_empty() && world.clients("bob").await.is_empty());
    assert_eq!(world.clients("carol").await, ["two"]);
    assert_eq!(world.connections.revoke_all_of("nobody").await.unwrap(), 0);
}

#[tokio::test]
async fn nobody_revokes_what_somebody_else_allowed() {
    let world = world();
    world.allow("alice", "one").await;
    let id = world.connections.of_subject("alice").await.unwrap().connections[0].id.clone();
    assert_eq!(world.connections.revoke_own("bob", &id).await.unwrap(), None);
    assert_eq!(world.clients("alice").await, ["one"]);
    assert!(world.connections.revoke_own("alice", &id).await.unwrap().is_some());
    assert!(world.clients("alice").await.is_empty());
}

#[tokio::test]
async fn a_code_from_before_is_good_for_nothing_once_its_user_has_taken_something_back() {
    let world = world();
    world.allow("alice", "one").await;
    let (code, of_bob) = (world.code("alice", "two").await, world.code("bob", "two").await);
    assert_eq!(world.connections.revoke_all_to("one").await.unwrap(), 1);
    assert!(world.redeem(&code, "two").await.is_none());
    assert!(world.redeem(&of_bob, "two").await.is_some());
    assert!(world.clients("alice").await.is_empty());
    world.clock.advance(Duration::from_secs(1));
    world.allow("alice", "two").await;
    assert_eq!(world.clients("alice").await, ["two"]);
}

#[tokio::test]
async fn what_was_allowed_before_it_was_taken_back_gets_no_tokens_by_a_later_code() {
    let world = world();
    let second = || world.clock.advance(Duration::from_secs(1));
    second();
    world.connections.revoke_all_of("alice").await.unwrap();
    world.connections.revoke_all_to("one").await.unwrap();
    second();
    for (subject, client_id, lasts) in
        [("alice", "two", false), ("bob", "one", false), ("bob", "two", true)]
    {
        let before = world.code_of(subject, client_id, Some(NOW)).await;
        assert_eq!(
            world.redeem(&before, client_id).await.is_some(),
            lasts,
            "{subject} {client_id}"
        );
        let after = world.code(subject, client_id).await;
        assert!(world.redeem(&after, client_id).await.is_some());
    }
}

#[tokio::test]
async fn a_replica_whose_clock_is_late_takes_nothing_back_of_what_was_taken_back() {
    let world = world();
    for now in [100, 50] {
        world.clock.set(NOW + now);
        world.connections.revoke_all_of("alice").await.unwrap();
    }
    world.clock.set(NOW + 110);
    let before = world.code_of("alice", "one", Some(NOW + 70)).await;
    assert!(world.redeem(&before, "one").await.is_none());
    world.allow("alice", "one").await;
}

#[tokio::test]
async fn an_entry_that_names_somebody_elses_grant_shows_and_revokes_nothing() {
    let world = world();
    let tokens = world.allow("bob", "one").await;
    let id = world.connections.of_subject("bob").await.unwrap().connections[0].id.clone();
    let Connections(grants) = &world.connections;
    let entry = GrantEntry { grant_id: id };
    let key = entry.key(&GrantOwner::Subject("alice").entries(&grants.issuer, &grants.resource));
    let until = world.clock.now() + IDLE;
    world.store.put(&key, entry.write().unwrap(), until).await.unwrap();
    assert!(world.clients("alice").await.is_empty());
    world.store.put(&key, entry.write().unwrap(), until).await.unwrap();
    assert_eq!(world.connections.revoke_all_of("alice").await.unwrap(), 0);
    assert!(world.verify(&tokens).await.is_ok());
}

#[tokio::test]
async fn another_server_on_the_same_store_shows_and_revokes_none() {
    let world = world();
    world.allow("alice", "one").await;
    let other = at("https://other.example.com", world.store.clone(), &world.clock);
    assert!(other.of_subject("alice").await.unwrap().connections.is_empty());
    assert_eq!(other.revoke_all_to("one").await.unwrap(), 0);
    assert_eq!(world.clients("alice").await, ["one"]);
}

#[tokio::test]
async fn what_has_ended_by_itself_is_not_listed_and_hides_none_that_lasts() {
    let world = world();
    for subject in ["alice", "bob"] {
        for _ in 0..Connections::MOST_LISTED {
            world.allow(subject, "old").await;
        }
    }
    let list = world.connections.of_client("old").await.unwrap();
    assert_eq!((list.connections.len(), list.more), (Connections::MOST_LISTED, true));
    world.clock.advance(IDLE);
    for old in ["alice", "bob"] {
        assert!(world.clients(old).await.is_empty());
    }
    world.allow("alice", "new").await;
    let list = world.connections.of_subject("alice").await.unwrap();
    assert_eq!((list.connections.len(), list.more), (1, false));
    // Their entries are gone, too.
    let trips = world.store.trips();
    assert_eq!(world.clients("alice").await, ["new"]);
    assert_eq!(world.store.trips() - trips, 2);
}

#[tokio::test]
async fn d01_a_user_has_500_grants_and_for_one_more_one_of_the_same_client_ends() {
    let world = world();
    let second = || world.clock.advance(Duration::from_secs(1));
    let oldest = world.allow("alice", "oldest").await;
    second();
    let (used, unused) = (world.allow("alice", "one").await, world.allow("alice", "one").await);
    second();
    let used = world.refresh(&used.refresh_token, "one").await.unwrap();
    for _ in 3..Connections::MOST_LISTED {
        world.allow("alice", "many").await;
    }
    let of_bob = world.allow("bob", "one").await;
    assert!(world.verify(&unused).await.is_ok(), "so many are allowed");
    let newest = world.allow("alice", "one").await;
    assert!(world.verify(&unused).await.is_err(), "of the same client, the one that was not used");
    for lasting in [&oldest, &used, &newest, &of_bob] {
        assert!(world.verify(lasting).await.is_ok());
    }
    // Where a client has none, it is the one that was unused for longest.
    world.allow("alice", "two").await;
    assert!(world.verify(&oldest).await.is_err());
    assert_eq!(world.clients("alice").await.len(), Connections::MOST_LISTED);
    assert!(world.verify(&used).await.is_ok() && world.verify(&of_bob).await.is_ok());
}

#[tokio::test]
async fn a_connection_is_listed_for_as_long_as_it_lasts() {
    let world = world();
    let mut refresh_token = world.allow("alice", "one").await.refresh_token;
    let mut age = Duration::ZERO;
    while age + IDLE / 2 < LONGEST {
        world.clock.advance(IDLE / 2);
        age += IDLE / 2;
        refresh_token = world.refresh(&refresh_token, "one").await.unwrap().refresh_token;
        assert_eq!(world.clients("alice").await, ["one"], "after {age:?}");
    }
    world.clock.advance(LONGEST - age);
    assert!(world.refresh(&refresh_token, "one").await.is_none());
    assert!(world.clients("alice").await.is_empty());
}

#[tokio::test]
async fn a_store_that_is_away_is_an_error_and_no_empty_list() {
    let world = world();
    world.allow("alice", "one").await;
    world.store.cut(true);
    let error = world.connections.of_subject("alice").await.unwrap_err();
    assert_eq!(error.kind(), ConnectionsErrorKind::Unavailable);
    let error = world.connections.revoke_all_of("alice").await.unwrap_err();
    assert_eq!(error.kind(), ConnectionsErrorKind::Unavailable);
}

#[test]
fn where_a_connection_leads_is_the_host_with_its_port_or_the_scheme() {
    for (uri, shown) in [
        ("http://localhost:33418/callback", "localhost:33418"),
        ("http://[::1]:9/callback", "[::1]:9"),
        ("https://claude.ai/api/mcp/auth_callback", "claude.ai"),
        ("https://user@claude.ai:444/cb", "claude.ai:444"),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
    ] {
        assert_eq!(leads_to(uri), shown);
    }
}
