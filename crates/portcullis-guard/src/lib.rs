//! Safe doors outwards.
//!
//! Each dangerous thing has one door, and the doors are here: the process environment
//! ([`Environment`]), the clock ([`Clock`], [`Alarm`]), randomness ([`random`]), cryptography
//! ([`digest`], [`signature`], and [`seal`] with [`keys`]), files with untrusted paths, against
//! path traversal ([`Workspace`]), files that lines are appended to ([`AppendFile`]), files for
//! their owner alone ([`PrivateFile`]), files that commands change
//! ([`LockedFile`](locked_file::LockedFile)), files that are re-read as they change
//! ([`WatchedFile`]), child processes ([`Command`]), standard error and output ([`log`], [`stdout`]), requests to untrusted URLs,
//! against SSRF and DNS rebinding ([`Fetch`]), [syslog] servers, untrusted JSON ([`json`]) and text ([`text`]), pages
//! for people, against cross-site scripting ([`html`]), what is measured ([`mod@metrics`]), and values that must not be seen
//! ([`Secret`]), which [`redaction`] removes from what leaves.
//! `clippy.toml` refuses every other way to them. [`MaybeFuture`] is here because every crate that
//! may have to wait for something outside gives one.

pub mod address;
mod alarm;
pub mod append;
pub mod clock;
#[cfg(all(unix, feature = "commands"))]
pub mod command;
pub mod delivery;
pub mod digest;
pub mod environment;
mod error_chain;
#[cfg(feature = "fetch")]
pub mod fetch;
#[cfg(feature = "html")]
pub mod html;
pub mod json;
#[cfg(feature = "keys")]
pub mod keys;
pub mod locked_file;
pub mod log;
mod log_throttle;
mod maybe_future;
pub mod media_type;
pub mod metrics;
#[cfg(unix)]
mod open_flags;
mod private_file;
mod pseudonym;
pub mod random;
pub mod redaction;
pub mod reload;
#[cfg(feature = "keys")]
pub mod seal;
mod secret;
pub mod secret_source;
#[cfg(feature = "signature")]
pub mod signature;
pub mod stdout;
pub mod syslog;
pub mod text;
mod timestamp;
mod trace_context;
#[cfg(feature = "files")]
pub mod workspace;

pub use alarm::Alarm;
pub use append::{AppendError, AppendFile, AppendedFile, Rotation};
pub use clock::{Clock, ManualClock, SystemClock};
#[cfg(all(unix, feature = "commands"))]
pub use command::{Command, CommandError, CommandErrorKind, CommandOutput, Invocation};
pub use environment::{Environment, EnvironmentError, EnvironmentErrorKind, FromEnv};
pub use error_chain::ErrorChain;
#[cfg(feature = "fetch")]
pub use fetch::{Fetch, FetchBuilder, FetchError, FetchRequest, FetchStream, Fetched, Refusal};
pub use log::{LogWriter, stderr};
pub use log_throttle::LogThrottle;
pub use maybe_future::MaybeFuture;
pub use private_file::{FilePlace, PrivateFile, PrivateFileError, PrivateFileErrorKind};
pub use pseudonym::Pseudonym;
pub use random::{OperationId, Reference};
pub use reload::{SecretFile, WatchedFile, WatchedFileError, WatchedFileErrorKind};
pub use secret::Secret;
pub use timestamp::Timestamp;
pub use trace_context::{TraceId, TraceParent};
#[cfg(feature = "files")]
pub use workspace::{
    Entry, EntryKind, FileMetadata, Lines, Quota, Workspace, WorkspaceError, WorkspaceErrorKind,
    WritableWorkspace,
};
