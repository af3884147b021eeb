//! The servers that are measured, before the same identity provider.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use benches::Result;
use benches::fastmcp::FastMcp;
use benches::identity_provider::IdentityProvider;
use benches::server::{self, Server};

/// Their programs.
pub(crate) struct Servers {
    own: PathBuf,
    /// Where something is compared.
    fastmcp: Option<FastMcp>,
}

impl Servers {
    /// Builds its own, and fetches FastMCP's if something is compared.
    pub(crate) fn prepare(compared: bool) -> Result<Self> {
        let programs = server::build(&["bench-server"], &[])?;
        let fetch = || FastMcp::fetch(&programs.with_file_name("fastmcp"));
        let fastmcp = compared.then(fetch).transpose()?;
        Ok(Self { own: programs.join("bench-server"), fastmcp })
    }

    /// That of FastMCP.
    pub(crate) fn version(&self) -> &str {
        self.fastmcp.as_ref().map_or("", |fastmcp| &fastmcp.version)
    }

    /// The folder of the build: it is on a disk, and the one for temporary files may be in memory.
    pub(crate) fn folder(&self) -> &Path {
        self.own.parent().unwrap_or(Path::new("."))
    }

    /// A new one.
    pub(crate) async fn identity_provider(&self) -> Result<IdentityProvider> {
        IdentityProvider::start().await
    }

    /// Starts `bench-server`, with `more` arguments.
    pub(crate) fn own(&self, provider: &IdentityProvider, more: &[&OsStr]) -> Result<Server> {
        let client = provider.arguments();
        let arguments: Vec<_> = client.iter().map(OsStr::new).chain(more.iter().copied()).collect();
        Server::start(&[], &self.own, &arguments)
    }

    /// Starts FastMCP's server.
    pub(crate) fn other(&self, provider: &IdentityProvider) -> Result<Server> {
        let client = provider.arguments();
        let fastmcp = self.fastmcp.as_ref().ok_or("nothing is compared")?;
        fastmcp.start(&client.iter().map(OsStr::new).collect::<Vec<_>>())
    }
}
