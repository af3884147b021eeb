//! Sections 2 and 15 of the brief: secrets from the environment, and secrets that change.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use portcullis_tests::driver::{StdioTestbed, message};
use serde_json::{Value, json};

use crate::text;

fn call(name: &str, arguments: Value) -> Value {
    message("tools/call", json!({"name": name, "arguments": arguments}))
}

#[test]
fn section_2_a_server_without_its_secrets_does_not_start_and_names_them() {
    let program = env!("CARGO_BIN_EXE_section_02_environment");
    let output = Command::new(program).env("MY_API_BASE", "marked base").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for said in ["set the variables MY_API_KEY: missing", "MY_API_BASE is not of the type Url"] {
        assert!(message.contains(said), "{said}: {message}");
    }
    assert!(!message.contains("marked"), "{message}");
}

#[test]
fn section_2_the_key_goes_to_the_api_and_to_nobody_else() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", socket.local_addr().unwrap());
    // An API that repeats the key that it was sent.
    let api = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        let mut request = vec![0; 4096];
        let mut length = 0;
        while !request[..length].ends_with(b"\r\n\r\n") {
            length += stream.read(&mut request[length..]).unwrap();
        }
        let body = r#"{"sent": "Bearer k-marked-0123456789", "found": 3}"#;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let variables = [
        ("MY_API_KEY", "k-marked-0123456789"),
        ("MY_API_BASE", base.as_str()),
        ("MY_API_ON_LOOPBACK", "true"),
    ];
    let program = env!("CARGO_BIN_EXE_section_02_environment");
    let mut server = StdioTestbed::with_variables(program, &variables);
    let answer = server.ask(&call("call_api", json!({"query": "a b"})));
    let sent = api.join().unwrap();
    assert!(sent.starts_with("GET /data?q=a+b HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("authorization: Bearer k-marked-0123456789\r\n"), "{sent}");
    let expected = json!({"sent": "Bearer [redacted]", "found": 3});
    assert_eq!(answer["result"]["structuredContent"], expected, "{answer}");
    assert_eq!(text(&answer["result"]), expected.to_string());

    // Nothing listens there any more.
    let answer = server.ask(&call("call_api", json!({"query": "all"})));
    assert!(text(&answer["result"]).starts_with("Internal error (reference "), "{answer}");
    let (log, _) = server.end();
    assert!(!log.contains("marked"), "{log}");
}

#[test]
fn section_15_a_secret_changes_and_is_seen_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "k-marked-first\n").unwrap();
    let variables = [("MY_API_KEY_FILE", path.to_str().unwrap())];
    let program = env!("CARGO_BIN_EXE_section_15_secrets");
    let mut server = StdioTestbed::with_variables(program, &variables);
    let ask = |server: &mut StdioTestbed, candidate: &str| {
        let answer = server.ask(&call("check_key", json!({"candidate": candidate})));
        text(&answer["result"]).to_owned()
    };
    let (yours, another) = (
        "The key in force is [redacted], and yours.",
        "The key in force is [redacted], and another.",
    );
    assert_eq!(ask(&mut server, "k-marked-first"), yours);
    assert_eq!(ask(&mut server, "k-marked-second"), another);
    std::fs::write(folder.path().join("new"), "k-marked-second\n").unwrap();
    std::fs::rename(folder.path().join("new"), &path).unwrap();
    server.wait_for_log("what was made with the old key is made again");
    assert_eq!(ask(&mut server, "k-marked-second"), yours);
    assert_eq!(ask(&mut server, "k-marked-first"), another);
    let answer = server.ask(&call("connect", json!({})));
    assert!(text(&answer["result"]).starts_with("Internal error (reference "), "{answer}");
    server.wait_for_log("https://app:[redacted]@db does not answer");
    let (log, _) = server.end();
    assert!(!log.contains("marked"), "{log}");
}
