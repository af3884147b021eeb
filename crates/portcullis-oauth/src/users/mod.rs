//! Users who sign in here, with a password.

mod development;
mod guesses;
mod oauth_provider;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_guard::{Clock, Secret};

pub(crate) use self::development::DevelopmentUsers;
use self::guesses::Guesses;
pub(crate) use self::guesses::{WINDOW, network};
pub use self::oauth_provider::{OAuthProvider, SignInRefused, UserIdentity};

/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 255;

/// The users of a server, and how often their passwords may be guessed.
#[derive(Debug)]
pub(crate) struct LocalUsers {
    provider: Arc<dyn OAuthProvider>,
    guesses: Guesses,
    clock: Arc<dyn Clock>,
}

/// Why somebody is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignInError {
    /// There is no such user, or the password is another.
    Wrong,
    /// There were too many wrong guesses.
    TooMany,
    /// Nobody can tell at the moment.
    Unavailable,
}

impl LocalUsers {
    pub(crate) fn new(provider: Arc<dyn OAuthProvider>, clock: Arc<dyn Clock>) -> Self {
        Self { provider, guesses: Guesses::default(), clock }
    }

    /// Signs `name` in, who comes from `remote`.
    ///
    /// # Errors
    ///
    /// When the guess is wrong, or not heard, or nobody can tell.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: &Secret<String>,
        remote: Option<IpAddr>,
    ) -> Result<UserIdentity, SignInError> {
        // It counts as a wrong one until it is known to be right: guesses at once are bounded too.
        let guess = self.guesses.begin(name, remote, self.clock.now())?;
        let asked = tokio::time::timeout(PATIENCE, self.provider.sign_in(name, password)).await;
        match asked {
            Ok(Ok(user)) if (1..=MAX_SUBJECT).contains(&user.subject.len()) => {
                self.guesses.take_back(&guess);
                Ok(user)
            }
            Ok(Err(SignInRefused::Wrong)) => Err(SignInError::Wrong),
            Ok(Ok(_)) => {
                tracing::error!("the provider gave a subject that is empty, or has over 255 bytes");
                Err(SignInError::Unavailable)
            }
            Ok(Err(SignInRefused::Unavailable)) => {
                self.guesses.take_back(&guess);
                Err(SignInError::Unavailable)
            }
            // A guess whose answer nobody saw may have been told by its time: it stays counted.
            Err(_) => {
                tracing::error!("the provider did not say in ten seconds who a user is");
                Err(SignInError::Unavailable)
            }
        }
    }
}
