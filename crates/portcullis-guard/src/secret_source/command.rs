//! A secret that a program prints.

use std::fmt;

use super::{SecretSource, SecretSourceError, SecretSourceErrorKind};
use crate::command::{CommandErrorKind, Invocation};
use crate::environment::without_line_end;
use crate::{ErrorChain, MaybeFuture, Secret};

/// The secret that a program writes to its standard output: a password manager, or the command of a
/// cloud's secret manager.
///
/// One line end after it is not part of it. The program runs as any [`Command`](crate::Command) does,
/// without a shell, and each time that the secret is loaded.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use portcullis::guard::Command;
/// use portcullis::guard::secret_source::{CommandSecret, SecretSource};
///
/// // As it would be with `pass show mail/key`:
/// let pass = Command::find("printf", ["/usr/bin", "/bin"])?;
/// let source = CommandSecret::new("pass", move || pass.invoke().flag("%s\n").flag("k-0123456789"));
/// assert!(source.load().await?.matches("k-0123456789"));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct CommandSecret {
    name: String,
    invocation: Box<dyn Fn() -> Invocation + Send + Sync>,
}

impl CommandSecret {
    /// The output of what `invocation` describes. The log calls it `name`.
    pub fn new(
        name: impl Into<String>,
        invocation: impl Fn() -> Invocation + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), invocation: Box::new(invocation) }
    }

    async fn ask(&self) -> Result<Secret<String>, SecretSourceError> {
        let output = (self.invocation)().run().await.and_then(|output| output.text());
        let output = output.map_err(|error| {
            let kind = match error.kind() {
                CommandErrorKind::Failed => SecretSourceErrorKind::Refused,
                CommandErrorKind::NotText => SecretSourceErrorKind::Malformed,
                _ => SecretSourceErrorKind::Unreachable,
            };
            SecretSourceError::new(kind, ErrorChain::new(&error).to_string())
        })?;
        let output = Secret::new(output);
        match without_line_end(output.expose()) {
            "" => {
                let text = "the program writes nothing to its standard output";
                Err(SecretSourceError::new(SecretSourceErrorKind::Missing, text))
            }
            secret => Ok(Secret::known(secret.to_owned())),
        }
    }
}

impl SecretSource for CommandSecret {
    fn load(&self) -> MaybeFuture<'_, Result<Secret<String>, SecretSourceError>> {
        MaybeFuture::pending(self.ask())
    }

    fn name(&self) -> String {
        format!("the secret that {} writes", self.name)
    }
}

impl fmt::Debug for CommandSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandSecret({})", self.name)
    }
}
