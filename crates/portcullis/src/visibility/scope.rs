use portcullis_protocol::{Exchange, SessionKey};
use portcullis_store::RecordKey;

/// Whose rules they are: nobody else ever sees by them.
///
/// In versions with sessions it is the session, which belongs to its principal; over stdio, the
/// process. In the stateless version it is the principal: issuer, subject and client. It is
/// never anything that a client may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Session(SessionKey),
    Principal([u8; 32]),
}

impl Scope {
    /// The scope of an exchange; none for an anonymous caller without a session.
    pub(crate) fn of(exchange: &Exchange) -> Option<Self> {
        match (exchange.session, &exchange.principal) {
            (Some(session), _) => Some(Self::Session(session)),
            (None, Some(principal)) => Some(Self::Principal(principal.id().bytes())),
            (None, None) => None,
        }
    }

    /// Where its rules rest.
    pub(crate) fn key(self) -> RecordKey {
        match self {
            Self::Session(session) => RecordKey::new("visibility of a session", [&session.bytes()]),
            Self::Principal(principal) => RecordKey::new("visibility of a principal", [&principal]),
        }
    }
}
