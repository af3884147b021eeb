//! What the fuzz targets reach and no user does: built with `--cfg fuzzing` only.

use serde_json::value::RawValue;

use crate::Operation;
use crate::message::envelope;
use crate::message::params::Params;

/// The messages of a batch.
#[must_use]
pub fn batch(bytes: &[u8]) -> Option<Vec<&RawValue>> {
    envelope::batch(bytes).ok()
}

/// The parameters, read apart from their message.
#[must_use]
pub fn params(raw: Option<&RawValue>) -> Params<'_> {
    Params::read(raw)
}

/// What a request asks for.
#[must_use]
pub fn operation<'a>(method: &str, params: Option<&'a RawValue>) -> Option<Operation<'a>> {
    Operation::read(method, &Params::read(params)).ok()
}
