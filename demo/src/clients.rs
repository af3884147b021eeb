//! From the flags for clients to whom the authorization server knows.

use std::collections::HashMap;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use portcullis::auth::{ClientPolicy, PreRegisteredClient, Registration};
use portcullis::guard::{Secret, SecretFile};

use crate::Error;

/// Which clients sign in, where the server is its own authorization server (`--auth login`, `proxy`,
/// `github` and `google`).
#[derive(Args, Clone, Debug, Default)]
pub struct ClientOptions {
    /// How clients become known, where users sign in at this server [default: open]
    #[arg(long, help_heading = "Clients", value_enum)]
    pub registration: Option<RegistrationOption>,

    /// Take client ID metadata documents from this host, such as claude.ai, and from no other; repeat
    /// the flag to name several [default: from everywhere with --registration documents, else none]
    #[arg(long, help_heading = "Clients", value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    pub documents_from: Vec<String>,

    /// Where answers may go, such as `http://localhost:*/callback`; repeat the flag to allow several
    /// [default: wherever a client registered]
    #[arg(long, help_heading = "Clients", value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    pub allowed_redirect_uri: Vec<String>,

    /// A client that need not register: its id, and after each comma a redirect URI; repeat the flag for
    /// several
    #[arg(long, help_heading = "Clients", value_name = "ID,URI", value_parser = NonEmptyStringValueParser::new())]
    pub client: Vec<String>,

    /// The secret of a client that --client names: its id, a comma and the file that the secret is in.
    /// Without one, a client is public
    #[arg(long, help_heading = "Clients", value_name = "ID,FILE", value_parser = NonEmptyStringValueParser::new())]
    pub client_secret_of: Vec<String>,

    /// Take metadata documents from this machine (loopback), over plain http too
    #[arg(long, help_heading = "Clients")]
    pub allow_loopback_documents: bool,
}

/// How clients become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RegistrationOption {
    /// Any client registers by itself
    Open,
    /// Clients whose redirect URIs are known register by themselves
    Known,
    /// A client is the website that publishes its metadata document; none registers
    Documents,
    /// Clients that --client names, and no others
    Off,
}

impl ClientOptions {
    /// The policy that the flags describe.
    ///
    /// # Errors
    ///
    /// When a client has no redirect URI.
    pub fn policy(&self) -> Result<ClientPolicy, Error> {
        let mut policy = ClientPolicy::new(match self.registration {
            None | Some(RegistrationOption::Open) => Registration::Open,
            Some(RegistrationOption::Known) => Registration::Known,
            Some(RegistrationOption::Documents) => Registration::Documents,
            Some(RegistrationOption::Off) => Registration::Off,
        });
        if !self.documents_from.is_empty() {
            policy = policy.documents_from(self.documents_from.clone());
        }
        if !self.allowed_redirect_uri.is_empty() {
            policy = policy.allowed_client_redirect_uris(self.allowed_redirect_uri.clone());
        }
        if self.allow_loopback_documents {
            policy = policy.allow_loopback_documents();
        }
        let mut secrets = self.secrets()?;
        for client in &self.client {
            let (id, uris) =
                client.split_once(',').ok_or("--client is an id, a comma and a URI")?;
            let uris: Vec<&str> = uris.split(',').collect();
            let mut client = PreRegisteredClient::new(id, uris);
            if let Some(secret) = secrets.remove(id) {
                client = client.secret(secret);
            }
            policy = policy.client(client);
        }
        match secrets.keys().next() {
            Some(id) => Err(format!("--client-secret-of {id}: no --client has this id").into()),
            None => Ok(policy),
        }
    }

    /// The secrets of clients, by their ids.
    fn secrets(&self) -> Result<HashMap<&str, Secret<String>>, Error> {
        let mut secrets = HashMap::new();
        for named in &self.client_secret_of {
            let (id, file) =
                named.split_once(',').ok_or("--client-secret-of is an id, a comma and a file")?;
            let secret = SecretFile::open(file)
                .map_err(|error| format!("--client-secret-of {id}: {error}"))?;
            if secrets.insert(id, Secret::clone(&secret.current())).is_some() {
                return Err(format!("--client-secret-of {id}: one client has one secret").into());
            }
        }
        Ok(secrets)
    }

    /// Refuses flags that would have no effect.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub fn refuse(&self) -> Result<(), Error> {
        for (flag, given) in [
            ("--registration", self.registration.is_some()),
            ("--documents-from", !self.documents_from.is_empty()),
            ("--allowed-redirect-uri", !self.allowed_redirect_uri.is_empty()),
            ("--client", !self.client.is_empty()),
            ("--client-secret-of", !self.client_secret_of.is_empty()),
        ] {
            if given {
                return Err(format!("{flag} needs --auth login, proxy, github or google").into());
            }
        }
        Ok(())
    }
}
