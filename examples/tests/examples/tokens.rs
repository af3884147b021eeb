//! Each example of tokens that are no JWTs lets in who it says.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis::guard::keys::KeyFile;
use portcullis_tests::driver::Testbed;
use serde_json::{Value, json};

use crate::{assert_absent, names_of};

/// An issuer on loopback that knows one token, while it is well.
fn issuer(well: &Arc<Mutex<bool>>) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", socket.local_addr().unwrap());
    let well = Arc::clone(well);
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut part = [0; 4096];
            // The form is the end of the request.
            while !String::from_utf8_lossy(&request).contains("token_type_hint=access_token") {
                match stream.read(&mut part) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => request.extend_from_slice(&part[..read]),
                }
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let good = request.contains("token=opaque%3Aalice&");
            let status = if *well.lock().unwrap() { 200 } else { 500 };
            let body = if good { alice() } else { json!({"active": false}) }.to_string();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    origin
}

fn alice() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "active": true, "sub": "alice", "aud": "https://mcp.example.com/mcp", "exp": now + 300,
        "scope": "read", "client_id": "app", "token_type": "Bearer",
    })
}

#[test]
fn introspection_asks_the_issuer_and_lets_nobody_in_without_an_answer() {
    let well = Arc::new(Mutex::new(true));
    let origin = issuer(&well);
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_introspection"),
        &[
            ("INTROSPECTION_ENDPOINT", &format!("{origin}/introspect")),
            ("ISSUER", &origin),
            ("AUDIENCE", "https://mcp.example.com/mcp"),
            ("CLIENT_ID", "mcp-server"),
            ("CLIENT_SECRET", "hunter2"),
            ("LOOPBACK_ISSUER", "true"),
        ],
    );
    let alice = Some("opaque:alice");
    assert_eq!(names_of(&server, alice), ["whoami"]);
    let whoami = server.call(alice, "whoami", json!({}));
    assert_eq!(whoami["structuredContent"], json!(["alice", "read"]));
    assert_absent(&server, alice, "purge");
    assert_eq!(server.rpc(Some("opaque:made-up"), "tools/list", json!({})).status, 401);

    *well.lock().unwrap() = false;
    assert_eq!(server.rpc(Some("opaque:bob"), "tools/list", json!({})).status, 503);
    server.wait_for_log("introspection was answered with 500");
    assert_eq!(server.rpc(alice, "tools/list", json!({})).status, 200, "known for a minute");
    for secret in ["hunter2", "opaque:"] {
        assert!(!server.log().contains(secret), "{}", server.log());
    }
}

#[test]
fn api_keys_are_minted_rotated_and_revoked_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("api-keys");
    let program = env!("CARGO_BIN_EXE_api_keys");
    let change = |words: &[&str]| {
        let output = Command::new(program).args(words).env("API_KEYS", &file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let first = change(&["new", "reports", "read"]);
    let server = Testbed::on_free_port_with(program, &[("API_KEYS", file.to_str().unwrap())]);
    let status = |key: &str| server.rpc(Some(key), "tools/list", json!({})).status;
    let becomes = |key: &str, wanted: u16| {
        let started = Instant::now();
        while status(key) != wanted {
            assert!(started.elapsed() < Duration::from_secs(10), "{wanted} never came");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    assert_eq!(names_of(&server, Some(&first)), ["whoami"]);
    assert_eq!(status(&first[..first.len() - 1]), 401);
    assert_eq!(server.rpc(None, "tools/list", json!({})).status, 401);

    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&first), "{text}");
    let id = text.split("\"id\":\"").nth(1).unwrap()[..16].to_owned();
    let second = change(&["rotate", &id]);
    becomes(&second, 200);
    assert_eq!(status(&first), 200, "both are good for an hour");
    change(&["revoke", &id]);
    becomes(&first, 401);
    assert_eq!(status(&second), 200);
    assert!(!server.log().contains(&first) && !server.log().contains(&second));
}

#[test]
fn key_rotation_opens_with_the_old_key_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::new(folder.path().join("keys"));
    let run = |words: &[&str], input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_key_rotation"));
        command.args(words).env("PORTCULLIS_KEY_FILE", folder.path().join("keys"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refused to start reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8(output.stderr).unwrap()),
        }
    };
    let absent = run(&["seal", "alice", "a token"], "").unwrap_err();
    assert!(absent.contains("No such file"), "{absent}");
    let old = file.create().unwrap();
    let sealed = run(&["seal", "alice", "a token"], "").unwrap();
    assert!(!sealed.contains("token"), "{sealed}");

    file.rotate().unwrap();
    assert_eq!(run(&["open", "alice"], &sealed).unwrap(), "a token\n");
    assert!(run(&["open", "bob"], &sealed).is_err(), "it is alice's");
    file.revoke(old).unwrap();
    let refused = run(&["open", "alice"], &sealed).unwrap_err();
    assert!(
        refused.contains(&old.to_string()) && refused.to_lowercase().contains("revoked"),
        "{refused}"
    );
    let resealed = run(&["seal", "alice", "another"], "").unwrap();
    assert_eq!(run(&["open", "alice"], &resealed).unwrap(), "another\n");
}
