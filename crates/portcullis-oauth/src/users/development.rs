//! Users and passwords from the configuration.

use std::collections::HashMap;
use std::fmt;

use portcullis_auth::MaybeFuture;
use portcullis_guard::{Secret, digest};

use super::{OAuthProvider, SignInRefused, UserIdentity};

/// Users whose passwords are in the configuration.
///
/// A password is compared by its digest, in constant time. That of an unknown user is compared with
/// nothing that anybody knows, and is refused in the same words.
pub(crate) struct DevelopmentUsers {
    passwords: HashMap<String, [u8; 32]>,
    /// Stands for the password of an unknown user.
    nobody: [u8; 32],
}

impl DevelopmentUsers {
    /// Users with their passwords. The `nobody` digest has to be one that nobody knows.
    pub(crate) fn new(
        users: impl IntoIterator<Item = (String, Secret<String>)>,
        nobody: [u8; 32],
    ) -> Self {
        let digest = |password: &Secret<String>| digest::sha256(password.expose().as_bytes());
        let passwords =
            users.into_iter().map(|(name, password)| (name, digest(&password))).collect();
        Self { passwords, nobody }
    }
}

impl OAuthProvider for DevelopmentUsers {
    fn sign_in<'a>(
        &'a self,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> MaybeFuture<'a, Result<UserIdentity, SignInRefused>> {
        let known = self.passwords.get(name);
        let given = digest::sha256(password.expose().as_bytes());
        let right = digest::equal(&given, known.unwrap_or(&self.nobody));
        MaybeFuture::ready(match right && known.is_some() {
            true => Ok(UserIdentity::new(name)),
            false => Err(SignInRefused::Wrong),
        })
    }
}

/// Without names and passwords.
impl fmt::Debug for DevelopmentUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DevelopmentUsers({})", self.passwords.len())
    }
}
