//! The parameters of `initialize`, and the version that is agreed on.

use std::sync::Arc;

use crate::message::json_object;
use crate::message::params::{self, Params};
use crate::{ClientCapabilities, ClientInfo, ProtocolVersion, RpcError};

/// The longest name or version of a client, in bytes: a session keeps them.
const MAX_CLIENT_BYTES: usize = 256;

/// What `initialize` agrees on (MCP lifecycle §Version Negotiation).
#[derive(Clone, Debug)]
pub(crate) struct Initialize {
    pub(crate) version: ProtocolVersion,
    pub(crate) client: Option<Arc<ClientInfo>>,
    /// What the client can be asked for while its requests run.
    pub(crate) capabilities: ClientCapabilities,
}

impl Initialize {
    /// Reads the parameters of `initialize`, and settles on a version with sessions: the one
    /// that is asked for if it is in `served`, or else the newest.
    ///
    /// # Errors
    ///
    /// -32602 for parameters that do not match the method.
    pub(crate) fn read(params: &Params<'_>, served: &[ProtocolVersion]) -> Result<Self, RpcError> {
        let members = params.members()?;
        let asked = params::text("protocolVersion", members.protocol_version)?;
        let client = members.client_info.map(|client| {
            json_object::read_raw::<ClientInfo>(client).ok_or_else(params::not_of_the_method)
        });
        let client = client.transpose()?.map(Arc::new);
        let too_long = client.as_ref().is_some_and(|client| {
            client.name.len() > MAX_CLIENT_BYTES || client.version.len() > MAX_CLIENT_BYTES
        });
        if too_long {
            return Err(RpcError::invalid_params("`clientInfo` is too long"));
        }
        let version = ProtocolVersion::parse(&asked)
            .filter(|version| !version.is_stateless() && served.contains(version))
            .unwrap_or(ProtocolVersion::NEWEST_WITH_SESSIONS);
        let capabilities = members.capabilities.map(|raw| ClientCapabilities::read(raw.get()));
        Ok(Self { version, client, capabilities: capabilities.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Initialize, RpcError> {
        let params = Params::read(Some(serde_json::from_str(json).unwrap()));
        Initialize::read(&params, &ProtocolVersion::OVER_HTTP)
    }

    #[test]
    fn what_is_not_served_is_answered_with_the_newest_version_with_sessions() {
        for (asked, agreed) in [
            ("2025-03-26", "2025-03-26"),
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("2024-11-05", "2025-11-25"),
            ("2026-07-28", "2025-11-25"),
            ("2099-01-01", "2025-11-25"),
        ] {
            let params = format!(r#"{{"protocolVersion":"{asked}","capabilities":{{}}}}"#);
            assert_eq!(read(&params).unwrap().version.as_str(), agreed, "{asked}");
        }
    }

    #[test]
    fn what_a_session_would_keep_is_bounded() {
        let long = "x".repeat(257);
        for (name, version) in [(&*long, "1"), ("c", &*long)] {
            let params = format!(
                r#"{{"protocolVersion":"2025-11-25","clientInfo":{{"name":"{name}","version":"{version}"}}}}"#
            );
            assert_eq!(read(&params).unwrap_err().code(), -32602);
        }
        assert_eq!(read("{}").unwrap_err().code(), -32602);
        assert_eq!(Initialize::read(&Params::None, &[]).unwrap_err().code(), -32602);
    }
}
