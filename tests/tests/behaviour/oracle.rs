//! What is hidden leaves no trace: not in lists, uses, cursors, notifications or what the
//! server says of itself, in any version, whatever it is that hides it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::component::ComponentKind;
use portcullis::visibility::Visibility;
use portcullis_tests::driver::{Response, Session, Stream, Testbed, initialize, request};
use portcullis_tests::oracle::{
    ALICE, BOB, Cause, beacon, guarded, key, list, open, uses, vault, with_unlock, with_vaults,
};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

const WITH_SESSIONS: &str = "2025-11-25";
/// Two full pages of them, with something hidden after each.
const VISIBLE: [&str; 4] = ["common", "public", "normal", "direct"];

/// Somebody who looks at a server, without a session (2026-07-28) or in one (2025-11-25).
struct Eye<'a> {
    testbed: &'a Testbed,
    token: Option<&'a str>,
    session: Option<String>,
}

impl<'a> Eye<'a> {
    fn stateless(testbed: &'a Testbed, token: Option<&'a str>) -> Self {
        Self { testbed, token, session: None }
    }

    /// Both ways to look.
    fn both(testbed: &'a Testbed, token: Option<&'a str>) -> [Self; 2] {
        let session = Some(testbed.begin(token, WITH_SESSIONS));
        [Self::stateless(testbed, token), Self { testbed, token, session }]
    }

    fn in_session(&self) -> Option<Session<'_>> {
        self.session.as_ref().map(|id| self.testbed.session(self.token, id))
    }

    fn ask(&self, method: &str, params: Value) -> Response {
        match self.in_session() {
            Some(session) => session.post(&[], &request(1, method, params)),
            None => self.testbed.rpc(self.token, method, params),
        }
    }

    fn stream(&self) -> Stream {
        match self.in_session() {
            Some(session) => session.stream(),
            None => {
                let all = json!({
                    "toolsListChanged": true,
                    "resourcesListChanged": true,
                    "promptsListChanged": true,
                });
                let params = json!({"notifications": all});
                let mut stream =
                    self.testbed.rpc_stream(self.token, "subscriptions/listen", params);
                assert_eq!(told(&mut stream), "notifications/subscriptions/acknowledged");
                stream
            }
        }
    }

    /// Everything that comes back for each use of what has `word` in its name, but the date
    /// and the word.
    fn uses(&self, kind: ComponentKind, word: &str) -> Vec<String> {
        let answers = uses(kind, word).into_iter().map(|(method, params)| self.ask(method, params));
        answers.map(|response| whole(&response).replace(word, "WORD")).collect()
    }

    /// Everything that comes back for the page after `key`.
    fn page_after(&self, kind: ComponentKind, key: &str) -> String {
        whole(&self.ask(list(kind).0, json!({"cursor": URL_SAFE_NO_PAD.encode(key)})))
    }

    /// Everything that comes back for each page of each list.
    fn lists(&self) -> Vec<String> {
        let mut pages = Vec::new();
        for kind in ComponentKind::ALL {
            let mut cursor = None;
            loop {
                let params = cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
                let page = self.ask(list(kind).0, params);
                assert_eq!(page.status, 200, "{}", page.body);
                pages.push(whole(&page));
                match &page.json()["result"]["nextCursor"] {
                    Value::Null => break,
                    next => cursor = Some(next.clone()),
                }
            }
        }
        pages
    }
}

/// The method of the next message, which has to come.
fn told(stream: &mut Stream) -> String {
    let message = stream.message(Duration::from_secs(10));
    let message = message.unwrap_or_else(|| panic!("nothing came: {:?}", stream.response));
    message["method"].as_str().unwrap().to_owned()
}

/// A whole response but its date, and the id of the session that it begins.
fn whole(response: &Response) -> String {
    let headers = response.headers.iter();
    let headers = headers.filter(|(name, _)| name != "date" && name != "mcp-session-id");
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{}\n{}\n\n{}", response.status, headers.join("\n"), response.body)
}

#[test]
fn a01_a05_whatever_hides_it_its_use_is_the_use_of_what_does_not_exist() {
    let guarded = Served::start(with_unlock(guarded(&VISIBLE, &Cause::ALL)).build().unwrap());
    let open = Served::start(open(&VISIBLE, &Cause::ALL).build().unwrap());
    let bob = Eye::both(&guarded, BOB).map(|eye| (eye, &Cause::OF_BOB[..]));
    let nobody = Eye::both(&open, None).map(|eye| (eye, &Cause::ALL[..]));
    for (eye, causes) in bob.iter().chain(&nobody) {
        for kind in ComponentKind::ALL {
            for cause in *causes {
                let hidden = eye.uses(kind, cause.word());
                assert_eq!(hidden, eye.uses(kind, &cause.missing()), "{kind} {cause:?}");
                for answer in hidden {
                    assert!(answer.contains(r#""error""#), "{kind} {cause:?}: {answer}");
                }
            }
        }
    }
    for alice in &Eye::both(&guarded, ALICE) {
        let unlocked = alice.ask("tools/call", json!({"name": "unlock"}));
        assert_eq!(unlocked.json()["result"]["isError"], Value::Bool(false), "{}", unlocked.body);
        for kind in ComponentKind::ALL {
            for cause in Cause::ALL {
                let (there, missing) =
                    (alice.uses(kind, cause.word()), alice.uses(kind, &cause.missing()));
                for (there, missing) in there.iter().zip(&missing) {
                    assert_ne!(there, missing, "{kind} {cause:?}: it would not be noticed");
                }
            }
        }
    }
}

#[test]
fn lists_are_those_of_a_server_that_never_had_what_is_hidden() {
    let servers = |causes: &[Cause]| {
        let guarded = guarded(&VISIBLE, causes).build().unwrap();
        (Served::start(guarded), Served::start(open(&VISIBLE, causes).build().unwrap()))
    };
    let (hiding, hiding_all) = (servers(&Cause::OF_BOB).0, servers(&Cause::ALL).1);
    let (never, never_open) = servers(&[]);
    let lists = |testbed, token| Eye::both(testbed, token).map(|eye| eye.lists());
    assert_eq!(lists(&hiding, BOB), lists(&never, BOB));
    assert_eq!(lists(&hiding_all, None), lists(&never_open, None));
    let [stateless, in_session] = lists(&never, BOB);
    assert_eq!((stateless.len(), in_session.len()), (8, 8), "two pages of each kind");
    assert_ne!(lists(&hiding, ALICE), lists(&never, ALICE), "it would not be noticed");
}

#[test]
fn a_cursor_that_names_what_is_hidden_is_one_that_names_nothing() {
    let guarded = Served::start(guarded(&VISIBLE, &Cause::ALL).build().unwrap());
    let open = Served::start(open(&VISIBLE, &Cause::ALL).build().unwrap());
    let page = |eye: &Eye<'_>, kind, word: &str| eye.page_after(kind, &key(kind, word));
    let bob = Eye::both(&guarded, BOB).map(|eye| (eye, &Cause::OF_BOB[..]));
    let nobody = Eye::both(&open, None).map(|eye| (eye, &Cause::ALL[..]));
    for (eye, causes) in bob.iter().chain(&nobody) {
        for kind in ComponentKind::ALL {
            for cause in *causes {
                let [hidden, missing] =
                    [cause.word(), &cause.missing()].map(|word| page(eye, kind, word));
                assert_eq!(hidden, missing, "{kind} {cause:?}");
                assert!(hidden.contains("-32602"), "{hidden}");
            }
        }
    }
    for alice in &Eye::both(&guarded, ALICE) {
        for kind in ComponentKind::ALL {
            for cause in [Cause::Scopes, Cause::Claim, Cause::Server, Cause::Caller] {
                let there = page(alice, kind, cause.word());
                assert_ne!(there, page(alice, kind, &cause.missing()), "it would not be noticed");
            }
        }
    }
}

#[test]
fn what_a_server_says_of_itself_does_not_depend_on_what_is_hidden() {
    let hiding = Served::start(guarded(&[], &Cause::OF_BOB).build().unwrap());
    let never = Served::start(guarded(&[], &[]).build().unwrap());
    let said = |testbed: &Testbed| {
        let [stateless, in_session] = Eye::both(testbed, BOB);
        let mut said = [stateless.lists(), in_session.lists()].concat();
        said.push(whole(&stateless.ask("server/discover", json!({}))));
        for version in ["2025-03-26", "2025-06-18", WITH_SESSIONS] {
            said.push(whole(&testbed.outside(BOB).post(&[], &initialize(version))));
        }
        said
    };
    assert_eq!(said(&hiding), said(&never));
    assert!(said(&hiding).concat().contains(r#""capabilities""#));
}

/// Changes what Bob may not see whatever is enabled, and then a beacon that he may see, twice:
/// both have to come, and nothing before, between or with them.
#[test]
fn nobody_is_told_that_something_changed_which_they_may_not_see() {
    let server = with_unlock(with_vaults(guarded(&VISIBLE, &[Cause::Disabled]))).build().unwrap();
    let visibility = server.visibility();
    let served = Served::start(server);
    let bobs = Eye::both(&served, BOB);
    let mut bob = bobs.each_ref().map(Eye::stream);
    for kind in ComponentKind::ALL {
        let (word, other, of_other) = match kind {
            ComponentKind::Tool => ("tools", "prompts", ComponentKind::Prompt),
            ComponentKind::Resource | ComponentKind::ResourceTemplate => {
                ("resources", "tools", ComponentKind::Tool)
            }
            ComponentKind::Prompt => ("prompts", "resources", ComponentKind::ResourceTemplate),
            other => panic!("no words for a {other}"),
        };
        let [of_vault, of_beacon] =
            [word, other].map(|word| format!("notifications/{word}/list_changed"));

        let alices = Eye::both(&served, ALICE);
        let mut alice = alices.each_ref().map(Eye::stream);
        visibility.enable(vault(kind)).unwrap();
        for stream in &mut alice {
            assert_eq!(told(stream), of_vault, "{kind}: it would not be noticed");
        }
        // Her word is for herself; his own changes nothing of what he may see.
        for (eye, tool) in
            alices.iter().map(|eye| (eye, "unlock")).chain(bobs.iter().map(|eye| (eye, "knock")))
        {
            let called = eye.ask("tools/call", json!({"name": tool}));
            assert_eq!(called.json()["result"]["isError"], Value::Bool(false), "{}", called.body);
        }
        for change in [Visibility::disable, Visibility::enable] {
            change(&visibility, beacon(of_other)).unwrap();
            for (stream, era) in bob.iter_mut().zip(["stateless", "in a session"]) {
                assert_eq!(told(stream), of_beacon, "{kind}, {era}");
            }
        }
    }
}
