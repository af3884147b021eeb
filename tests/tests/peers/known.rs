//! The same clients where nobody registers: their operator registered them, or they are the website
//! that publishes their metadata document (draft-ietf-oauth-client-id-metadata-document).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;

use portcullis::auth::{ClientPolicy, PreRegisteredClient, Registration};
use portcullis::danger::LoginProvider;
use portcullis::guard::Secret;
use portcullis::prelude::*;
use portcullis_tests::driver::{Testbed, free_address, root, run};
use portcullis_tests::served::Served;
use portcullis_tests::testbed;
use serde_json::Value;
use tempfile::TempDir;

use crate::identity_provider::Provider;
use crate::installed::clients::{ALL, Document, Installed};
use crate::installed::{Identity, signs_in_and_refreshes};
use crate::sign_in::{expect_refreshed, expect_revocable, sign_in_with, version_1};
use crate::{TESTBED, clients};

/// The id under which the operator registered a client.
const ID: &str = "the-app";

/// Where clients listen for their answer: the port of each is free.
const REDIRECT_URIS: [&str; 5] = [
    "http://localhost/callback",
    "http://127.0.0.1/callback",
    "http://localhost/oauth/callback",
    "http://127.0.0.1/oauth/callback",
    "http://127.0.0.1/mcp/oauth/callback",
];

/// Those that publish documents, over https, until they are dropped.
struct Websites {
    process: Child,
    documents: Vec<String>,
}

impl Websites {
    /// One of 127.0.0.1.
    fn start() -> Self {
        Self::with(&[&tls("server.key"), &tls("server.pem")])
    }

    fn with(arguments: &[&str]) -> Self {
        let mut process = Command::new("node")
            .arg(root().join("target/peers/node/website.mjs"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let documents = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{line:?}\nis it there? ./test fetches it"));
        Self { process, documents }
    }
}

impl Drop for Websites {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A key or certificate of tests, for 127.0.0.1.
fn tls(name: &str) -> String {
    let path = root().join("crates/portcullis-guard/vectors/tls").join(name);
    path.to_str().unwrap().to_owned()
}

/// Further flags of a server whose operator registered one client, and where no other gets in.
fn pre_registered() -> [String; 4] {
    let client = [&[ID], &REDIRECT_URIS[..]].concat().join(",");
    ["--registration".to_owned(), "off".to_owned(), "--client".to_owned(), client]
}

/// Those of one where clients have documents, and none registers.
const DOCUMENTS: [&str; 2] = ["--registration", "documents"];

/// A server whose users sign in at itself, and which trusts the websites that `authority` signed for.
fn login(further: &[&str], authority: &str) -> Testbed {
    let flags = [&["--auth", "login"], further].concat();
    Testbed::start_with(TESTBED, &flags, &[("SSL_CERT_FILE", authority)])
}

/// One whose users sign in at oidc-provider.
fn proxy(provider: &Provider, further: &[&str]) -> Testbed {
    let address = free_address();
    let client = provider.client(&format!("http://{address}/auth/callback"));
    let text = |name: &str| client[name].as_str().unwrap_or_else(|| panic!("{client}"));
    let flags = ["--auth", "proxy", "--idp", provider.issuer(), "--client-id", text("client_id")];
    let authority = tls("authority.pem");
    let variables =
        [("IDP_CLIENT_SECRET", text("client_secret")), ("SSL_CERT_FILE", authority.as_str())];
    Testbed::start_at(TESTBED, address, &[&flags[..], further].concat(), &variables)
}

/// Each library signs in, as the client `id`, refreshes, and ends its grant.
fn libraries_sign_in(server: &Testbed, id: &str, further: &[&str], secret: Option<&str>) {
    thread::scope(|scope| {
        for (name, client) in clients() {
            scope.spawn(move || {
                let seen =
                    sign_in_with(&client, &[server], "auto", &[&["--refresh"], further].concat());
                let who = format!("{name}\n{}\n{}", seen[0], server.log());
                let whoami = &seen[0]["whoami"];
                assert_eq!(
                    (&whoami["sub"], &whoami["client_id"]),
                    (&"alice".into(), &id.into()),
                    "{who}"
                );
                expect_refreshed(&who, &seen[0]["refreshed"], &Value::from(id));
                expect_revocable(&who, server, &seen[0]["refreshed"], secret);
            });
        }
    });
}

/// At the server itself, and through it at oidc-provider.
fn libraries_sign_in_everywhere(flags: &[&str], known: [&str; 2]) {
    let provider = Provider::with_pages();
    let server = login(flags, &tls("authority.pem"));
    libraries_sign_in(&server, known[1], &known, None);
    version_1(&server, &known);
    libraries_sign_in(&proxy(&provider, flags), known[1], &known, None);
}

#[test]
fn every_library_signs_in_as_a_client_that_its_operator_registered() {
    let flags = pre_registered();
    libraries_sign_in_everywhere(&flags.each_ref().map(String::as_str), ["--client-id", ID]);
}

#[test]
fn every_library_signs_in_as_the_website_that_publishes_its_document() {
    let website = Websites::start();
    libraries_sign_in_everywhere(&DOCUMENTS, ["--document", &website.documents[0]]);
}

/// Each has a way of its own to send it: in the body, or by Basic credentials.
#[test]
fn rule_22_every_library_proves_that_it_has_the_secret_of_its_client() {
    const SECRET: &str = "kZ3v9QmX_7pLr2tB-4wYc8NdHf6sGj1a";
    let client = PreRegisteredClient::new(ID, REDIRECT_URIS).secret(Secret::new(SECRET.to_owned()));
    let users = LoginProvider::new()
        .user("alice", Secret::new("dev-password-alice".to_owned()))
        .scopes(["read", "write", "admin"])
        .clients(ClientPolicy::new(Registration::Off).client(client));
    let server = Server::builder("peers").auth(users).components(components![testbed::whoami]);
    let server = Served::start(server.build().unwrap());
    let known = ["--client-id", ID, "--client-secret", SECRET];
    libraries_sign_in(&server, ID, &known, Some(SECRET));
}

/// Three at a time, each at a server of its own: those that have an identity of this kind.
fn installed_clients_sign_in(
    flags: &[&str],
    authority: &str,
    identity: impl Fn(&Installed) -> Option<Identity> + Sync,
) {
    let next = Mutex::new(ALL.into_iter());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(client) = next.lock().unwrap().next() else { return };
                    if let Some(identity) = identity(client) {
                        signs_in_and_refreshes(client, &login(flags, authority), identity);
                    }
                }
            });
        }
    });
}

#[test]
fn installed_clients_sign_in_as_clients_that_their_operator_registered() {
    let flags = pre_registered();
    let flags = flags.each_ref().map(String::as_str);
    installed_clients_sign_in(&flags, &tls("authority.pem"), |client| {
        client.takes_id.then_some(Identity::PreRegistered(ID))
    });
}

#[test]
fn installed_clients_sign_in_as_the_website_that_publishes_their_document() {
    let website = Websites::start();
    installed_clients_sign_in(&DOCUMENTS, &tls("authority.pem"), |client| {
        let told = client.document == Document::Told;
        told.then(|| Identity::Document(website.documents[0].clone()))
    });
}

/// The folder of what the test needs, once it is in namespaces of its own.
const INSIDE: &str = "PORTCULLIS_TESTS_INSIDE";

/// Their documents are at addresses that they know by heart, and their websites are not ours: in a
/// network without another machine, those names lead to this one.
#[test]
fn claude_code_and_codex_sign_in_as_the_websites_that_they_are_of() {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return claude_code_and_codex_sign_in(Path::new(&folder));
    }
    let folder = TempDir::new().unwrap();
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \\
            -subj /CN=authority -keyout authority.key -out authority.pem
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \\
            -subj /CN=websites -addext subjectAltName=DNS:claude.ai,DNS:chatgpt.com \\
            -addext basicConstraints=critical,CA:FALSE \\
            -CA authority.pem -CAkey authority.key -keyout server.key -out server.pem
        printf '127.0.0.1 localhost\\n1.2.3.4 claude.ai chatgpt.com\\n' >hosts
        mount --bind hosts /etc/hosts
        ip link set lo up
        ip address add 1.2.3.4/32 dev lo
        exec \"$1\" --exact known::claude_code_and_codex_sign_in_as_the_websites_that_they_are_of";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--mount", "sh", "-ec", script, "sh"]);
    command.arg(std::env::current_exe().unwrap()).env(INSIDE, folder.path());
    let said = run(command.current_dir(folder.path())).unwrap_or_else(|error| panic!("{error}"));
    assert!(said.contains("1 passed"), "{said}");
}

fn claude_code_and_codex_sign_in(folder: &Path) {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let own = |client: &Installed| match client.document {
        Document::Own(document) => Some(document),
        Document::Never | Document::Told => None,
    };
    let (key, certificate) = (at("server.key"), at("server.pem"));
    let mut arguments = vec![key.as_str(), &certificate, "443"];
    arguments.extend(ALL.into_iter().filter_map(own));
    let websites = Websites::with(&arguments);
    assert_eq!(websites.documents.len(), 2);
    installed_clients_sign_in(&DOCUMENTS, &at("authority.pem"), |client| {
        Some(Identity::Document(format!("https://{}", own(client)?)))
    });
}
