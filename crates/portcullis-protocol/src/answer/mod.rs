//! What a client is told: outcomes, lists and notifications, written as the JSON of its version.

pub(crate) mod descriptor;
pub(crate) mod identity;
pub(crate) mod json_rpc;
pub(crate) mod list_json;
pub(crate) mod notification;
pub(crate) mod outcome;
pub(crate) mod response;
mod task_json;
mod wording;
