//! Authorization codes: each is a random id, sealed, so that one that was never issued is known
//! without a look into the store.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::keys::KeyRing;
use portcullis_guard::random;
use portcullis_guard::seal::{Binding, OVERHEAD, open, seal};

use crate::error::OAuthError;
use crate::record::server_error;

/// So that a secret scanner, and whoever finds one, knows what it is.
const PREFIX: &str = "pcac_";
const ID: usize = 32;

pub(super) fn new_code(keys: &KeyRing, to: &Binding) -> Result<String, OAuthError> {
    let id = random::bytes::<ID>().map_err(|_| server_error("there are no random bytes"))?;
    let sealed = seal(keys, to, &id);
    let sealed = sealed.map_err(|_| server_error("a code cannot be sealed"))?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
}

/// Whether this server issued it, at whatever time.
pub(super) fn is_code(code: &str, keys: &KeyRing, to: &Binding) -> bool {
    let sealed = code.strip_prefix(PREFIX).filter(|text| text.len() <= 2 * (ID + OVERHEAD));
    let sealed = sealed.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    sealed.is_some_and(|sealed| open(keys, to, &sealed).is_ok())
}
