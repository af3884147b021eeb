//! Spans of operations reach a collector, in the trace of whoever called.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use portcullis::audit::{AuditFailure, OtlpTraces};
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::guard::{Fetch, Secret, Url};
use portcullis::prelude::*;
use portcullis_tests::driver::{Response, message};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A collector, the heads of its requests, and the spans in them.
struct Collector {
    url: Url,
    sent: Receiver<(String, Value)>,
}

impl Collector {
    fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let (sender, sent) = channel();
        std::thread::spawn(move || {
            listener.incoming().for_each(|stream| answer(stream.unwrap(), status, &sender));
        });
        Self { url: url.parse().unwrap(), sent }
    }

    fn traces(&self) -> OtlpTraces {
        let fetch = Fetch::builder().allow_loopback();
        let token = Secret::new("Bearer collector-secret".to_owned());
        let traces = OtlpTraces::builder(fetch, &self.url, "greetings");
        traces.header("authorization", token).open().unwrap()
    }

    fn next(&self) -> (String, Value) {
        self.sent.recv_timeout(Duration::from_secs(20)).unwrap()
    }
}

fn answer(mut stream: std::net::TcpStream, status: &str, sender: &Sender<(String, Value)>) {
    let mut reader = BufReader::new(&stream);
    let lines = reader.by_ref().lines().map(Result::unwrap);
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let head = head.join("\n").to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let resource = &body["resourceSpans"][0];
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "greetings");
    for span in resource["scopeSpans"][0]["spans"].as_array().unwrap() {
        let _ = sender.send((head.clone(), span.clone()));
    }
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
    let _ = stream.write_all(answer.as_bytes());
}

/// Greet somebody.
#[tool]
async fn greet(name: String, ctx: Context) -> Result<String, ToolError> {
    match name.as_str() {
        "nobody" => Err(ToolError::internal("argument-cause")),
        name => Ok(format!("Hello, {name}. {}", ctx.operation_id())),
    }
}

fn serve(collector: &Collector) -> Served {
    let tokens = StaticTokenVerifier::new().token("dev-token-alice", user("alice"));
    let server = Server::builder("greetings")
        .auth(tokens)
        .components(components![greet])
        .audit_failure(AuditFailure::Stop)
        .traces(collector.traces());
    Served::start(server.build().unwrap())
}

fn greeted(served: &Served, name: &str, headers: &[&str], meta: Option<&str>) -> Response {
    let mut body = message("tools/call", json!({"name": "greet", "arguments": {"name": name}}));
    if let Some(trace) = meta {
        body["params"]["_meta"]["traceparent"] = json!(trace);
    }
    let head = [
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        "Mcp-Name: greet",
        "Authorization: Bearer dev-token-alice",
    ];
    served.request("POST /mcp", &[&head[..], headers].concat(), body.to_string().as_bytes())
}

fn attribute<'a>(span: &'a Value, name: &str) -> Option<&'a str> {
    let mut attributes = span["attributes"].as_array().unwrap().iter();
    attributes.find(|attribute| attribute["key"] == name)?["value"]["stringValue"].as_str()
}

#[test]
fn a_span_belongs_to_the_trace_of_its_caller_and_says_nothing_private() {
    let collector = Collector::start("200 OK");
    let served = serve(&collector);
    let (header, other) = (format!("traceparent: {TRACE}"), format!("traceparent: {OTHER}"));
    let mut pseudonyms = Vec::new();
    for (headers, meta) in [(&[&*header][..], None), (&[&*other], Some(TRACE)), (&[], Some(TRACE))]
    {
        let answer = greeted(&served, "argument-world", headers, meta);
        let (head, span) = collector.next();
        assert_eq!(span["traceId"], TRACE[3..35]);
        assert_eq!(span["parentSpanId"], TRACE[36..52]);
        assert!(answer.body.contains(span["spanId"].as_str().unwrap()), "the operation's number");
        assert_eq!(span["name"], "tools/call greet");
        assert_eq!(attribute(&span, "portcullis.verdict"), Some("allowed"));
        assert_eq!(attribute(&span, "mcp.protocol.version"), Some("2026-07-28"));
        assert!(head.contains("authorization: bearer collector-secret"), "{head}");
        let text = span.to_string();
        for private in ["alice", "dev-token", "argument", "collector-secret", "127.0.0.1", "driver"]
        {
            assert!(!text.contains(private), "{private}: {text}");
        }
        pseudonyms.push(attribute(&span, "enduser.pseudo.id").unwrap().to_owned());
    }
    pseudonyms.dedup();
    assert_eq!((pseudonyms.len(), pseudonyms[0].len()), (1, 16));
}

#[test]
fn a_request_without_a_trace_begins_one_and_a_trace_that_is_not_sampled_has_no_span() {
    let collector = Collector::start("200 OK");
    let served = serve(&collector);
    let unsampled = format!("traceparent: {}00", &TRACE[..53]);
    assert_eq!(greeted(&served, "world", &[&unsampled], None).status, 200);
    // No token: nothing of it becomes a span.
    let sampled = format!("traceparent: {OTHER}");
    assert_eq!(served.request("POST /mcp", &[&sampled], b"{}").status, 401);
    let failed = greeted(&served, "nobody", &[], None);
    let (_, span) = collector.next();
    assert_eq!(span.get("parentSpanId"), None);
    let trace = span["traceId"].as_str().unwrap();
    assert!(trace != &TRACE[3..35] && trace != &OTHER[3..35] && trace.len() == 32, "{trace}");
    assert_eq!(span["status"], json!({"code": 2}));
    assert_eq!(attribute(&span, "error.type"), Some("internal_error"));
    let reference = attribute(&span, "portcullis.reference").unwrap();
    assert!(failed.body.contains(reference), "{}", failed.body);
    assert!(!span.to_string().contains("argument-cause"), "{span}");
    assert!(collector.sent.try_recv().is_err());
}

#[test]
fn operations_go_on_while_a_collector_refuses_spans() {
    let collector = Collector::start("401 Unauthorized");
    let served = serve(&collector);
    for _ in 0..3 {
        assert!(greeted(&served, "world", &[], None).body.contains("Hello, world."));
        collector.next();
    }
}
