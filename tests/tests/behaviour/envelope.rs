//! Versions, headers and envelopes of Streamable HTTP in 2026-07-28.

use portcullis_tests::driver::{Response, StdioTestbed, Testbed, initialize, message, request};
use serde_json::{Value, json};

use crate::{ALICE, TESTBED};

const SERVED: [&str; 4] = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"];

struct Edge(Testbed);

impl Edge {
    fn start() -> Self {
        Self(Testbed::start(TESTBED, &["--auth", "none"]))
    }

    fn post(&self, headers: &[&str], body: &str) -> Response {
        self.0.request(
            "POST /mcp",
            &[&["Content-Type: application/json"], headers].concat(),
            body.as_bytes(),
        )
    }

    fn modern(&self, method: &str, name: Option<&str>, body: &Value) -> Response {
        let (method, name) =
            (format!("Mcp-Method: {method}"), name.map(|name| format!("Mcp-Name: {name}")));
        let mut headers = vec!["MCP-Protocol-Version: 2026-07-28", &method];
        headers.extend(name.as_deref());
        self.post(&headers, &body.to_string())
    }
}

fn status_and_code(response: &Response) -> (u16, i64) {
    (response.status, response.code())
}

#[test]
fn discover_says_what_is_served() {
    let edge = Edge::start();
    let result = edge
        .modern("server/discover", None, &message("server/discover", json!({})))
        .json()["result"]
        .take();
    assert_eq!(result["supportedVersions"], json!(SERVED));
    assert_eq!(
        (&result["resultType"], &result["cacheScope"]),
        (&json!("complete"), &json!("private"))
    );
    let list = json!({"listChanged": true});
    let resources = json!({"listChanged": true, "subscribe": true});
    let all = json!({
        "tools": list,
        "resources": resources,
        "prompts": list,
        "logging": {},
        "completions": {},
    });
    assert_eq!(result["capabilities"], all);
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "portcullis-testbed");
}

#[test]
fn unknown_methods_are_not_found_with_a_json_rpc_error() {
    let edge = Edge::start();
    for method in ["tools/destroy", "ping", "logging/setLevel", "resources/subscribe"] {
        let response = edge.modern(method, None, &message(method, json!({})));
        assert_eq!(status_and_code(&response), (404, -32601), "{method}");
        assert_eq!(response.json()["id"], 1);
    }
}

#[test]
fn n22_headers_that_disagree_with_the_body_are_refused_and_nothing_runs() {
    let edge = Edge::start();
    let call = message("tools/call", json!({"name": "constrained", "arguments": {}}));
    let mismatched = [
        edge.modern("tools/list", Some("constrained"), &call),
        edge.modern("Tools/Call", Some("constrained"), &call),
        edge.modern("tools/call", Some("echo"), &call),
        edge.modern("tools/call", Some("=?base64?!?="), &call),
        edge.modern("tools/call", None, &call),
        edge.post(
            &["MCP-Protocol-Version: 2026-07-28", "Mcp-Name: constrained"],
            &call.to_string(),
        ),
        edge.post(&["Mcp-Method: tools/call", "Mcp-Name: constrained"], &call.to_string()),
        edge.post(
            &[
                "MCP-Protocol-Version: 2026-07-28",
                "Mcp-Method: tools/call",
                "Mcp-Method: tools/call",
                "Mcp-Name: constrained",
            ],
            &call.to_string(),
        ),
    ];
    for (index, response) in mismatched.iter().enumerate() {
        assert_eq!(status_and_code(response), (400, -32020), "{index}");
    }
    let encoded = edge.modern("tools/call", Some("=?base64?Y29uc3RyYWluZWQ=?="), &call).json();
    assert_eq!(encoded["result"]["structuredContent"]["ran"], 1, "{encoded}");
}

#[test]
fn versions_that_are_not_served_are_answered_with_those_that_are() {
    let edge = Edge::start();
    let list = message("tools/list", json!({})).to_string();
    for version in ["2099-01-01", "2025-11-25", "nonsense"] {
        let header = format!("MCP-Protocol-Version: {version}");
        let response =
            edge.post(&[&header, "Mcp-Method: tools/list"], &list.replace("2026-07-28", version));
        assert_eq!(status_and_code(&response), (400, -32022), "{version}");
        let data = response.json()["error"]["data"].clone();
        // One that is served in sessions is not offered again for requests without one.
        let supported = if version == "2025-11-25" { &SERVED[..1] } else { &SERVED[..] };
        assert_eq!(data, json!({"supported": supported, "requested": version}));
    }
    let mismatch = edge.post(
        &["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"],
        &list.replace("2026-07-28", "2099-01-01"),
    );
    assert_eq!(status_and_code(&mismatch), (400, -32020));
}

#[test]
fn a_request_without_its_meta_is_malformed() {
    let edge = Edge::start();
    for member in
        ["io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"]
    {
        let mut body = message("tools/list", json!({}));
        body["params"]["_meta"].as_object_mut().unwrap().remove(member);
        assert_eq!(
            status_and_code(&edge.modern("tools/list", None, &body)),
            (400, -32602),
            "{member}"
        );
    }
    let bare = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(status_and_code(&edge.modern("tools/list", None, &bare)), (400, -32602));
    let mut without_client = message("tools/list", json!({}));
    without_client["params"]["_meta"]
        .as_object_mut()
        .unwrap()
        .remove("io.modelcontextprotocol/clientInfo");
    assert_eq!(
        edge.modern("tools/list", None, &without_client).status,
        200,
        "clientInfo is optional"
    );
}

#[test]
fn what_is_no_single_request_is_refused_as_json_rpc() {
    let edge = Edge::start();
    let headers = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"];
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("\u{1}", -32700),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"constrained"}}"#, -32600),
        (r#"["2.0",1,"tools/list",{"_meta":{}}]"#, -32600),
    ] {
        let response = edge.post(&headers, body);
        assert_eq!(status_and_code(&response), (400, code), "{body}");
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.json().get("id"), Some(&Value::Null), "{body}");
    }
    let notification =
        edge.post(&headers[..1], r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!((notification.status, notification.body.as_str()), (202, ""));
}

#[test]
fn arrays_are_no_objects_and_repeated_arguments_are_refused() {
    let edge = Edge::start();
    let mut array = message("tools/list", json!({}));
    array["params"]["_meta"] = json!(["2026-07-28", ["n", "v"], {}]);
    assert_eq!(status_and_code(&edge.modern("tools/list", None, &array)), (400, -32602));
    let call = message("tools/call", json!({"name": "echo", "arguments": "TWICE"})).to_string();
    let headers = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"];
    let twice =
        edge.post(&headers, &call.replace("\"TWICE\"", r#"{"text":"a","text":"b"}"#)).json();
    assert_eq!(twice["result"]["isError"], true, "{twice}");
    assert!(!twice["result"].to_string().contains("\"b\""), "{twice}");
}

#[test]
fn what_is_wrong_is_answered_under_its_id() {
    let edge = Edge::start();
    let response = edge.post(&[], r#"{"jsonrpc":"1.0","id":5,"method":"tools/list"}"#);
    assert_eq!((response.status, &response.json()["id"]), (400, &json!(5)));
}

#[test]
fn n25_transfer_codings_beyond_chunked_are_refused() {
    let edge = Edge::start();
    let bytes = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\
         Connection: close\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
        edge.0.authority()
    );
    assert_eq!(edge.0.send(bytes.as_bytes()).status, 501);
}

#[test]
fn n20_hostile_json_is_refused_in_bounded_time() {
    let edge = Edge::start();
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let digits =
        format!(r#"{{"jsonrpc":"2.0","id":{},"method":"tools/list"}}"#, "9".repeat(1_000_000));
    for body in [deep, digits] {
        let response =
            edge.post(&["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"], &body);
        assert_eq!(response.status, 400);
    }
}

#[test]
fn trial_c2_what_is_refused_early_is_answered_under_the_id_or_null() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = |response: &Response| response.json().get("id").cloned();
    let post = |head: &[&str], body: &str| testbed.request("POST /mcp", head, body.as_bytes());
    let (json, alice) = ("Content-Type: application/json", "Authorization: Bearer dev-token-alice");
    let list = request(5, "tools/list", json!({})).to_string();
    for (status, head) in [
        (401, &[json][..]),
        (401, &[json, "Authorization: Bearer wrong"]),
        (403, &[json, alice, "Origin: https://evil.example"]),
        (406, &[json, alice, "Accept: text/html"]),
        (415, &["Content-Type: text/plain", alice]),
    ] {
        let refused = post(head, &list);
        assert_eq!((refused.status, id(&refused)), (status, Some(Value::Null)));
    }
    assert_eq!(id(&testbed.request("PUT /mcp", &[alice], b"")), Some(Value::Null));
    for (status, further) in [
        (400, "X-Nothing: x"),
        (404, "Mcp-Session-Id: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        (400, "MCP-Protocol-Version: 2026-07-28"),
    ] {
        let refused = post(&[json, alice, further], &list);
        assert_eq!((refused.status, id(&refused)), (status, Some(json!(5))), "{further}");
    }
    let session = testbed.begin(ALICE, "2025-06-18");
    let other = ["MCP-Protocol-Version: 2099-01-01"];
    let refused =
        testbed.session(ALICE, &session).post(&other, &request(5, "tools/list", json!({})));
    assert_eq!((refused.status, id(&refused)), (400, Some(json!(5))));
    let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let refused = testbed.session(ALICE, "none").post(&[], &told);
    assert_eq!((refused.status, id(&refused)), (404, Some(Value::Null)));

    let mut server = StdioTestbed::start(TESTBED);
    assert_eq!(server.ask(&json!("no message")).get("id"), Some(&Value::Null));
}

#[test]
fn trial_c1_who_the_server_is_stands_in_results_of_the_stateless_version_alone() {
    let testbed = Testbed::start(TESTBED, &[]);
    let uses = [
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}})),
        ("tools/call", json!({"name": "fail_tool_error"})),
        ("resources/read", json!({"uri": "secret://config"})),
        ("prompts/get", json!({"name": "financial_report", "arguments": {"quarter": "Q1"}})),
    ];
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let id = testbed.begin(ALICE, version);
        for (method, params) in uses.clone() {
            let answer = testbed.session(ALICE, &id).ask(method, params);
            assert_eq!(answer["result"].get("_meta"), None, "{version} {method}");
        }
    }
    for (method, params) in uses.clone() {
        let result = testbed.result(ALICE, method, params);
        let told = &result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"];
        assert_eq!(told, "portcullis-testbed", "{method}");
    }
    let mut server = StdioTestbed::start(TESTBED);
    server.ask(&initialize("2025-11-25"));
    for (method, params) in uses {
        let answer = server.ask(&request(1, method, params));
        assert_eq!(answer["result"].get("_meta"), None, "over stdio: {method}");
    }
}

#[test]
fn trial_b15_a12_whole_numbers_are_ids_and_empty_parameters_are_none() {
    let edge = Edge::start();
    let list = message("tools/list", json!({})).to_string();
    let post = |kind: &str, id: &str| {
        let kind = format!("Content-Type: {kind}");
        let head = [&kind, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"];
        let body = list.replace("\"id\":1", &format!("\"id\":{id}"));
        edge.0.request("POST /mcp", &head, body.as_bytes())
    };
    for (id, answered) in [("1.0", 1), ("-0", 0), ("-0.0", 0), ("1e3", 1_000), ("-7.00", -7)] {
        let response = post("application/json", id);
        assert_eq!((response.status, &response.json()["id"]), (200, &json!(answered)), "{id}");
    }
    for id in ["1.5", "1e19", "1e300", "-0.5"] {
        let response = post("application/json", id);
        assert_eq!((response.status, response.code()), (400, -32600), "{id}");
    }
    for kind in ["application/json;", "application/json ; ;charset=utf-8;", "application/json;;"] {
        assert_eq!(post(kind, "1").status, 200, "{kind}");
    }
}
