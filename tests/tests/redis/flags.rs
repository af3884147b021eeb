//! What the demo's flags and variables make of a Redis.

use std::process::{Command, Stdio};

use portcullis::guard::keys::new_key;
use portcullis_tests::driver::Testbed;
use serde_json::json;

use super::server::{Redis, until};

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");
const ALICE: Option<&str> = Some("dev-token-alice");

fn tools(testbed: &Testbed) -> String {
    testbed.result(ALICE, "tools/list", json!({}))["tools"].to_string()
}

#[test]
fn two_servers_share_what_was_unlocked_and_redis_holds_it_sealed() {
    let redis = Redis::start(&["--requirepass", "hunter2"]);
    let keys = new_key().unwrap();
    let url = format!("redis://:hunter2@127.0.0.1:{}", redis.port());
    let variables = [("PORTCULLIS_KEYS", keys.expose().as_str()), ("PORTCULLIS_STORE", &url)];
    let [one, other] = [(); 2].map(|()| Testbed::start_with(TESTBED, &[], &variables));
    one.wait_for_log(&format!("in Redis, sealed with the key {}", &keys.expose()[..16]));
    assert!(!tools(&other).contains("wipe_database"));
    one.call(ALICE, "unlock_admin", json!({}));
    assert!(tools(&one).contains("wipe_database"));
    until("the other server knows it", || tools(&other).contains("wipe_database"));
    let keys = redis.keys();
    assert_eq!(keys.len(), 2, "the canary, and what was unlocked: {keys:?}");
    for record in keys {
        let resting = redis.cli(&["--no-raw", "GET", &record]);
        assert!(!resting.contains("admin") && !resting.contains("alice"), "{resting}");
    }
    assert!(!one.log().contains("hunter2"));
}

#[test]
fn e23_a_replica_with_other_keys_does_not_start() {
    let redis = Redis::start(&[]);
    let [own, other] = [new_key().unwrap(), new_key().unwrap()];
    let url = redis.url();
    let variables = [("PORTCULLIS_KEYS", own.expose().as_str()), ("PORTCULLIS_STORE", &url)];
    let _one = Testbed::start_with(TESTBED, &[], &variables);
    let mut command = Command::new(TESTBED);
    command.args(["--listen", "127.0.0.1:0", "--store", &url]).stdin(Stdio::null());
    let output = command.env("PORTCULLIS_KEYS", other.expose()).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(&own.expose()[..16]), "{message}");
    assert!(!message.contains("pck1_"), "{message}");
}

#[test]
fn a_redis_without_keys_and_a_password_on_the_command_line_do_not_start() {
    let redis = Redis::start(&[]);
    let with_password = format!("redis://:hunter2@127.0.0.1:{}", redis.port());
    for (store, reason) in [
        (redis.url(), "portcullis keys new"),
        (with_password, "set the variable PORTCULLIS_STORE"),
        ("redis:/hunter2@localhost".to_owned(), "--store: write memory, file, redis://"),
    ] {
        let mut command = Command::new(TESTBED);
        command.args(["--listen", "127.0.0.1:0", "--store", &store]).stdin(Stdio::null());
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{store}: {message}");
        assert!(message.contains(reason) && !message.contains("hunter2"), "{store}: {message}");
    }
    assert_eq!(redis.keys(), [""; 0]);
}
