//! What people see in Chromium at the server's own pages, and where these lead. `walk.mjs` does what
//! a person does; pictures of the pages are in `target/browser`.

use std::process::Command;

use portcullis::auth::{Branding, Consent, OidcProxy};
use portcullis::prelude::*;
use portcullis::testing::{IdentityProvider, TestUser};
use portcullis_tests::driver::{Testbed, root, run};
use portcullis_tests::served::Served;
use portcullis_tests::testbed;
use serde_json::{Value, json};

use crate::TESTBED;

/// 32 pixels wide, 16 high, and green.
const LOGO: &[u8] = b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\
    \x20\x00\x00\x00\x10\x08\x02\x00\x00\x00\xf8\x62\xea\x0e\x00\x00\x00\x1d\x49\
    \x44\x41\x54\x78\xda\x63\xd8\xf0\x80\x81\xa6\x88\x61\xd4\x82\x51\x0b\x46\x2d\
    \x18\xb5\x60\xd4\x82\xa1\x60\x01\x00\xf4\x36\x20\x2e\xc1\x3f\xf8\xdf\x00\x00\
    \x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";

/// What a person saw who took one of the walks, where Alice signs in with a password.
fn walk(name: &str) -> Value {
    walk_at(&Testbed::start(TESTBED, &["--auth", "login"]), name)
}

fn walk_at(testbed: &Testbed, name: &str) -> Value {
    let pictures = root().join("target/browser");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut command = Command::new("node");
    command.arg(root().join("target/peers/browser/walk.mjs")).arg(testbed.url());
    command.arg(pictures).arg(name);
    let output = run(&mut command).unwrap_or_else(|error| panic!("{error}\n{}", testbed.log()));
    let seen: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(seen["stopped"], json!([]), "the policy of a page stopped something: {seen}");
    for page in seen["pages"].as_array().into_iter().flatten() {
        assert_eq!(page["faults"], json!([]), "axe-core: {page}");
        assert_eq!(page["language"], "en", "{page}");
    }
    seen
}

/// The headings of the pages.
fn headings(seen: &Value) -> Vec<&str> {
    seen["pages"].as_array().unwrap().iter().map(|page| page["heading"].as_str().unwrap()).collect()
}

#[test]
fn a_person_signs_in_and_the_program_hears_of_it() {
    let seen = walk("allow");
    assert_eq!(seen["opened"]["status"], 200);
    let heard = &seen["heard"][0];
    assert_eq!([&heard["state"], &heard["error"]], [&json!("a state"), &Value::Null], "{seen}");
    assert!(heard["code"].as_str().unwrap().starts_with("pcac_"), "{seen}");
    let text = seen["pages"][0]["text"].as_str().unwrap();
    for said in ["calls itself A program", "on your own computer, at 127.0.0.1:", "read"] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
}

#[test]
fn a_person_denies_and_the_program_hears_of_that() {
    let heard = &walk("deny")["heard"];
    assert_eq!(heard[0]["error"], "access_denied");
    assert_eq!([&heard[0]["code"], &heard[1]], [&Value::Null; 2]);
}

#[test]
fn a_wrong_password_is_said_and_the_right_one_goes_on() {
    let seen = walk("wrong_password");
    assert_eq!(seen["alert"], "The user name or the password is not right.");
    assert_eq!([&seen["kept"], &seen["forgotten"]], ["alice", ""]);
    assert!(seen["heard"][0]["code"].is_string(), "{seen}");
}

#[test]
fn a_sign_in_leaves_the_page_for_an_app() {
    let seen = walk("app");
    let left: Vec<_> =
        seen["left"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    assert!(
        left[0].starts_with("cursor://anysphere.cursor-mcp/oauth/callback?code=pcac_"),
        "{seen}"
    );
    assert!(left[1].starts_with("claude://oauth/callback?code=pcac_"), "{seen}");
    // Chromium holds the form to it, and the walk notices.
    assert_eq!(left[2], "nowhere", "{seen}");
    assert_ne!(seen["stopped_by_another_policy"], json!([]));
}

#[test]
fn a_form_without_its_cookie_is_too_old() {
    let seen = walk("expired");
    assert_eq!([&seen["status"], &seen["heard"]], [&json!(400), &json!([])]);
    assert_eq!(headings(&seen), ["This page is too old"]);
}

#[test]
fn n01_people_read_in_words_that_they_are_refused() {
    let seen = walk("refused");
    assert_eq!(seen["statuses"], json!([421, 421, 400, 405, 403]));
    for media_type in seen["types"].as_array().unwrap() {
        assert_eq!(media_type, "text/html; charset=utf-8", "{seen}");
    }
    assert_eq!(
        headings(&seen),
        [
            "This server has another address",
            "This server has another address",
            "This server does not know your program",
            "There is nothing to see here",
            "This came from another page",
        ]
    );
    for page in seen["pages"].as_array().unwrap() {
        assert!(page["text"].as_str().unwrap().contains("Reference for whoever"), "{page}");
    }
    assert_eq!(seen["heard"], json!([]));
}

/// What a person saw where users sign in at a provider, as Alice.
fn walk_at_provider(name: &str, consent: Consent) -> Value {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let idp = runtime.block_on(IdentityProvider::start()).unwrap();
    idp.sign_in_as(TestUser::new("alice"));
    let proxy = OidcProxy::discover(idp.issuer(), idp.client_id(), idp.client_secret());
    let proxy = proxy.allow_loopback_idp().provider_name("Example Accounts").scopes(["read"]);
    let proxy = proxy.consent(consent);
    let branding = Branding::new().title("Example Ltd").logo(LOGO).accent_color("#b0e000");
    let proxy = proxy.name("Notes").branding(branding).scope_description("read", "Read your notes");
    let server = Server::builder("peers").auth(proxy);
    let server = server.components(components![testbed::whoami]).build().unwrap();
    walk_at(&Served::start(server), name)
}

#[test]
fn a_person_signs_in_at_a_provider_to_which_a_page_leads_on() {
    let seen = walk_at_provider("provider", Consent::default());
    let asks = "Allow access to Notes?";
    assert_eq!(headings(&seen), [asks, asks, "Going on at Example Accounts"]);
    let text = seen["pages"][0]["text"].as_str().unwrap();
    for said in ["you sign in at Example Accounts next", "Read your notes read"] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    let heard = seen["heard"].as_array().unwrap();
    assert_eq!(heard.len(), 2, "{seen}");
    let code = heard[0]["code"].as_str();
    assert!(code.is_some_and(|code| code.starts_with("pcac_")), "{seen}");
    assert_eq!(heard[1]["error"], "access_denied", "{seen}");
    let left = seen["left"].as_str().unwrap();
    assert!(left.starts_with("cursor://anysphere.cursor-mcp/oauth/callback?code=pcac_"), "{seen}");
}

/// Chromium tells a redirect of another site from a typed address as little as the server can:
/// `Sec-Fetch-Site` is `none` for both.
#[test]
fn o10_o11_a_website_that_was_allowed_is_asked_about_again_where_a_page_leads_there() {
    let seen = walk_at_provider("again", Consent::Remembered);
    let told = seen["told"].as_array().unwrap();
    assert_eq!(told.len(), 3, "once allowed, once typed, once redirected: {seen}");
    for answer in told {
        assert!(answer["code"].as_str().unwrap().starts_with("pcac_"), "{seen}");
    }
    assert_eq!(headings(&seen), ["Allow access to Notes?"; 3]);
}

#[test]
fn a_person_sees_what_she_allowed_and_takes_it_back() {
    let seen = walk("connections");
    let text = |page: usize| seen["pages"][page]["text"].as_str().unwrap();
    assert_eq!(seen["pages"].as_array().unwrap().len(), 5);
    for page in [1, 2] {
        assert!(text(page).contains("Claude Code (portcullis)"), "{}", text(page));
    }
    assert!(!text(3).contains("Claude Code"), "{}", text(3));
}

#[test]
fn the_page_for_browsers_at_the_endpoint_is_for_everybody() {
    let seen = walk("connect");
    assert_eq!(headings(&seen), ["portcullis-testbed"; 4]);
}

#[test]
fn the_page_that_asks_is_for_everybody_in_light_and_in_the_dark() {
    let seen = walk("looks");
    assert_eq!(seen["pages"].as_array().unwrap().len(), 4);
    assert!(headings(&seen).iter().all(|heading| heading.starts_with("Allow access to 127.0.0.1")));
}

#[test]
fn o17_a_name_from_right_to_left_stays_in_its_place_and_the_page_may_be_turned() {
    let seen = walk("right_to_left");
    assert_eq!(seen["isolated"], 1, "{seen}");
    assert_eq!(seen["sides"]["borderLeftWidth"], "0px", "{seen}");
    assert_ne!(seen["sides"]["borderRightWidth"], "0px", "{seen}");
}

#[test]
fn on_a_phone_all_is_seen_at_once() {
    let seen = walk("phone");
    assert!(seen["ends"].as_f64().unwrap() < 844.0, "below the fold: {seen}");
    assert_eq!(seen["width"], 390, "it has to be moved sideways: {seen}");
    // WCAG 2.2, 2.5.8 asks for 24, and 2.5.5 for 44.
    assert!(seen["smallest"].as_f64().unwrap() >= 44.0, "{seen}");
}
