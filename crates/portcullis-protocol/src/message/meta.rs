//! The `_meta` of a request: version, client, capabilities and progress token.

use std::borrow::Cow;
use std::sync::Arc;

use portcullis_guard::TraceParent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::message::envelope::RequestId;
use crate::message::json_object;
use crate::message::log_level::LogLevel;
use crate::{ClientCapabilities, ProtocolVersion, RpcError};

/// The client's own name and version. Self-reported: for display and logs only.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct ClientInfo {
    /// The name of the client software.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The `_meta` in which a request of the stateless version describes itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RequestMeta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<Text<'a>>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientInfo")]
    client: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow)]
    traceparent: Option<&'a RawValue>,
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/logLevel")]
    log_level: Option<&'a RawValue>,
}

/// A string that is borrowed where it has no escapes: serde borrows no `Option<Cow<str>>`.
#[derive(Clone, Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl ClientInfo {
    /// Reads what a client says of itself.
    pub(crate) fn read(raw: &RawValue) -> Option<Self> {
        json_object::read_raw(raw)
    }
}

impl RequestMeta<'_> {
    /// The version that the request names, if it names one.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_ref().map(|Text(version)| &**version)
    }

    /// The trace that the request belongs to, as it says itself (SEP-414); whatever else is there
    /// is taken for nothing.
    pub(crate) fn trace(&self) -> Option<TraceParent> {
        TraceParent::parse(&json_object::text(self.traceparent?)?)
    }

    /// What the client can be asked for.
    pub(crate) fn capabilities(&self) -> ClientCapabilities {
        self.capabilities.map(|raw| ClientCapabilities::read(raw.get())).unwrap_or_default()
    }

    /// What the client wants to be told of progress under; whatever is no token is taken for nothing.
    pub(crate) fn progress_token(&self) -> Option<RequestId> {
        serde_json::from_str(self.progress_token?.get()).ok()
    }

    /// The least severe messages of the log that the client wants while the request runs.
    ///
    /// # Errors
    ///
    /// -32602 for what is no level.
    pub(crate) fn log_level(&self) -> Result<Option<LogLevel>, RpcError> {
        self.log_level.map(|level| LogLevel::read(Some(level))).transpose()
    }

    /// Whether the request is of the stateless era: whether it names its own version.
    pub(crate) fn is_stateless(&self) -> bool {
        self.version.is_some()
    }

    /// The version and the client, which is read by `reads`, once all that must be there is there.
    ///
    /// # Errors
    ///
    /// -32022 for a version that is not in `supported`, -32602 for missing members.
    pub(crate) fn accept(
        &self,
        supported: &'static [ProtocolVersion],
        reads: impl FnOnce(&RawValue) -> Option<Arc<ClientInfo>>,
    ) -> Result<(ProtocolVersion, Option<Arc<ClientInfo>>), RpcError> {
        let Some(name) = self.version() else {
            return Err(missing("io.modelcontextprotocol/protocolVersion"));
        };
        let Some(version) = ProtocolVersion::parse(name)
            .filter(|version| version.is_stateless() && supported.contains(version))
        else {
            return Err(RpcError::unsupported_version(name, supported));
        };
        if !self.capabilities.is_some_and(|raw| raw.get().starts_with('{')) {
            return Err(missing("io.modelcontextprotocol/clientCapabilities"));
        }
        let malformed = || RpcError::invalid_params("malformed `clientInfo`");
        let client = self.client.map(|raw| reads(raw).ok_or_else(malformed));
        Ok((version, client.transpose()?))
    }
}

pub(crate) fn missing(member: &str) -> RpcError {
    RpcError::invalid_params(format!(
        "`params._meta` needs `{member}` (a request of 2026-07-28 names its version, \"2026-07-28\", \
         and its capabilities, {{}}; with an older version, `initialize` comes first)"
    ))
}
