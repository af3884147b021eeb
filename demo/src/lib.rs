//! The brief's own server, and the command line that the testbed shares with it.

pub mod admin;
pub mod checks;
pub mod clients;
pub mod database;
pub mod files;
mod flags;
pub mod inventory;
pub mod options;
pub mod people;
pub mod provider;
pub mod routes;
pub mod secrets;
pub mod serve;
pub mod state;
pub mod stock;
mod storage;
pub mod tokens;

use portcullis::prelude::*;

/// Why the program did not start, in words for whoever started it: the library's errors, and those
/// of flags and folders.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Everything that the demo serves, in the order of the access table.
///
/// The same components stand behind both entry points: with tokens over HTTP, and without
/// over stdio (the brief's section 17).
#[must_use]
pub fn components() -> Components {
    components![
        people::get_profile,
        people::delete_user,
        files::read_file,
        inventory::search_items,
        inventory::delete_item,
        stock::public_action,
        stock::premium_feature,
        stock::advanced_admin_action,
        admin::admin_action,
        admin::wipe_database,
        admin::rotate_keys,
        admin::unlock_admin,
        secrets::secret_config,
        secrets::secret_keys,
        inventory::item,
        inventory::ledger,
        inventory::financial_report,
    ]
}
