//! The sources that this process has already: its variables and its files.

use std::fmt;

use super::{SecretSource, SecretSourceError, SecretSourceErrorKind};
use crate::{Environment, MaybeFuture, Secret, SecretFile};

/// The secret in an environment variable, which stays as it is until the process ends.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use portcullis::guard::Environment;
/// use portcullis::guard::secret_source::{EnvironmentSecret, SecretSource};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let environment = Environment::from_pairs([("MAIL_KEY", "correct-horse-battery")]);
/// let source = EnvironmentSecret::new(&environment, "MAIL_KEY");
/// assert!(source.load().await?.matches("correct-horse-battery"));
/// # Ok::<(), portcullis_guard::secret_source::SecretSourceError>(()) }).unwrap();
/// ```
pub struct EnvironmentSecret {
    name: String,
    secret: Option<Secret<String>>,
}

impl EnvironmentSecret {
    /// The variable `name` of `environment`.
    #[must_use]
    pub fn new(environment: &Environment, name: &str) -> Self {
        let value = environment.variable(name).map(str::to_owned);
        let secret = value.map(|text| {
            let secret = Secret::new(text.clone());
            secret.kept_known_as(text.as_bytes(), name)
        });
        Self { name: name.to_owned(), secret }
    }
}

impl SecretSource for EnvironmentSecret {
    fn load(&self) -> MaybeFuture<'_, Result<Secret<String>, SecretSourceError>> {
        let text = || format!("set the variable {}: missing, empty or not UTF-8", self.name);
        let missing = || SecretSourceError::new(SecretSourceErrorKind::Missing, text());
        MaybeFuture::ready(self.secret.clone().ok_or_else(missing))
    }

    fn name(&self) -> String {
        format!("the variable {}", self.name)
    }
}

impl fmt::Debug for EnvironmentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvironmentSecret({})", self.name)
    }
}

/// A file is watched by itself: this gives what is in force.
impl SecretSource for SecretFile {
    fn load(&self) -> MaybeFuture<'_, Result<Secret<String>, SecretSourceError>> {
        MaybeFuture::ready(Ok((*self.current()).clone()))
    }

    fn name(&self) -> String {
        format!("the file {}", self.path().display())
    }
}
