//! Keys that seal what is stored: a new one takes over, the old one still opens until it is revoked.
//!
//! ```text
//! portcullis keys new --file /tmp/keys          # or cargo run --bin portcullis, in the checkout
//! export PORTCULLIS_KEY_FILE=/tmp/keys
//! cargo run --bin key_rotation -- seal alice "her refresh token" >/tmp/sealed
//! portcullis keys rotate
//! cargo run --bin key_rotation -- open alice </tmp/sealed   # with the old key
//! portcullis keys list                                      # its id is the last one
//! portcullis keys revoke <id>
//! cargo run --bin key_rotation -- open alice </tmp/sealed   # refused, with the key's id
//! ```

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis::guard::Environment;
use portcullis::guard::keys::KeyRing;
use portcullis::guard::seal::{Binding, open, seal};

fn main() -> Result<(), Box<dyn Error>> {
    let keys = KeyRing::from_env(&Environment::process())?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // What is sealed for alice opens for nobody else.
    let binding = |user: &str| Binding::new("refresh-token", [user]);
    match words[..] {
        ["seal", user, value] => {
            println!("{}", STANDARD.encode(seal(&keys, &binding(user), value.as_bytes())?));
        }
        ["open", user] => {
            let sealed = STANDARD.decode(std::io::read_to_string(std::io::stdin())?.trim())?;
            println!("{}", String::from_utf8(open(&keys, &binding(user), &sealed)?)?);
        }
        _ => return Err("seal <user> <value>, or open <user>".into()),
    }
    Ok(())
}
