//! Sign-in with Microsoft Entra ID.

use portcullis_guard::{Environment, EnvironmentError, Secret};

use super::{OpenIdVendor, client, openid, vendors};
use crate::provider::proxy::OAuthProxy;
use crate::upstream::{Accounts, TokenEndpointAuth};

vendors! {
    /// Microsoft Entra ID.
    Entra, "EntraProvider";
}

/// Users sign in with the accounts of one Microsoft Entra ID tenant.
///
/// The subject is `sub`, which is another one for each application; `.claims(["oid"])` adds the one that
/// the tenant has in common.
///
/// **Deployment caveat.** Every account of the tenant may sign in, guests too, unless the enterprise
/// application says "Assignment required". Entra says of no address that it is verified, so
/// [`Admit::email_domains`](crate::Admit::email_domains) lets nobody in. A user with more than 200 groups
/// has no `groups`: assign app roles, and look at `roles`.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub use portcullis_oauth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::EntraProvider;
/// use portcullis::guard::Secret;
///
/// let secret = Secret::new("0a1b2c3d".to_owned());
/// let tenant = "72f988bf-0000-4000-8000-2d7cd011db47";
/// let provider = EntraProvider::new(tenant, "00000000-0000-4000-8000-000000000001", secret)
///     .scopes(["notes:read"]);
/// ```
pub type EntraProvider = OAuthProxy<Entra>;

impl OpenIdVendor for Entra {}

impl OAuthProxy<Entra> {
    /// The tenant by its id, which is a GUID, and the application with this client id and secret.
    /// `common`, `organizations` or a domain in place of the id do not start: the issuer of the tokens
    /// names the id.
    pub fn new(
        tenant_id: impl AsRef<str>,
        id: impl Into<String>,
        secret: impl Into<Secret<String>>,
    ) -> Self {
        let tenant_id = tenant_id.as_ref();
        let issuer = format!("https://login.microsoftonline.com/{tenant_id}/v2.0");
        let mut config = openid(issuer, id, secret);
        config.name = Some("Microsoft".to_owned());
        config.authentication = TokenEndpointAuth::Post;
        config.accounts = Accounts::OfAnOrganization;
        config.offline_access = Some(true);
        // Where users may not consent by themselves, `consent` lets nobody in.
        config.prompt = Some(String::new());
        if !is_guid(tenant_id) {
            let text = "the tenant is named by its id, a GUID: see \"Tenant ID\" in the overview";
            config.problem = Some(text.to_owned());
        }
        Self::of(config)
    }

    /// As [`new`](Self::new), with the variables `ENTRA_TENANT_ID`, `ENTRA_CLIENT_ID`, and
    /// `ENTRA_CLIENT_SECRET` or a file in `ENTRA_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "ENTRA")?;
        let [tenant_id] = environment.require(["ENTRA_TENANT_ID"])?;
        Ok(Self::new(tenant_id, id, secret))
    }
}

fn is_guid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}
