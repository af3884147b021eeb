//! Where secrets come from, and what loads them again: [`SecretSource`] and [`ReloadedSecret`].

#[cfg(all(unix, feature = "commands"))]
mod command;
mod error;
mod own;
mod reloaded;
#[cfg(test)]
mod tests;
#[cfg(feature = "fetch")]
mod vault;

#[cfg(all(unix, feature = "commands"))]
pub use self::command::CommandSecret;
pub use self::error::{SecretSourceError, SecretSourceErrorKind};
pub use self::own::EnvironmentSecret;
pub use self::reloaded::ReloadedSecret;
#[cfg(feature = "fetch")]
pub use self::vault::{VaultLogin, VaultSecret};
use crate::{MaybeFuture, Secret};

/// Where a secret comes from: a variable, a file, a program, or a secret manager.
///
/// [`EnvironmentSecret`], [`SecretFile`](crate::SecretFile), `CommandSecret` and `VaultSecret` are
/// sources, and a manager of your own becomes one by this trait. [`ReloadedSecret`] asks one again and again.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use portcullis::guard::MaybeFuture;
/// use portcullis::guard::Secret;
/// use portcullis::guard::secret_source::{SecretSource, SecretSourceError, SecretSourceErrorKind};
///
/// struct Desk(Option<&'static str>);
///
/// impl SecretSource for Desk {
///     fn load(&self) -> MaybeFuture<'_, Result<Secret<String>, SecretSourceError>> {
///         let missing = || SecretSourceError::new(SecretSourceErrorKind::Missing, "the note is gone");
///         let secret = self.0.map(|note| Secret::known(note.to_owned()));
///         MaybeFuture::ready(secret.ok_or_else(missing))
///     }
///
///     fn name(&self) -> String {
///         "the note on the desk".to_owned()
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert!(Desk(Some("correct-horse-battery")).load().await.is_ok());
/// assert!(Desk(None).load().await.is_err());
/// # });
/// ```
pub trait SecretSource: Send + Sync + 'static {
    /// The secret as it is now, made by [`Secret::known`].
    ///
    /// # Errors
    ///
    /// Why it gives no secret. The text is logged, so it must not repeat one.
    fn load(&self) -> MaybeFuture<'_, Result<Secret<String>, SecretSourceError>>;

    /// What it is, for the log.
    fn name(&self) -> String;
}
