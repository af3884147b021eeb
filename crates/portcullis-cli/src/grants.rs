//! `portcullis grants`: what users allowed clients.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use portcullis::audit::{LogText, Timestamp};
use portcullis::auth::{
    Connection, ConnectionList, Connections, EndpointPath, PublicUrl, short_client_id,
};
use portcullis::guard::keys::{KEY_FILE_VARIABLE, KEYS_VARIABLE, KeyRing};
use portcullis::guard::{Environment, SystemClock};
use portcullis::store::{FileStore, RedisStore, Sealed, Store};
use serde_json::{Value, json};

use crate::arguments::{AtServer, GrantsCommand};
use crate::revoked::{Revoked, Trail};
use crate::{Error, output, table};

/// The variable that holds the URL of the store.
const STORE_VARIABLE: &str = "PORTCULLIS_STORE";

pub(crate) fn run(command: GrantsCommand) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        match command {
            GrantsCommand::List { whose, json, at } => {
                let connections = at.connections().await?;
                let found = list(&connections, whose.subject, whose.client).await?;
                show(&found, json)
            }
            GrantsCommand::Revoke { id: Some(id), audit_file, at, .. } => {
                let trail = Trail::open(audit_file.as_deref())?;
                let issuer = at.public_url()?.base();
                one(&at.connections().await?, &id, &issuer, &trail).await
            }
            GrantsCommand::Revoke { id: None, whose, dry_run: true, at, .. } => {
                let connections = at.connections().await?;
                let found = list(&connections, whose.subject, whose.client).await?;
                show(&found, false)?;
                output::note(format_args!("nothing is revoked: leave --dry-run out for that"));
                Ok(())
            }
            GrantsCommand::Revoke { id: None, whose, dry_run: false, audit_file, at } => {
                let trail = Trail::open(audit_file.as_deref())?;
                let issuer = at.public_url()?.base();
                let connections = at.connections().await?;
                let revoked = match (&whose.subject, &whose.client) {
                    (Some(subject), _) => connections.revoke_all_of(subject).await?,
                    (None, Some(client)) => connections.revoke_all_to(client).await?,
                    (None, None) => return Err("say whose: --subject or --client".into()),
                };
                output::note(format_args!("revoked: {revoked}"));
                let client_id = whose.client.as_deref().map(short_client_id);
                trail.record(&Revoked {
                    issuer: &issuer,
                    subject: whose.subject.as_deref(),
                    client_id: client_id.as_deref(),
                    count: Some(revoked),
                    ..Revoked::default()
                })
            }
        }
    })
}

async fn list(
    connections: &Connections,
    subject: Option<String>,
    client: Option<String>,
) -> Result<ConnectionList, Error> {
    match (subject, client) {
        (Some(subject), _) => Ok(connections.of_subject(&subject).await?),
        (None, Some(client)) => Ok(connections.of_client(&client).await?),
        (None, None) => Err("say whose: --subject or --client".into()),
    }
}

async fn one(
    connections: &Connections,
    id: &str,
    issuer: &str,
    trail: &Trail,
) -> Result<(), Error> {
    let revoked = connections.revoke(id).await?;
    let revoked = revoked.ok_or("no grant has this id: it has ended, or is of another server")?;
    output::note(format_args!(
        "revoked the grant {} of {} to {}",
        revoked.id,
        LogText::from(&*revoked.subject),
        name(&revoked),
    ));
    trail.record(&Revoked {
        issuer,
        subject: Some(&revoked.subject),
        client_id: Some(&short_client_id(&revoked.client_id)),
        client_name: revoked.client_name.as_deref(),
        scopes: Some(&revoked.scopes.to_string()),
        count: None,
    })
}

fn show(found: &ConnectionList, as_json: bool) -> Result<(), Error> {
    let text = match as_json {
        true => {
            let grants: Vec<_> = found.connections.iter().map(object).collect();
            json!({"grants": grants, "more": found.more}).to_string()
        }
        false => {
            let head = ["ID", "SUBJECT", "CLIENT", "LEADS TO", "ALLOWED", "LAST TOKEN", "SCOPES"];
            let rows = found.connections.iter().map(row);
            table::of(&std::iter::once(head.map(str::to_owned)).chain(rows).collect::<Vec<_>>())
        }
    };
    output::result(&text)?;
    if found.more {
        output::note(format_args!("there are more than {}", Connections::MOST_LISTED));
    }
    Ok(())
}

/// What others chose is made visible: it could drive a terminal.
fn row(connection: &Connection) -> [String; 7] {
    [
        connection.id.clone(),
        LogText::from(&*connection.subject).to_string(),
        name(connection),
        LogText::from(&*connection.leads_to).to_string(),
        date(connection.allowed_at),
        date(connection.refreshed_at),
        LogText::from(&*connection.scopes.to_string()).to_string(),
    ]
}

/// What the client calls itself, or else its id.
fn name(connection: &Connection) -> String {
    let name = connection.client_name.as_deref().unwrap_or(&connection.client_id);
    LogText::from(name).to_string()
}

fn object(connection: &Connection) -> Value {
    json!({
        "id": connection.id,
        "subject": connection.subject,
        "client_id": connection.client_id,
        "client_name": connection.client_name,
        "leads_to": connection.leads_to,
        "scopes": connection.scopes.iter().collect::<Vec<_>>(),
        "allowed_at": date(connection.allowed_at),
        "refreshed_at": date(connection.refreshed_at),
        "expires_at": date(connection.expires_at),
    })
}

fn date(time: SystemTime) -> String {
    format!("{:.19}Z", Timestamp::from(time))
}

impl AtServer {
    async fn connections(&self) -> Result<Connections, Error> {
        let url = self.public_url()?;
        let keys = self.keys()?;
        let store = self.store(keys).await?;
        Ok(Connections::new(&url, store)?)
    }

    fn public_url(&self) -> Result<PublicUrl, Error> {
        if let Some(base) = &self.public_url {
            let path = self.url.strip_prefix(base.trim_end_matches('/'));
            let path = path.filter(|path| path.is_empty() || path.starts_with('/'));
            let path =
                path.ok_or("--public-url: what --url begins with: https://HOST/a, without /mcp")?;
            let path = if path.is_empty() { "/" } else { path };
            return Ok(PublicUrl::parse(base, EndpointPath::parse(path)?)?);
        }
        let begin = self.url.find("://").map_or(0, |scheme| scheme + "://".len());
        let path = self.url.get(begin..).and_then(|rest| rest.find('/'));
        let path = path.ok_or("--url: write the whole URL, with its path: https://HOST/mcp")?;
        let (origin, path) = self.url.split_at(begin + path);
        Ok(PublicUrl::parse(origin, EndpointPath::parse(path)?)?)
    }

    /// The keys of the file, or else those of the variables.
    fn keys(&self) -> Result<KeyRing, Error> {
        if let Some(file) = &self.key_file {
            return Ok(KeyRing::from_file(file)?);
        }
        let environment = Environment::process();
        let set = [KEYS_VARIABLE, KEY_FILE_VARIABLE];
        match set.iter().any(|name| environment.variable(name).is_some()) {
            true => Ok(KeyRing::from_env(&environment)?),
            false => Err(format!(
                "the records are sealed: name the keys of the server by --key-file PATH, \
                 {KEY_FILE_VARIABLE} or {KEYS_VARIABLE}"
            )
            .into()),
        }
    }

    async fn store(&self, keys: KeyRing) -> Result<Arc<dyn Store>, Error> {
        let environment = Environment::process();
        let is_url = |text: &str| text.starts_with("redis://") || text.starts_with("rediss://");
        let named = match &self.store {
            Some(named) if is_url(named) && named.contains('@') => {
                return Err(format!(
                    "--store: everybody can read a password on a command line: set the variable \
                     {STORE_VARIABLE} to the URL"
                )
                .into());
            }
            Some(named) => named.as_str(),
            None => environment.variable(STORE_VARIABLE).filter(|named| is_url(named)).ok_or_else(
                || {
                    format!(
                        "no store is named: write --store PATH, or set {STORE_VARIABLE} to a URL"
                    )
                },
            )?,
        };
        if is_url(named) {
            return confirmed(Sealed::new(RedisStore::builder(named).open().await?, keys)).await;
        }
        // Opening makes one, and a mistyped path would have no grants.
        if !Path::new(named).is_file() {
            return Err(format!("no store is at {named}").into());
        }
        let store = FileStore::open(named, Arc::new(SystemClock))?;
        confirmed(Sealed::new(store, keys)).await
    }
}

/// A store with the keys of its server: with others nothing could be read, and no grant would be found.
async fn confirmed<S: Store>(store: Sealed<S>) -> Result<Arc<dyn Store>, Error> {
    store.confirm_keys().await?;
    Ok(Arc::new(store))
}
