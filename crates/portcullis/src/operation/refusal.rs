//! Turns what a caller may know of a denial or an error into an error of the protocol.

use portcullis_protocol::RpcError;

use crate::component::tool_error::PublicError;
use crate::component::verdict::Face;

/// The error for a caller who is denied a component.
pub(super) fn denied(face: Face, absent: impl FnOnce() -> RpcError) -> RpcError {
    match face {
        Face::Absent => absent(),
        Face::Challenge(scopes) => RpcError::InsufficientScope(scopes),
        Face::Spoken(error) => RpcError::Denied(error.message().to_owned().into()),
    }
}

/// The error for a caller of a component other than a tool that failed.
pub(super) fn public_error(error: PublicError, absent: impl FnOnce() -> RpcError) -> RpcError {
    match error {
        PublicError::Message { text, .. } => RpcError::Internal(text),
        PublicError::RefusedArgument(text) => RpcError::InvalidArguments(text),
        PublicError::NotFound => RpcError::Internal("Not found".into()),
        PublicError::InsufficientScope(scopes) => RpcError::InsufficientScope(scopes),
        PublicError::Denied(denial) => denied(denial.face, absent),
        PublicError::Limited(retry_after) => RpcError::RateLimited { retry_after },
        PublicError::MissingCapability(required) => RpcError::MissingClientCapability(required),
        PublicError::RefusedInput(text) => RpcError::invalid_params(text),
        // Where there are questions, they are the answer, and nothing gets here.
        PublicError::InputRequired => RpcError::Internal("Internal error".into()),
    }
}
