//! Opaque tokens, about which the authorization server is asked, by the flags.

use std::io::{Read, Write};
use std::net::TcpListener;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_tests::driver::Testbed;
use portcullis_tests::issuer::{AUDIENCE, ISSUER, now};
use serde_json::json;

use super::keys::refused_with;
use crate::TESTBED;

/// An introspection endpoint that knows one token, and one client.
fn endpoint() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/introspect", socket.local_addr().unwrap());
    let client = format!("Basic {}", STANDARD.encode("mcp-server:Zk3vJ0qTn8-marked"));
    std::thread::spawn(move || {
        for mut stream in socket.incoming().map_while(Result::ok) {
            let (mut request, mut part) = (String::new(), [0; 4096]);
            // The hint is the end of the form.
            while !request.contains("token_type_hint=access_token") {
                let Ok(read @ 1..) = stream.read(&mut part) else { break };
                request.push_str(&String::from_utf8_lossy(&part[..read]));
            }
            let known = request.contains("token=opaque-alice&");
            let answer = match (request.contains(&client), known) {
                (false, _) => json!({"error": "invalid_client"}),
                (true, false) => json!({"active": false}),
                (true, true) => json!({
                    "active": true, "sub": "alice", "scope": "read", "iss": ISSUER,
                    "aud": AUDIENCE, "exp": now() + 600,
                }),
            };
            let answer = answer.to_string();
            let status = if request.contains(&client) { "200 OK" } else { "401 Unauthorized" };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n",
                answer.len()
            );
            let _ = stream.write_all((head + &answer).as_bytes());
        }
    });
    url
}

const FLAGS: [&str; 8] =
    ["--auth", "introspect", "--idp", ISSUER, "--client-id", "mcp-server", "--audience", AUDIENCE];

#[test]
fn an_opaque_token_is_asked_about_with_the_secret_of_a_variable_or_a_file() {
    let endpoint = endpoint();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "Zk3vJ0qTn8-marked\n").unwrap();
    let flags = [&FLAGS[..], &["--introspection-endpoint", &endpoint]].concat();
    let in_file = [&flags[..], &["--client-secret-file", file.to_str().unwrap()]].concat();
    let variables = [("INTROSPECTION_CLIENT_SECRET", "Zk3vJ0qTn8-marked")];
    for (flags, variables) in [(&flags, &variables[..]), (&in_file, &[][..])] {
        let testbed = Testbed::start_with(TESTBED, flags, variables);
        assert_eq!(super::list(&testbed, "opaque-alice").status, 200, "{}", testbed.log());
        assert_eq!(super::list(&testbed, "opaque-mallory").status, 401);
        let metadata = testbed.request("GET /.well-known/oauth-protected-resource/mcp", &[], b"");
        assert_eq!(metadata.json()["authorization_servers"], json!([ISSUER]));
        assert!(!testbed.log().contains("Zk3vJ0qTn8-marked"));
    }
    let wrong = [("INTROSPECTION_CLIENT_SECRET", "another")];
    let testbed = Testbed::start_with(TESTBED, &flags, &wrong);
    assert_eq!(super::list(&testbed, "opaque-alice").status, 503, "nobody gets in unasked");
}

#[test]
fn what_introspection_needs_is_named() {
    let endpoint = ["--introspection-endpoint", "https://idp.example.com/introspect"];
    let secret = [("INTROSPECTION_CLIENT_SECRET", "Zk3vJ0qTn8-marked")];
    let all = [&FLAGS[..], &endpoint].concat();
    for (flags, variables, reason) in [
        (&FLAGS[..2], &secret[..], "--auth introspect needs --idp ISSUER"),
        (&FLAGS[..], &secret[..], "needs --introspection-endpoint URL"),
        (&[&FLAGS[..4], &endpoint].concat()[..], &secret[..], "needs --client-id ID"),
        (&[&FLAGS[..6], &endpoint].concat()[..], &secret[..], "needs --audience AUDIENCE"),
        (
            &all[..],
            &[][..],
            "needs --client-secret-file FILE (or the variable INTROSPECTION_CLIENT_SECRET)",
        ),
        (
            &[&all[..], &["--algorithms", "RS256"]].concat()[..],
            &secret[..],
            "--algorithms needs --auth jwt",
        ),
        (
            &["--auth", "jwt", "--client-id", "a"][..],
            &[][..],
            "--client-id needs --auth introspect",
        ),
        (&["--client-id", "a"][..], &[][..], "--client-id needs --auth introspect"),
        (&[][..], &secret[..], "INTROSPECTION_CLIENT_SECRET is set, but --auth is not"),
    ] {
        let refused = refused_with(flags, variables);
        assert!(refused.contains(reason), "{flags:?}: {refused}");
        assert!(!refused.contains("Zk3vJ0qTn8-marked"), "{refused}");
    }
}
