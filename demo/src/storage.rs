//! From the flags for storage to a store that is sealed.

use std::sync::Arc;

use portcullis::ServerBuilder;
use portcullis::guard::keys::{KEY_FILE_VARIABLE, KEYS_VARIABLE, KeyRing};
use portcullis::guard::{Environment, SystemClock};
use portcullis::store::{FileStore, Sealed};

use crate::Error;
use crate::options::Options;

/// The file in `--state-dir`. Its folder is its own, since that has to be the owner's alone.
const FILE: &str = "store/records.redb";

/// Where records rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    Memory,
    File,
}

/// Gives `server` its store, and says in a line where records rest.
///
/// # Errors
///
/// Without keys for records that rest outside of the process, and when they cannot be kept there.
pub(crate) fn with_store<A>(
    options: &Options,
    environment: &Environment,
    server: ServerBuilder<A>,
) -> Result<(ServerBuilder<A>, String), Error> {
    match storage(options)? {
        Storage::Memory if options.key_file.is_some() => {
            Err("--key-file needs --store file: what is in memory is not sealed".into())
        }
        Storage::Memory => Ok((server, "in memory".to_owned())),
        Storage::File => {
            let folder =
                options.state_dir.as_ref().ok_or("--store file needs --state-dir FOLDER")?;
            let keys = keys(options, environment.clone())?;
            let path = folder.join(FILE);
            let store = FileStore::open(&path, Arc::new(SystemClock))?;
            let said = format!("{}, sealed with the key {}", path.display(), keys.sealing_key());
            Ok((server.store(Sealed::new(store, keys)), said))
        }
    }
}

fn storage(options: &Options) -> Result<Storage, Error> {
    match (options.store.as_deref(), &options.state_dir) {
        (Some("memory"), _) | (None, None) => Ok(Storage::Memory),
        (Some("file"), _) | (None, Some(_)) => Ok(Storage::File),
        (Some(_), _) => Err("--store: write memory or file".into()),
    }
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
