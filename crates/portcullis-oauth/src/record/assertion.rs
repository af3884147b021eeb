//! The assertions by which clients authenticated, until each expires (RFC 7523 §3, `jti`).

use std::time::SystemTime;

use portcullis_store::{CasOutcome, RecordKey, RecordValue, Store};

use super::store_away;
use crate::error::OAuthError;

/// Whether nobody showed it before: of any number who show it at once, to any replica, one is the
/// first. `spent` are the issuer, the client and the `jti`.
pub(crate) async fn spend(
    store: &dyn Store,
    spent: [&str; 3],
    until: SystemTime,
) -> Result<bool, OAuthError> {
    let key = RecordKey::new("oauth-client-assertion", spent);
    let value = RecordValue::new(*b"1").map_err(|error| store_away(&error))?;
    let swapped = store.compare_and_swap(&key, None, Some(value), until).await;
    Ok(swapped.map_err(|error| store_away(&error))? == CasOutcome::Done)
}
