//! `portcullis keys api`: API keys, with which programs authenticate.

use std::time::{Duration, SystemTime};

use portcullis::audit::Timestamp;
use portcullis::auth::{ApiKeyFile, ApiKeyRecord, NewApiKey};
use portcullis::guard::{Clock, Secret, SystemClock};

use crate::arguments::{ApiCommand, OfApiKeys};
use crate::{Error, output, table};

/// The longest life of a key: ten years. A longer one is a mistake, or a key that nobody rotates.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

pub(crate) fn run(command: ApiCommand) -> Result<(), Error> {
    match command {
        ApiCommand::New { expires, .. } if expires > LONGEST => {
            Err("--expires: an API key is good for 3650d at most: make it shorter, and rotate it"
                .into())
        }
        ApiCommand::New { name, scope, expires, client_id, prefix, of } => {
            let mut new = NewApiKey::of(name).scopes(scope).lifetime(expires).prefix(prefix);
            if let Some(id) = client_id {
                new = new.client_id(id);
            }
            create(&of, new)
        }
        ApiCommand::List(of) => list(&of),
        ApiCommand::Rotate { id, overlap, of } => rotate(&of, &id, overlap),
        ApiCommand::Revoke { id, of } => {
            of.keys().revoke(checked(&id)?)?;
            output::note(format_args!("the API key {id} is revoked"));
            Ok(())
        }
    }
}

fn create(of: &OfApiKeys, new: NewApiKey) -> Result<(), Error> {
    let (key, record) = of.keys().mint(new, &SystemClock)?;
    show(&key, record.id(), of)?;
    output::note(format_args!(
        "the API key {} of {}, shown this once; it ends at {}",
        record.id(),
        record.subject(),
        date(record.expires_at()),
    ));
    Ok(())
}

fn rotate(of: &OfApiKeys, id: &str, overlap: Duration) -> Result<(), Error> {
    let keys = of.keys();
    let (key, record) = keys.rotate(checked(id)?, overlap, &SystemClock)?;
    show(&key, record.id(), of)?;
    let (new, ends) = (record.id(), date(record.expires_at()));
    output::note(format_args!(
        "the API key {new} takes the place of {id}, shown this once; it ends at {ends}"
    ));
    if let Some(old) = keys.list()?.iter().find(|key| key.id() == id) {
        output::note(format_args!("{id} ends at {}", date(old.expires_at())));
    }
    Ok(())
}

/// Its record is in the file: a key that nobody saw would be good for months.
fn show(key: &Secret<String>, id: &str, of: &OfApiKeys) -> Result<(), Error> {
    output::result(key.expose()).map_err(|cause| match of.keys().revoke(id) {
        Ok(()) => format!("the API key {id} could not be printed ({cause}), and is revoked"),
        Err(revoke) => {
            format!("the API key {id} could not be printed ({cause}): revoke it ({revoke})")
        }
    })?;
    Ok(())
}

fn list(of: &OfApiKeys) -> Result<(), Error> {
    let now = SystemClock.now();
    let list = of.keys().list()?;
    let head = ["ID", "STATE", "ENDS", "NAME", "CLIENT", "SCOPES"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(list.iter().map(|key| row(key, now))).collect();
    Ok(output::result(&table::of(&rows))?)
}

fn row(key: &ApiKeyRecord, now: SystemTime) -> [String; 6] {
    let state = match (key.is_revoked(), key.expires_at() <= now) {
        (true, _) => "revoked",
        (false, true) => "ended",
        (false, false) => "valid",
    };
    [
        key.id().to_owned(),
        state.to_owned(),
        date(key.expires_at()),
        key.subject().to_owned(),
        key.client_id().to_owned(),
        key.scopes().to_string(),
    ]
}

fn date(time: SystemTime) -> String {
    format!("{:.19}Z", Timestamp::from(time))
}

/// Who takes the key for its id must not read it again in an error.
fn checked(id: &str) -> Result<&str, Error> {
    let digits = id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    match id.len() == 16 && digits {
        true => Ok(id),
        false => {
            Err("an id of an API key has 16 hexadecimal digits: `portcullis keys api list`".into())
        }
    }
}

impl OfApiKeys {
    fn keys(&self) -> ApiKeyFile {
        ApiKeyFile::new(&self.file)
    }
}
