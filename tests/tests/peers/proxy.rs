//! The same clients where users sign in at an identity provider that knows nothing of MCP, through
//! the server: oidc-provider, which is certified, and Canaille, with their own pages.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;

use portcullis_tests::driver::{Testbed, free_address};
use serde_json::Value;

use crate::identity_provider::Provider;
use crate::installed::clients::{ALL, Installed};
use crate::installed::{Identity, comes_back_after_a_revocation, signs_in_and_refreshes};
use crate::providers::Issuing;
use crate::sign_in::{expect_refreshed, expect_revocable, sign_in_with, version_1};
use crate::{TESTBED, clients};

/// As many servers as there are installed clients, and one for the libraries.
fn addresses() -> [SocketAddr; ALL.len() + 1] {
    std::array::from_fn(|_| free_address())
}

fn callback(address: SocketAddr) -> String {
    format!("http://{address}/auth/callback")
}

/// A server at `address` whose users sign in at `issuer`, where it is `client`.
fn proxy(issuer: &str, client: &Value, address: SocketAddr) -> Testbed {
    let text = |name: &str| client[name].as_str().unwrap_or_else(|| panic!("{client}"));
    let flags = ["--auth", "proxy", "--idp", issuer, "--client-id", text("client_id")];
    let secret = [("IDP_CLIENT_SECRET", text("client_secret"))];
    Testbed::start_at(TESTBED, address, &flags, &secret)
}

/// Three at a time, each at a server of its own.
fn installed_clients_sign_in(servers: &[Testbed], signs_in: fn(&Installed, &Testbed)) {
    let next = Mutex::new(ALL.into_iter().zip(servers));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some((client, server)) = next.lock().unwrap().next() else { return };
                    signs_in(client, server);
                }
            });
        }
    });
}

fn libraries_sign_in(server: &Testbed) {
    for (name, client) in clients() {
        let seen = &sign_in_with(&client, &[server], "auto", &["--refresh"])[0];
        let who = format!("{name}\n{seen}\n{}", server.log());
        assert_eq!(seen["whoami"]["sub"], "alice", "{who}");
        expect_refreshed(&who, &seen["refreshed"], &seen["whoami"]["client_id"]);
        expect_revocable(&who, server, &seen["refreshed"], None);
    }
    version_1(server, &[]);
}

#[test]
fn every_client_signs_in_and_refreshes_through_the_server_at_oidc_provider() {
    let provider = Provider::with_pages();
    let servers = addresses()
        .map(|address| proxy(provider.issuer(), &provider.client(&callback(address)), address));
    let (library, installed) = servers.split_last().unwrap();
    libraries_sign_in(library);
    installed_clients_sign_in(installed, comes_back_after_a_revocation);
}

#[test]
fn every_client_signs_in_and_refreshes_through_the_server_at_canaille() {
    let addresses = addresses();
    let canaille = Issuing::python_with("canaille_provider.py", &addresses.map(callback));
    let issuer = canaille.ready["issuer"].as_str().unwrap();
    let servers = addresses.map(|address| proxy(issuer, &canaille.ready["sign_in"], address));
    let (library, installed) = servers.split_last().unwrap();
    libraries_sign_in(library);
    installed_clients_sign_in(installed, |client, server| {
        signs_in_and_refreshes(client, server, Identity::Registered);
    });
}
