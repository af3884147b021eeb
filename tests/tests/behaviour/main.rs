//! What a user sees over a live port and over stdio, by behaviour.

mod access;
mod architecture;
mod arguments;
mod audit;
mod checks;
mod connect_page;
mod demo;
mod deploying;
mod documents;
mod early_answers;
mod envelope;
mod errors;
mod front;
mod limits;
mod local_user;
mod log_pipe;
mod logged;
mod newcomer;
mod oracle;
mod public_enums;
mod reload;
mod schemas;
mod sessions;
mod sign_in;
mod signing;
mod stdio;
mod storage;
mod threats;
mod tokens;
mod values;
mod visibility;
mod words;

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");
const ALICE: Option<&str> = Some("dev-token-alice");
const BOB: Option<&str> = Some("dev-token-bob");
