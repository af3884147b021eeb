//! Whose rules of visibility apply.

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

    /// Where its rules rest, for the server of this name: others may share the store.
    pub(crate) fn key(self, server: &str) -> RecordKey {
        let server = server.as_bytes();
        match self {
            Self::Session(session) => {
                RecordKey::new("visibility of a session", [server, session.bytes()])
            }
            Self::Principal(principal) => {
                RecordKey::new("visibility of a principal", [server, &principal])
            }
        }
    }

    /// Whether it ends with this process: over stdio there is one session, whose key says nothing.
    pub(crate) fn is_of_process(self) -> bool {
        self == Self::Session(SessionKey::LOCAL)
    }
}
