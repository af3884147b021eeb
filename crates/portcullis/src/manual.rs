#![doc = include_str!("../manual/links.md")]
#![doc = include_str!("../manual/README.md")]

#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/transports.md")]
pub mod transports {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/tokens.md")]
pub mod tokens {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/authorization_servers.md")]
pub mod authorization_servers {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/upstream_tokens.md")]
pub mod upstream_tokens {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/opaque_tokens.md")]
pub mod opaque_tokens {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/api_keys.md")]
pub mod api_keys {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/access.md")]
pub mod access {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/visibility.md")]
pub mod visibility {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/routes.md")]
pub mod routes {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/arguments.md")]
pub mod arguments {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/handles.md")]
pub mod handles {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/elicitation.md")]
pub mod elicitation {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/files.md")]
pub mod files {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/commands.md")]
pub mod commands {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/sql.md")]
pub mod sql {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/outbound.md")]
pub mod outbound {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/host_and_origin.md")]
pub mod host_and_origin {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/limits.md")]
pub mod limits {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/storage.md")]
pub mod storage {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/redis.md")]
pub mod redis {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/replicas.md")]
pub mod replicas {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/secrets.md")]
pub mod secrets {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/keys.md")]
pub mod keys {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/sign_in.md")]
pub mod sign_in {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/identity_providers.md")]
pub mod identity_providers {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/connections.md")]
pub mod connections {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/clients.md")]
pub mod clients {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/signing_keys.md")]
pub mod signing_keys {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/doctor.md")]
pub mod doctor {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/command_line.md")]
pub mod command_line {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/errors.md")]
pub mod errors {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/audit.md")]
pub mod audit {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/metrics.md")]
pub mod metrics {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/testing.md")]
pub mod testing {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/defaults.md")]
pub mod defaults {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/deploying.md")]
pub mod deploying {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/rules.md")]
pub mod rules {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/progress.md")]
pub mod progress {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/tasks.md")]
pub mod tasks {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/promises.md")]
pub mod promises {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/threats.md")]
pub mod threats {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/oauth_requirements.md")]
pub mod oauth_requirements {}
#[doc = include_str!("../manual/links.md")]
#[doc = include_str!("../manual/not_done.md")]
pub mod not_done {}
