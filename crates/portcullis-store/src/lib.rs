//! What rests: records that expire.
//!
//! Whatever must be seen by another replica, or by the next request, is a record in a
//! [`Store`]: a [`RecordValue`] under a [`RecordKey`], until a time. [`MemoryStore`] keeps them in this
//! process, `FileStore` (feature `redb`) in a file, and `RedisStore` (feature `redis`) where several
//! processes share them. `Sealed` (feature `sealed`) seals the values of another store. Every backend
//! passes the same cases, those of `contract`.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
#[cfg(any(test, feature = "contract"))]
mod distant;
mod error;
#[cfg(feature = "redb")]
mod file;
mod key;
#[cfg(feature = "metrics")]
mod measured;
mod memory;
mod nanos;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sealed")]
mod sealed;
mod shared;
mod store;
mod value;

#[cfg(feature = "redis")]
pub use self::redis::{RedisOpenError, RedisOpenErrorKind, RedisStore, RedisStoreBuilder};
#[cfg(any(test, feature = "contract"))]
pub use distant::Distant;
pub use error::{MAX_VALUE_BYTES, StoreError};
#[cfg(feature = "redb")]
pub use file::{FileStore, StoreOpenError, StoreOpenErrorKind};
pub use key::{RecordKey, RecordOwner};
#[cfg(feature = "metrics")]
pub use measured::measured;
pub use memory::MemoryStore;
#[cfg(feature = "sealed")]
pub use sealed::Sealed;
pub use store::{CasOutcome, Store};
pub use value::RecordValue;
