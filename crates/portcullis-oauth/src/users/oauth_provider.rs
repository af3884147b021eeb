//! The trait of a directory whose users sign in with passwords.

use std::fmt;

use portcullis_auth::{Claims, MaybeFuture, OneOrMany, Scopes};
use portcullis_guard::Secret;
use serde_json::Value;

/// Who the users of a [`SignInPage`](crate::SignInPage) are: the hard way.
///
/// Whoever has an identity provider lets it sign users in, with all that it does against stolen and
/// guessed passwords. This is for users that are in a table or a directory of your own.
///
/// How often a password may be guessed is bounded before a provider is asked. What it has to see to
/// itself:
///
/// 1. Passwords rest as digests made for them (Argon2, scrypt), and are compared in constant time.
/// 2. A name that nobody has takes as long as a wrong password: a side channel would tell which names
///    there are.
/// 3. A name is spelled in one way, or one user has several counts of wrong guesses.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub mod auth { pub use portcullis_oauth::*; }
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::{OAuthProvider, SignInRefused, UserIdentity};
/// use portcullis::guard::{MaybeFuture, Secret};
///
/// #[derive(Debug)]
/// struct Directory;
///
/// impl OAuthProvider for Directory {
///     fn sign_in<'a>(
///         &'a self,
///         name: &'a str,
///         password: &'a Secret<String>,
///     ) -> MaybeFuture<'a, Result<UserIdentity, SignInRefused>> {
///         MaybeFuture::pending(async move {
///             let id = bind(name, password).await?;
///             Ok(UserIdentity::new(id).claim("department", "research"))
///         })
///     }
/// }
///
/// /// Asks the directory, and gives the id of the user.
/// async fn bind(name: &str, password: &Secret<String>) -> Result<String, SignInRefused> {
/// #   let _ = (name, password);
///     Err(SignInRefused::Wrong)
/// }
/// ```
pub trait OAuthProvider: fmt::Debug + Send + Sync + 'static {
    /// Who signs in with `name` and `password`, both untrusted. It is given ten seconds.
    ///
    /// # Errors
    ///
    /// When they do not belong together, and when nobody can tell at the moment.
    fn sign_in<'a>(
        &'a self,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> MaybeFuture<'a, Result<UserIdentity, SignInRefused>>;
}

/// Who a user is.
#[derive(Clone, PartialEq)]
pub struct UserIdentity {
    pub(crate) subject: String,
    pub(crate) claims: Claims,
    pub(crate) scopes: Option<Scopes>,
}

impl UserIdentity {
    /// The user with this subject, which stands for them for good: an id rather than a name or an
    /// address, which may be somebody else's one day.
    #[must_use]
    pub fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), claims: Claims::new(), scopes: None }
    }

    /// Adds what else is known of the user, for [`claim`] checks. It rests with the grant, and is in no
    /// token. What a token says by itself, such as `iss` and `scope`, is left out.
    ///
    /// [`claim`]: portcullis_auth::claim
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// The scopes that the user may grant, of those of the server. Default: all.
    #[must_use]
    pub fn scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.scopes = Some(Scopes::from_iter(scopes.into_many()));
        self
    }
}

/// Without claims, which may be personal.
impl fmt::Debug for UserIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserIdentity")
            .field("subject", &self.subject)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Why nobody is signed in.
///
/// Exhaustive: a guess was wrong, or nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignInRefused {
    /// There is no such user, or the password is another.
    Wrong,
    /// Nobody can tell at the moment.
    Unavailable,
}
