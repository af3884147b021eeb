//! The redb database in a file: its tables, and how it is made and opened.

use std::fs::File;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use portcullis_guard::{FilePlace, PrivateFile, PrivateFileErrorKind};
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, TableDefinition};

use super::open_error::{StoreOpenError, StoreOpenErrorKind};
use crate::nanos::Nanos;

pub(super) type Digest = [u8; 32];

/// When a record ends, the digest of its owner if it has one, and its value.
pub(super) type Stored = (Nanos, Option<&'static Digest>, &'static [u8]);

pub(super) const RECORDS: TableDefinition<&Digest, Stored> = TableDefinition::new("records");
/// One for each record.
pub(super) const BY_EXPIRY: TableDefinition<(Nanos, &Digest), ()> =
    TableDefinition::new("by_expiry");
/// One for each record that has an owner: the owner's digest and the record's.
pub(super) const BY_OWNER: TableDefinition<(&Digest, &Digest), ()> =
    TableDefinition::new("by_owner");
pub(super) const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

/// In `NUMBERS`: how the tables are laid out.
const VERSION: &str = "version";
/// In `NUMBERS`: how long all values are together.
pub(super) const BYTES: &str = "bytes";

const THIS_VERSION: u64 = 1;
const CACHE_BYTES: usize = 128 * 1024 * 1024;

/// Opens the store in the file at `path`, and makes it first if it is absent.
pub(super) fn open(path: &Path) -> Result<(Database, FilePlace), StoreOpenError> {
    let refused = |error| StoreOpenError::of_file(path, &error);
    let file = match PrivateFile::open(path) {
        Err(error) if error.kind() == PrivateFileErrorKind::Absent => {
            PrivateFile::create(path, make).map_err(refused)?;
            PrivateFile::open(path)
        }
        opened => opened,
    };
    existing(file.map_err(refused)?)
}

/// Opens the store that was at `place`, and nothing that has replaced it.
pub(super) fn reopen(place: &FilePlace) -> Result<Database, StoreOpenError> {
    let refused = |error| StoreOpenError::of_file(place.path(), &error);
    place.check().map_err(refused)?;
    let (database, found) = existing(PrivateFile::open(place.path()).map_err(refused)?)?;
    match found == *place {
        true => Ok(database),
        false => {
            let cause = "it is another file";
            Err(StoreOpenError::new(StoreOpenErrorKind::Replaced, place.path(), cause))
        }
    }
}

/// Makes an empty store. No file has its name before this has succeeded.
fn make(file: File) -> io::Result<()> {
    let made = || -> Result<(), redb::Error> {
        let database = Builder::new().create_with_backend(FileBackend::new(file)?)?;
        let write = database.begin_write()?;
        write.open_table(RECORDS)?;
        write.open_table(BY_EXPIRY)?;
        write.open_table(BY_OWNER)?;
        write.open_table(NUMBERS)?.insert(VERSION, THIS_VERSION)?;
        write.commit()?;
        Ok(database.close()?)
    };
    made().map_err(|error| match error {
        redb::Error::Io(error) => error,
        error => io::Error::other(error),
    })
}

fn existing(file: PrivateFile) -> Result<(Database, FilePlace), StoreOpenError> {
    let place = file.place().clone();
    let path = place.path();
    let refused = |error: redb::Error| StoreOpenError::of_redb(path, &error);
    let file = file.into_file();
    let size = file.metadata().map_err(|error| refused(error.into()))?.len();
    if size == 0 {
        // redb would begin a new database here, and what was stored would be absent.
        return Err(StoreOpenError::new(StoreOpenErrorKind::Corrupt, path, "it is empty"));
    }
    let checked = || -> Result<Database, redb::Error> {
        let database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(FileBackend::new(file)?)?;
        Ok(database)
    };
    // redb says that a damaged file may make it panic.
    let database = panic::catch_unwind(AssertUnwindSafe(checked))
        .unwrap_or_else(|_| Err(redb::Error::Corrupted("what is in it makes no sense".to_owned())));
    let database = database.map_err(refused)?;
    match version(&database).map_err(refused)? {
        Some(THIS_VERSION) => Ok((database, place)),
        Some(other) => {
            let cause = format!("version {other}, not {THIS_VERSION}");
            Err(StoreOpenError::new(StoreOpenErrorKind::OtherVersion, path, cause))
        }
        None => Err(StoreOpenError::new(StoreOpenErrorKind::Foreign, path, "it has no version")),
    }
}

/// The version of the tables. An error if one of them is absent.
fn version(database: &Database) -> Result<Option<u64>, redb::Error> {
    let read = database.begin_read()?;
    // First, since another version may have other tables.
    let version = read.open_table(NUMBERS)?.get(VERSION)?.map(|version| version.value());
    if version == Some(THIS_VERSION) {
        read.open_table(RECORDS)?;
        read.open_table(BY_EXPIRY)?;
        read.open_table(BY_OWNER)?;
    }
    Ok(version)
}
