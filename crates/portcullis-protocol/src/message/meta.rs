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

/// What the `_meta` of a request of the stateless version says, once it was found to be whole.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) version: ProtocolVersion,
    pub(crate) client: Option<Arc<ClientInfo>>,
    pub(crate) capabilities: ClientCapabilities,
    pub(crate) log_level: Option<LogLevel>,
}

/// The `_meta` of a message: read from it, or known from an earlier one that had the same text.
#[derive(Clone, Debug)]
pub(crate) enum Meta<'a> {
    Read(RequestMeta<'a>),
    Known(Arc<Judged>),
}

/// A string that is borrowed where it has no escapes: serde borrows no `Option<Cow<str>>`.
#[derive(Clone, Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Meta<'a> {
    /// Reads what has been found to be JSON; `None` if it is no such object.
    pub(crate) fn read(raw: &'a RawValue) -> Option<Self> {
        json_object::read_raw(raw).map(Self::Read)
    }

    /// The version that the request names, if it names one.
    pub(crate) fn version(&self) -> Option<&str> {
        match self {
            Self::Read(meta) => meta.version(),
            Self::Known(judged) => Some(judged.version.as_str()),
        }
    }

    /// The trace that the request belongs to, as it says itself (SEP-414); whatever else is there
    /// is taken for nothing.
    pub(crate) fn trace(&self) -> Option<TraceParent> {
        match self {
            Self::Read(meta) => TraceParent::parse(&json_object::text(meta.traceparent?)?),
            Self::Known(_) => None,
        }
    }

    /// What the client can be asked for.
    pub(crate) fn capabilities(&self) -> ClientCapabilities {
        match self {
            Self::Read(meta) => {
                meta.capabilities.map(|raw| ClientCapabilities::read(raw.get())).unwrap_or_default()
            }
            Self::Known(judged) => judged.capabilities,
        }
    }

    /// What the client wants to be told of progress under; whatever is no token is taken for nothing.
    pub(crate) fn progress_token(&self) -> Option<RequestId> {
        match self {
            Self::Read(meta) => serde_json::from_str(meta.progress_token?.get()).ok(),
            Self::Known(_) => None,
        }
    }

    /// The least severe messages of the log that the client wants while the request runs.
    ///
    /// # Errors
    ///
    /// -32602 for what is no level.
    pub(crate) fn log_level(&self) -> Result<Option<LogLevel>, RpcError> {
        match self {
            Self::Read(meta) => meta.log_level.map(|level| LogLevel::read(Some(level))).transpose(),
            Self::Known(judged) => Ok(judged.log_level),
        }
    }

    /// Whether the request is of the stateless era: whether it names its own version.
    pub(crate) fn is_stateless(&self) -> bool {
        self.version().is_some()
    }

    /// The version and the client, once all that must be there is there.
    ///
    /// # Errors
    ///
    /// -32022 for a version that is not in `supported`, -32602 for missing members.
    pub(crate) fn accept(
        &self,
        supported: &'static [ProtocolVersion],
    ) -> Result<(ProtocolVersion, Option<Arc<ClientInfo>>), RpcError> {
        let meta = match self {
            Self::Read(meta) => meta,
            Self::Known(judged) if supported.contains(&judged.version) => {
                return Ok((judged.version, judged.client.clone()));
            }
            Self::Known(judged) => {
                return Err(RpcError::unsupported_version(judged.version.as_str(), supported));
            }
        };
        let Some(name) = meta.version() else {
            return Err(missing("io.modelcontextprotocol/protocolVersion"));
        };
        let Some(version) = ProtocolVersion::parse(name)
            .filter(|version| version.is_stateless() && supported.contains(version))
        else {
            return Err(RpcError::unsupported_version(name, supported));
        };
        if !meta.capabilities.is_some_and(|raw| raw.get().starts_with('{')) {
            return Err(missing("io.modelcontextprotocol/clientCapabilities"));
        }
        let malformed = || RpcError::invalid_params("malformed `clientInfo`");
        let read = |raw| json_object::read_raw(raw).map(Arc::new).ok_or_else(malformed);
        Ok((version, meta.client.map(read).transpose()?))
    }

    /// What a later request says that has the same text, if this one was found to be whole and says
    /// nothing that is for it alone.
    #[cfg(feature = "http")]
    pub(crate) fn lasts(&self, judged: impl FnOnce() -> Judged) -> Option<Arc<Judged>> {
        match self {
            Self::Read(RequestMeta { traceparent: None, progress_token: None, .. }) => {
                Some(Arc::new(judged()))
            }
            Self::Read(_) | Self::Known(_) => None,
        }
    }
}

impl RequestMeta<'_> {
    fn version(&self) -> Option<&str> {
        self.version.as_ref().map(|Text(version)| &**version)
    }
}

pub(crate) fn missing(member: &str) -> RpcError {
    RpcError::invalid_params(format!(
        "`params._meta` needs `{member}` (a request of 2026-07-28 names its version, \"2026-07-28\", \
         and its capabilities, {{}}; with an older version, `initialize` comes first)"
    ))
}
