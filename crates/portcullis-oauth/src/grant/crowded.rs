//! A user who has as many grants as may be.

use std::sync::Arc;
use std::time::Duration;

use portcullis_guard::ManualClock;
use portcullis_guard::keys::KeyRing;
use portcullis_store::{Distant, MemoryStore, Store};

use super::tests::{NOW, World, grants, redemption};
use super::{Grants, MOST_OF_USER, OAuthError, TokenResponse};
use crate::record::grant_index::GrantOwner;

async fn redeemed(grants: &Grants, code: &str) -> Result<TokenResponse, OAuthError> {
    grants.redeem(&redemption(code)).await
}

#[tokio::test]
async fn d01_grants_that_begin_at_once_make_room_for_each_of_themselves() {
    let clock = Arc::new(ManualClock::at(NOW));
    let near: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    let world = World { grants: grants(&near, &clock, KeyRing::ephemeral().unwrap()), clock };
    for _ in 0..MOST_OF_USER {
        world.tokens().await;
    }
    world.clock.advance(Duration::from_secs(1));
    let codes = [world.code().await, world.code().await, world.code().await, world.code().await];
    let store: Arc<dyn Store> = Arc::new(Distant::new(near));
    let distant = Grants { store, ..world.grants.clone() };
    let [a, b, c, d] = codes.each_ref().map(|code| redeemed(&distant, code));
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    let all = world.grants.list(GrantOwner::Subject("alice"), MOST_OF_USER + 4).await.unwrap();
    assert_eq!(all.grants.len(), MOST_OF_USER);
}
