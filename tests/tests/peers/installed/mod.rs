//! Clients as people install them sign in at the server, by their own commands, files and
//! browser; `tests/peers/installed` pins their versions.

pub(crate) mod clients;
mod conversation;
mod desk;

use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis_tests::driver::Testbed;

use self::clients::Installed;
use self::desk::Desk;
pub(crate) use self::desk::Identity;
use crate::TESTBED;
use crate::sign_in::revoked;

/// Some listen for the browser's return at a port that never changes: one at a time.
static PORTS: [(&str, Mutex<()>); 2] =
    [(clients::OPENCODE.name, Mutex::new(())), (clients::INSPECTOR.name, Mutex::new(()))];

/// A client, its user and the server.
struct Story<'a> {
    client: &'a Installed,
    desk: Desk,
    server: &'a Testbed,
    _port: Option<MutexGuard<'static, ()>>,
}

impl<'a> Story<'a> {
    fn of(client: &'a Installed, server: &'a Testbed, identity: Identity) -> Self {
        let port = PORTS.iter().find(|(name, _)| *name == client.name);
        let port = port.map(|(_, port)| port.lock().unwrap_or_else(PoisonError::into_inner));
        let desk = Desk::new(server.url(), identity);
        (client.configure)(&desk);
        Self { client, desk, server, _port: port }
    }

    fn signs_in(&self) {
        if let Some(sign_in) = self.client.sign_in {
            sign_in(&self.desk).unwrap_or_else(|error| panic!("{}", self.told(&error)));
        }
    }

    /// A call that goes well, as Alice, after the browser was opened so often.
    fn calls(&self, visits: usize) {
        let since = self.server.log().len();
        let said = (self.client.call)(&self.desk);
        let told = self.told(&format!("{said:?}"));
        assert!(said.is_ok_and(|said| said.contains(self.client.says)), "{told}");
        assert_eq!(self.desk.visits(), visits, "{told}");
        let logged = format!("subject=\"alice\" client_id=\"{}", self.desk.identity.logged());
        assert!(self.server.log()[since..].contains(&logged), "{told}");
    }

    /// Refreshes once its access token has ended, and then revokes its grant. Gives how often the
    /// browser was opened.
    fn refreshes_and_ends(&self, folder: &str) -> usize {
        let Self { client, desk, server, .. } = self;
        // What registers again under the same id has the refresh token of that id.
        let refreshes = client.refreshes || desk.identity.id().is_some();
        let first = desk.kept(folder);
        desk.end_access_token(folder);
        let visits = if refreshes { 1 } else { 2 };
        self.calls(visits);
        let second = desk.kept(folder);
        assert_ne!(second.refresh_token, first.refresh_token, "{}", client.name);
        assert_eq!(second.client_id() == first.client_id(), refreshes, "{}", client.name);
        revoked(client.name, server, &second.refresh_token, &second.client_id(), None);
        visits
    }

    fn told(&self, what: &str) -> String {
        let (client, browser) = (self.client.name, self.desk.browser_log());
        format!("{client}: {what}\n{browser}\n{}", self.server.log())
    }
}

fn at_the_server_itself(client: &Installed) {
    comes_back_after_a_revocation(client, &Testbed::start(TESTBED, &["--auth", "login"]));
}

/// What every client does, wherever its user signs in and however the server knows it: it signs in,
/// calls, refreshes, and its grant ends.
pub(crate) fn signs_in_and_refreshes(client: &Installed, server: &Testbed, identity: Identity) {
    let story = Story::of(client, server, identity);
    story.signs_in();
    story.calls(1);
    if let Some(folder) = client.keeps {
        story.refreshes_and_ends(folder);
    }
}

/// The same for one that registers, which then goes on by itself, and signs in again.
pub(crate) fn comes_back_after_a_revocation(client: &Installed, server: &Testbed) {
    let story = Story::of(client, server, Identity::Registered);
    story.signs_in();
    story.calls(1);
    let Some(folder) = client.keeps else {
        return story.calls(2);
    };
    // It signs in once, and goes on in a process of its own.
    story.calls(1);

    let visits = story.refreshes_and_ends(folder);
    story.desk.end_access_token(folder);
    if let Some(words) = client.told {
        let refused = (client.call)(&story.desk).unwrap_err();
        assert!(refused.contains(words), "{}", story.told(&refused));
        assert_eq!(story.desk.visits(), visits, "{}", story.told(&refused));
        story.signs_in();
    }
    story.calls(visits + 1);
}

#[test]
fn claude_code_signs_in_refreshes_and_comes_back_after_a_revocation() {
    at_the_server_itself(&clients::CLAUDE_CODE);
}

#[test]
fn codex_signs_in_refreshes_and_comes_back_after_a_revocation() {
    at_the_server_itself(&clients::CODEX);
}

#[test]
fn opencode_signs_in_refreshes_and_comes_back_after_a_revocation() {
    at_the_server_itself(&clients::OPENCODE);
}

#[test]
fn mcporter_signs_in_refreshes_and_comes_back_after_a_revocation() {
    at_the_server_itself(&clients::MCPORTER);
}

#[test]
fn mcp_remote_signs_in_refreshes_and_comes_back_after_a_revocation() {
    at_the_server_itself(&clients::MCP_REMOTE);
}

#[test]
fn inspector_signs_in_refreshes_and_comes_back_after_a_revocation() {
    at_the_server_itself(&clients::INSPECTOR);
}

/// It refuses metadata of any other URL than the one that it was given.
#[test]
fn rule_04_inspector_signs_in_at_the_url_with_a_slash_at_its_end() {
    let server = Testbed::start(TESTBED, &["--auth", "login"]);
    let mut story = Story::of(&clients::INSPECTOR, &server, Identity::Registered);
    story.desk.url.push('/');
    story.calls(1);
}

#[test]
fn fastmcps_command_signs_in_refreshes_and_comes_back_after_a_revocation() {
    at_the_server_itself(&clients::FASTMCP);
}
