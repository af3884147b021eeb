//! The same clients where users sign in at an identity provider that knows nothing of MCP, through
//! the server: oidc-provider, which is certified, with its own pages.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;

use portcullis::auth::OidcProxy;
use portcullis::guard::Secret;
use portcullis::prelude::*;
use portcullis_tests::driver::free_address;
use portcullis_tests::served::Served;
use portcullis_tests::testbed;
use serde_json::Value;

use crate::clients;
use crate::identity_provider::Provider;
use crate::installed::clients::ALL;
use crate::installed::signs_in_refreshes_and_comes_back_after_a_revocation;
use crate::sign_in::{expect_refreshed, sign_in_with, version_1};

/// As many servers as there are installed clients, and one for the libraries.
fn addresses() -> [SocketAddr; ALL.len() + 1] {
    std::array::from_fn(|_| free_address())
}

fn callback(address: SocketAddr) -> String {
    format!("http://{address}/auth/callback")
}

/// A server at `address` whose users sign in at `issuer`, where it is `client`.
fn proxy(issuer: &str, client: &Value, address: SocketAddr) -> Served {
    let text = |name: &str| client[name].as_str().unwrap_or_else(|| panic!("{client}")).to_owned();
    let secret = Secret::new(text("client_secret"));
    let users = OidcProxy::discover(issuer, text("client_id"), secret)
        .scopes(["read", "write", "admin"])
        .allow_loopback_idp();
    let server = Server::builder("peers").auth(users).components(components![testbed::whoami]);
    Served::start_at(server.build().unwrap(), address)
}

/// Three at a time, each at a server of its own.
fn installed_clients_sign_in(servers: &[Served]) {
    let next = Mutex::new(ALL.into_iter().zip(servers));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some((client, server)) = next.lock().unwrap().next() else { return };
                    signs_in_refreshes_and_comes_back_after_a_revocation(client, server);
                }
            });
        }
    });
}

fn libraries_sign_in(server: &Served) {
    for (name, client) in clients() {
        let seen = &sign_in_with(&client, &[server], "auto", &["--refresh"])[0];
        let who = format!("{name}\n{seen}");
        assert_eq!(seen["whoami"]["sub"], "alice", "{who}");
        expect_refreshed(&who, &seen["refreshed"], &seen["whoami"]["client_id"]);
    }
    version_1(server);
}

#[test]
fn every_client_signs_in_and_refreshes_through_the_server_at_oidc_provider() {
    let provider = Provider::with_pages();
    let servers = addresses()
        .map(|address| proxy(provider.issuer(), &provider.client(&callback(address)), address));
    let (library, installed) = servers.split_last().unwrap();
    libraries_sign_in(library);
    installed_clients_sign_in(installed);
}
