//! Metrics, and the route at which Prometheus reads them.
//!
//! What is measured, with which labels, is a table in the [manual](crate::manual::metrics). Values go to the
//! recorder of the process, by the `metrics` facade: to [`Prometheus`], or to another one that is installed
//! before the server is built. Without a recorder they go nowhere.
//!
//! Labels name components of the catalogue, and never what a caller chose, nor who it is.

#[cfg(feature = "http")]
use axum::http::header::CONTENT_TYPE;
pub use portcullis_guard::metrics::RecorderInstalled;
use portcullis_guard::metrics::Registry;

#[cfg(feature = "http")]
use crate::route::{UndecidedRoute, get};

/// The recorder of the process, which Prometheus reads. A clone is the same one.
///
/// It takes what a server measures, and what its functions do with the macros of the `metrics` facade.
/// Histograms have 15 fixed buckets, from 0.5 ms to 30 s. There are 10,000 series at most; what further ones count is lost, and
/// `portcullis_metrics_dropped_total` says how often that was.
///
/// # Example
///
/// ```
/// use portcullis::metrics::Prometheus;
/// use portcullis::prelude::*;
///
/// # #[tool] async fn ping() -> &'static str { "pong" }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let tokens = danger::StaticTokenVerifier::new();
/// let prometheus = Prometheus::install()?;
/// Server::builder("example")
///     .auth(tokens)
///     .components(components![ping])
///     .route(prometheus.route("/metrics").require(require_scopes(["metrics"])))
///     .build()?;
///
/// assert!(Prometheus::install().is_err()); // a process has one
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Prometheus(Registry);

impl Prometheus {
    /// Makes it the recorder of the process. Install it before the server is built.
    ///
    /// # Errors
    ///
    /// [`RecorderInstalled`]: the process has a recorder, this one or another.
    pub fn install() -> Result<Self, RecorderInstalled> {
        Registry::install().map(Self)
    }

    /// The route for `GET` requests at `path`, `/metrics` most often.
    ///
    /// **Deployment caveat.** It names every component, hidden ones too, and says how often each is used: let it
    /// be public only where nobody but Prometheus comes in.
    ///
    /// One without an access rule cannot be added:
    ///
    /// ```compile_fail,E0277
    /// # use portcullis::prelude::*;
    /// # use portcullis::metrics::Prometheus;
    /// # let prometheus = Prometheus::install().unwrap();
    /// let builder = Server::builder("example").no_auth().route(prometheus.route("/metrics"));
    /// ```
    #[cfg(feature = "http")]
    pub fn route(&self, path: impl Into<String>) -> UndecidedRoute {
        let registry = self.0.clone();
        get(path, async move || {
            ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], registry.render())
        })
    }

    /// Everything there is, in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}
