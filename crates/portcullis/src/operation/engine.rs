//! Everything that a running server answers operations with.

use std::fmt;
use std::sync::Arc;

use portcullis_auth::audit::Audit;
use portcullis_guard::{Alarm, Clock};
use portcullis_protocol::{Exchange, Identity, Limits};
use portcullis_store::Store;
use tokio::time::Instant;

use crate::access::decision::Asking;
use crate::catalogue::Catalogue;
use crate::component::context::Facilities;
use crate::middleware::Layers;
use crate::operation::credentials::CredentialsInResults;
use crate::operation::input::StateKeys;
use crate::operation::pages::Pages;
use crate::operation::resource_updates::Subscribers;
#[cfg(feature = "http")]
use crate::operation::stopping::Stopping;
use crate::operation::task::Tasks;
#[cfg(all(feature = "http", feature = "jwt"))]
use crate::operation::token_exchange::RecordedTokenExchange;
#[cfg(feature = "http")]
use crate::operation::upstream_token::RecordedUpstreamTokens;
#[cfg(feature = "http")]
use crate::operation::verifying::Verifying;
use crate::visibility::{EffectiveRules, VisibilityState};

/// Everything that answers operations, over whichever transport.
pub(crate) struct Engine {
    pub(crate) identity: Identity,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) facilities: Arc<Facilities>,
    pub(crate) limits: Limits,
    pub(crate) page_size: usize,
    pub(crate) show_internal_errors: bool,
    pub(crate) credentials_in_results: CredentialsInResults,
    pub(crate) visibility: Arc<VisibilityState>,
    pub(crate) subscribers: Arc<Subscribers>,
    pub(crate) layers: Layers,
    pub(crate) audit: Arc<Audit>,
    #[cfg(feature = "http")]
    pub(crate) upstream_tokens: Arc<RecordedUpstreamTokens>,
    #[cfg(all(feature = "http", feature = "jwt"))]
    pub(crate) token_exchange: Arc<RecordedTokenExchange>,
    pub(crate) store: Arc<dyn Store>,
    /// Seal what clients keep of their requests.
    pub(crate) request_state: StateKeys,
    /// What users are asked to open.
    pub(crate) pages: Arc<Pages>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarm: Alarm,
    #[cfg(feature = "http")]
    pub(crate) stopping: Stopping,
    #[cfg(feature = "http")]
    pub(crate) verifying: Arc<Verifying>,
}

impl Engine {
    /// Who asks, and by when everything that one operation asks has to be decided.
    pub(crate) fn asking<'a>(
        &'a self,
        exchange: &'a Exchange,
        visibility: &'a EffectiveRules<'a>,
        started: Instant,
    ) -> Asking<'a> {
        Asking {
            exchange,
            hierarchy: &self.facilities.hierarchy,
            states: &self.facilities.states,
            visibility,
            deadline: started + self.limits.decision_timeout,
            trusted: self.facilities.trusts(exchange),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("name", &self.identity.name()).finish_non_exhaustive()
    }
}
