//! From the flags for storage to a store that is sealed.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis::ServerBuilder;
use portcullis::guard::Environment;
#[cfg(feature = "redis")]
use portcullis::guard::Secret;
use portcullis::guard::keys::{KEY_FILE_VARIABLE, KEYS_VARIABLE, KeyRing};
#[cfg(feature = "redis")]
use portcullis::store::RedisStore;
use portcullis::store::{FileStore, Sealed, Store};

use crate::Error;
use crate::options::Options;

/// The variable that says where records rest, as `--store` does.
const STORE: &str = "PORTCULLIS_STORE";
/// The file in `--state-dir`. Its folder is its own, since that has to be the owner's alone.
const FILE: &str = "store/records.redb";

/// Where records rest, outside of the process.
enum Place {
    File(PathBuf),
    /// At a URL, which may hold a password.
    #[cfg(feature = "redis")]
    Redis(Secret<String>),
}

/// Where records rest, and what seals them there.
pub(crate) struct Stored {
    /// Outside of the process, and the keys with which it is sealed.
    pub(crate) sealed: Option<(Arc<dyn Store>, KeyRing)>,
    /// Where records rest, in a line for people.
    pub(crate) place: String,
}

impl Stored {
    pub(crate) fn in_memory() -> Self {
        Self { sealed: None, place: "in memory".to_owned() }
    }

    fn sealed(store: impl Store, keys: KeyRing, place: &str) -> Self {
        let place = format!("{place}, sealed with the key {}", keys.sealing_key());
        Self { sealed: Some((Arc::new(Sealed::new(store, keys.clone())), keys)), place }
    }

    /// Gives `server` its store.
    pub(crate) fn given_to<A>(&self, server: ServerBuilder<A>) -> ServerBuilder<A> {
        match &self.sealed {
            Some((store, _)) => server.store(Arc::clone(store)),
            None => server,
        }
    }
}

/// Opens what the flags and variables name.
///
/// # Errors
///
/// Without keys for records that rest outside of the process, and when they cannot be kept there.
pub(crate) async fn open(options: &Options, environment: &Environment) -> Result<Stored, Error> {
    let set = [KEYS_VARIABLE, KEY_FILE_VARIABLE].into_iter();
    let set = set.filter(|name| environment.variable(name).is_some());
    let Some(place) = place(options, environment)? else {
        if options.key_file.is_some() {
            return Err("--key-file needs --store file or redis://HOST: what is in memory is not \
                        sealed"
                .into());
        }
        for name in set {
            tracing::warn!(
                "{name} is set, and not used: what is in memory is not sealed (--store file or \
                 redis://HOST)"
            );
        }
        return Ok(Stored::in_memory());
    };
    if options.key_file.is_some() {
        for name in set {
            tracing::warn!("{name} is set, and not used: --key-file names the keys");
        }
    }
    let keys = keys(options, environment.clone())?;
    match place {
        Place::File(path) => {
            let store = FileStore::open(&path, Arc::clone(&options.clock))?;
            Ok(Stored::sealed(store, keys, &path.display().to_string()))
        }
        #[cfg(feature = "redis")]
        Place::Redis(url) => {
            let store = RedisStore::builder(url.expose()).open().await?;
            Ok(Stored::sealed(store, keys, "in Redis"))
        }
    }
}

/// Where records are to rest; nowhere, if that is memory.
fn place(options: &Options, environment: &Environment) -> Result<Option<Place>, Error> {
    let (source, named) = match &options.store {
        Some(store) => ("--store", Some(store.as_str())),
        None => (STORE, environment.variable(STORE)),
    };
    match (named, &options.state_dir) {
        (Some("memory"), _) | (None, None) => Ok(None),
        (Some("file") | None, Some(folder)) => Ok(Some(Place::File(folder.join(FILE)))),
        (Some("file"), None) => Err(format!("{source} file needs --state-dir FOLDER").into()),
        (Some(url), _) if url.starts_with("redis://") || url.starts_with("rediss://") => {
            match options.store.is_some() && url.contains('@') {
                true => Err("--store: everybody can read a password on a command line: set the \
                             variable PORTCULLIS_STORE to the URL"
                    .into()),
                false => redis(url).map(Some),
            }
        }
        // A mistyped URL may hold a password.
        (Some(_), _) => {
            Err(format!("{source}: write memory, file, redis://HOST:PORT or rediss://HOST:PORT")
                .into())
        }
    }
}

#[cfg(feature = "redis")]
fn redis(url: &str) -> Result<Place, Error> {
    Ok(Place::Redis(Secret::new(url.to_owned())))
}

#[cfg(not(feature = "redis"))]
fn redis(_: &str) -> Result<Place, Error> {
    Err("this program was built without Redis: build it with `--features redis`".into())
}

/// The keys of `--key-file`, or else those of the variables.
fn keys(options: &Options, mut environment: Environment) -> Result<KeyRing, Error> {
    if let Some(file) = &options.key_file {
        let file = file.to_str().ok_or("--key-file: the path is not UTF-8")?;
        environment = environment.with_variable(KEYS_VARIABLE, "");
        environment = environment.with_variable(KEY_FILE_VARIABLE, file);
    }
    Ok(KeyRing::from_env(&environment)?)
}
