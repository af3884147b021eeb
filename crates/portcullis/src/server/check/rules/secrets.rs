//! Where secrets come from, and where they do not go: rules 4, 10 and 15.

use portcullis_guard::{redaction, reload};

use super::Finding;
use crate::operation::credentials::CredentialsInResults;
use crate::server::Server;
use crate::server::check::Place;

/// 4: secrets in the environment only. Texts that look like secrets do not build.
pub(super) fn source(server: &Server) -> Finding {
    match &server.auth {
        Some(auth) if auth.summary.loopback_only => Finding::warn(
            format!("{} may stand in the source", auth.summary.description),
            "use them for development alone, and a verifier for production: JwtVerifier::from_env()",
        ),
        Some(_) | None => match redaction::is_active() {
            true => Finding::pass("no text holds a secret; those that were loaded are known"),
            false => Finding::pass("no text holds a secret; none was loaded"),
        },
    }
}

/// 10: no secrets in output.
pub(super) fn output(server: &Server) -> Finding {
    match server.engine.credentials_in_results {
        CredentialsInResults::Off => Finding::fail(
            "results are not looked through for credentials: CredentialsInResults::Off",
            "set CredentialsInResults::Warn or Block",
        ),
        CredentialsInResults::Warn => {
            Finding::pass("known secrets are removed from results; other credentials are logged")
        }
        CredentialsInResults::Block => {
            Finding::pass("known secrets are removed from results; other credentials are blocked")
        }
    }
}

/// 15: secrets that change without a restart.
pub(super) fn rotation(place: Option<&Place<'_>>) -> Finding {
    let signs = place.and_then(|place| place.resource?.endpoints.as_ref()).is_some();
    match (reload::is_anything_watched(), redaction::is_active(), signs) {
        (true, _, _) => Finding::pass("files with secrets are read again when they change"),
        (false, true, _) => Finding::warn(
            "secrets were loaded, and no file is watched: a new value needs a restart",
            "keep them in files: the variable NAME_FILE, SecretFile, or a SecretSource",
        ),
        (false, false, true) => {
            Finding::pass("the keys that sign tokens are replaced by themselves")
        }
        (false, false, false) => Finding::pass("no secret was loaded that would need a restart"),
    }
}
