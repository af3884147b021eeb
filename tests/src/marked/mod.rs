//! The secrets of a run: every one that a test gives to a server or gets from it is noted, and
//! looked for in what the servers wrote and answered.
//!
//! `audit-trail` does that for logs and audit files, at the end of a run; the driver does it for each
//! response that it reads.

mod kept;
mod note;
mod search;
mod shape;
mod sniffed;

pub use self::kept::{KeptFolder, kept_in};
pub use self::note::{Noted, Owner, check_answer, note, read_notes};
pub use self::search::{Found, MIN_BYTES, Search};
pub use self::shape::shapes;
pub use self::sniffed::{check_reflection, sniff_request, sniff_response, sniff_start};
