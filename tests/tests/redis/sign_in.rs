//! Signing in while the server is killed and started again, with records in Redis.

use portcullis::guard::keys::new_key;
use portcullis_tests::idp::Idp;
use portcullis_tests::restarted::{Restarted, signs_in};

use super::server::Redis;

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");

/// What a sign-in leaves in Redis, where users sign in as `auth` says.
fn left_in_redis(auth: &[&str]) {
    let redis = Redis::start(&["--appendonly", "yes", "--rdbcompression", "no"]);
    let (url, key) = (redis.url(), new_key().unwrap());
    let arguments = [auth, &["--store", &url]].concat();
    let mut restarted = Restarted::start(TESTBED, &arguments, key.expose());
    let left = signs_in(&mut restarted);
    assert_eq!(redis.cli(&["SAVE"]), "OK");
    let resting: Vec<u8> = redis.files().into_iter().flat_map(|(_, bytes)| bytes).collect();
    left.is_not_in(&resting, key.expose());
}

#[test]
fn e23_a_sign_in_outlives_the_server_at_each_step_and_redis_says_nothing_of_it() {
    left_in_redis(&["--auth", "login"]);
}

#[test]
fn e23_so_does_one_at_an_identity_provider() {
    let idp = Idp::of_alice();
    let flags = idp.flags("proxy");
    left_in_redis(&flags.iter().map(String::as_str).collect::<Vec<_>>());
}
