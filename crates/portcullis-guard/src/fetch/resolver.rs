//! Name resolution whose judged addresses are the ones connected to (DNS rebinding).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use url::Host;

use super::destination::{Destinations, Refusal, is_same};

/// Resolves names to addresses.
pub trait Lookup: fmt::Debug + Send + Sync + 'static {
    /// The addresses of `name`.
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    #[expect(clippy::disallowed_methods, reason = "this is the door for names")]
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|socket| socket.ip()).collect())
        })
    }
}

/// Resolves once, judges every address, and gives those very addresses to the connector:
/// a name that changes its mind afterwards is not asked again.
pub(super) struct Pinned {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) destinations: Destinations,
    /// The proxy that everything goes through: the program's own choice, and the only name that is
    /// asked for then.
    pub(super) proxy: Option<Host<String>>,
}

impl Resolve for Pinned {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, destinations) = (self.lookup.lookup(name.as_str()), self.destinations.clone());
        let name = name.as_str().to_owned();
        let proxy = self.proxy.clone();
        Box::pin(async move {
            if let Some(proxy) = proxy {
                if !is_same(&proxy, &Host::Domain(&name)) {
                    return Err(Refusal::OtherHost.into());
                }
                let sockets = found.await?.into_iter().map(|address| SocketAddr::new(address, 0));
                return Ok(Box::new(sockets) as Addrs);
            }
            let addresses = found.await?;
            // One address that is not public spoils the name: which of them would be
            // connected to is not for us to guess.
            for address in &addresses {
                destinations.judge_resolved(&name, *address)?;
            }
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}
