//! An identity provider at which the users of a testbed sign in.

use portcullis::testing::{IdentityProvider, TestUser};
use tokio::runtime::Runtime;

/// One on loopback, for as long as this is there.
pub struct Idp {
    /// The provider.
    pub provider: IdentityProvider,
    /// What it runs on.
    _runtime: Runtime,
}

impl Idp {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let provider = runtime.block_on(IdentityProvider::start()).unwrap();
        Self { provider, _runtime: runtime }
    }

    /// Starts one at which everybody is Alice.
    #[must_use]
    pub fn of_alice() -> Self {
        let idp = Self::start();
        idp.provider.sign_in_as(TestUser::new("alice"));
        idp
    }

    /// The flags of a server whose users sign in there.
    #[must_use]
    pub fn flags(&self, auth: &str) -> Vec<String> {
        flags(&self.provider, auth)
    }
}

/// The flags of a server whose users sign in at `provider`.
#[must_use]
pub fn flags(provider: &IdentityProvider, auth: &str) -> Vec<String> {
    let secret = provider.client_secret();
    let flags = [
        "--auth",
        auth,
        "--idp",
        provider.issuer(),
        "--allow-loopback-idp",
        "--client-id",
        provider.client_id(),
        "--client-secret",
        secret.expose(),
    ];
    flags.map(str::to_owned).to_vec()
}
