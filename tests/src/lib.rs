//! What the tests of this package share: the testbed's components, and ways to drive it.

pub mod audit;
pub mod chatty;
pub mod conformance;
mod conformance_tasks;
pub mod driver;
pub mod everything;
pub mod http2;
pub mod idp;
pub mod interaction;
pub mod issuer;
pub mod leaky;
pub mod marked;
pub mod noisy;
pub mod oracle;
pub mod ranks;
pub mod restarted;
pub mod secrets;
pub mod served;
pub mod shifted_clock;
pub mod sign_in;
pub mod testbed;
