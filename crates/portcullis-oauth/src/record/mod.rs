//! What rests in the store, with its key, its form and its lifetime.

pub(crate) mod assertion;
pub(crate) mod authorization_code;
pub(crate) mod consent;
pub(crate) mod departed;
pub(crate) mod grant;
pub(crate) mod grant_index;
pub(crate) mod provider;
pub(crate) mod sign_in;
pub(crate) mod transaction;
pub(crate) mod upstream;
pub(crate) mod visit;

use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::quoted;
use portcullis_store::{RecordValue, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{ErrorCode, OAuthError};

const BOUNDS: Bounds = Bounds { values: 4_096, depth: 8 };

/// Reads a record of the server's own. One that a newer version wrote is an error, and stays.
fn read<T: DeserializeOwned>(value: &RecordValue) -> Result<T, OAuthError> {
    let text = str::from_utf8(value.as_bytes()).ok();
    let object = text.and_then(|text| json::read_object(text, BOUNDS).ok());
    let record = object.and_then(|object| serde_json::from_value(object.into()).ok());
    record.ok_or_else(|| server_error("a record is malformed, or of a newer version"))
}

fn write<T: Serialize>(record: &T) -> Result<RecordValue, OAuthError> {
    let written = serde_json::to_vec(record);
    let written = written.map_err(|_| server_error("a record cannot be written"))?;
    RecordValue::new(written).map_err(|error| store_away(&error))
}

/// How deep the claims of a user may nest, and how many values they may have, so that each record with
/// them can be read again.
const CLAIMS: Bounds = Bounds { values: BOUNDS.values - 32, depth: BOUNDS.depth - 1 };

/// Refuses claims of a user that could be written and not read again.
pub(crate) fn check_claims(claims: &Map<String, Value>) -> Result<(), OAuthError> {
    let text = serde_json::to_string(claims).map_err(|_| server_error("claims are no JSON"))?;
    let Err(refused) = json::read_object(&text, CLAIMS) else { return Ok(()) };
    let alone = |value: &Value| json::read_object(&format!("{{\"c\":{value}}}"), CLAIMS).is_err();
    let claim = claims.iter().find(|(_, value)| alone(value)).map(|(name, _)| quoted(name));
    tracing::error!(
        claim,
        %refused,
        "the claims of a user cannot be kept: have their source send them flat, or name those that are \
         needed with only_claims([…])"
    );
    Err(server_error("the claims of the user are nested too deep, or too many"))
}

/// The store did not do what it was asked to.
pub(crate) fn store_away(error: &StoreError) -> OAuthError {
    let description = "the server cannot answer at the moment: try again";
    OAuthError::new(ErrorCode::TemporarilyUnavailable, description).because(error.to_string())
}

pub(crate) fn server_error(cause: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::ServerError, "the server cannot answer").because(cause)
}
