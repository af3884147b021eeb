//! What becomes a span, and what does not.

use std::collections::HashSet;

use portcullis_guard::{OperationId, Pseudonym, TraceParent};

use super::super::request::SPANS;
use super::super::span::Span;
use super::super::span_json;
use super::*;
use crate::Principal;

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn span_of(record: &AuditRecord<'_>, one_in: u32) -> Option<Value> {
    Span::of(record, one_in).map(|span| {
        let (mut line, mut json) = (Vec::new(), Vec::new());
        span.append(&mut line).unwrap();
        line.push(b'\n');
        span_json::append(&mut json, &line).unwrap();
        serde_json::from_slice(&json).unwrap()
    })
}

fn named<'a>(span: &'a Value, name: &str) -> Option<&'a str> {
    let mut attributes = span["attributes"].as_array().unwrap().iter();
    let attribute = attributes.find(|attribute| attribute["key"] == name)?;
    attribute["value"]["stringValue"].as_str()
}

fn in_trace(flags: &str) -> Option<TraceParent> {
    TraceParent::parse(&SAMPLED.replace("-01", flags))
}

#[test]
fn a_span_has_the_numbers_of_its_operation_and_of_its_caller() {
    let alice = Principal::new("alice").with_issuer("https://idp.example.com");
    let mut record = record().with_principal(&alice).with_trace(in_trace("-01"));
    (record.kind, record.component) = (Some("tool"), Some("greet"));
    record.verdict = Verdict::Allowed;
    record.outcome = "ok";
    record.duration = Duration::from_micros(1_500);
    let span = span_of(&record, 1).unwrap();
    let members =
        ["traceId", "parentSpanId", "spanId", "name", "startTimeUnixNano", "endTimeUnixNano"];
    assert_eq!(
        members.map(|member| span[member].as_str().unwrap()),
        [
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00f067aa0ba902b7",
            "00000000000000ff",
            "tools/call greet",
            "1785242096000123000",
            "1785242096001623000",
        ]
    );
    assert_eq!(span["kind"], 2);
    assert_eq!(span["status"], json!({}));
    let named = |name: &str| named(&span, name);
    assert_eq!(named("mcp.method.name"), Some("tools/call"));
    let pseudonym = Pseudonym::of(["https://idp.example.com", "alice"]).to_string();
    assert_eq!(named("enduser.pseudo.id"), Some(pseudonym.as_str()));
    assert_eq!(named("error.type"), None);
    assert_eq!(named("gen_ai.operation.name"), Some("execute_tool"));
    assert_eq!(named("network.transport"), Some("tcp"));
    assert_eq!(named("network.protocol.name"), Some("http"));
    assert_eq!(named("portcullis.operation"), None, "the method has a name of its own");
    assert!(!span.to_string().contains("alice") && !span.to_string().contains("idp.example"));

    record.outcome = "timeout";
    record.component = Some("a \"tool\"\n");
    record.status = Some(404);
    let span = span_of(&record, 1).unwrap();
    assert_eq!(span["status"], json!({"code": 2}));
    assert_eq!(span["name"], "tools/call a \"tool\"\n");
    let status = json!({"key": "http.response.status_code", "value": {"intValue": "404"}});
    assert_eq!(span["attributes"].as_array().unwrap().last(), Some(&status));
}

#[test]
fn a_pseudonym_stands_for_whom_the_record_names() {
    let alice = Principal::new("alice").with_issuer("https://idp.example.com");
    let pseudonym = |record: &AuditRecord<'_>| {
        let span = span_of(record, 1).unwrap();
        named(&span, "enduser.pseudo.id").map(str::to_owned)
    };
    let of = |issuer: &str, subject: &str| Some(Pseudonym::of([issuer, subject]).to_string());
    let mut record = record().with_principal(&alice);
    assert_eq!(pseudonym(&record), of("https://idp.example.com", "alice"));
    record.subject = Some("bob".into());
    assert_eq!(pseudonym(&record), of("https://idp.example.com", "bob"));
    record.issuer = None;
    assert_eq!(pseudonym(&record), of("", "bob"));
    record.subject = None;
    assert_eq!(pseudonym(&record), None);
}

/// OpenTelemetry, "Semantic conventions for Model Context Protocol", "Server".
#[test]
fn what_a_span_is_about_has_the_name_of_the_conventions() {
    let of = |kind: Option<&'static str>, operation: &'static str, component: Option<&str>| {
        let mut record = AuditRecord::new(OperationId::from(1), record().time, "http", operation);
        (record.kind, record.component, record.verdict) = (kind, component, Verdict::Allowed);
        let span = span_of(&record, 1).unwrap();
        let told = [
            "gen_ai.operation.name",
            "gen_ai.tool.name",
            "gen_ai.prompt.name",
            "mcp.resource.uri",
            "http.request.method",
            "http.route",
            "portcullis.component",
            "portcullis.operation",
        ];
        let told =
            told.into_iter().filter_map(|name| Some(format!("{name}={}", named(&span, name)?)));
        (span["name"].as_str().unwrap().to_owned(), told.collect::<Vec<_>>().join(" "))
    };
    for (kind, operation, component, name, told) in [
        (
            Some("tool"),
            "tools/call",
            Some("greet"),
            "tools/call greet",
            "gen_ai.operation.name=execute_tool gen_ai.tool.name=greet",
        ),
        (None, "tools/call", None, "tools/call", "gen_ai.operation.name=execute_tool"),
        (None, "tools/list", None, "tools/list", ""),
        (Some("prompt"), "prompts/get", Some("ask"), "prompts/get ask", "gen_ai.prompt.name=ask"),
        (
            Some("resource"),
            "resources/read",
            Some("config://app"),
            "resources/read",
            "mcp.resource.uri=config://app",
        ),
        (
            Some("template"),
            "resources/read",
            Some("users://{id}"),
            "resources/read",
            "portcullis.component=users://{id}",
        ),
        (
            Some("route"),
            "route",
            Some("GET /orders/{id}"),
            "GET /orders/{id}",
            "http.request.method=GET http.route=/orders/{id} portcullis.operation=route",
        ),
        (None, "initialize", None, "initialize", ""),
        (None, "session", None, "session", "portcullis.operation=session"),
    ] {
        assert_eq!(of(kind, operation, component), (name.to_owned(), told.to_owned()));
    }
    let local = AuditRecord::new(OperationId::from(1), record().time, "stdio", "tools/list");
    let span = span_of(&local, 1).unwrap();
    assert_eq!(named(&span, "network.transport"), Some("pipe"));
    assert_eq!(named(&span, "network.protocol.name"), None);
}

#[test]
fn what_ended_badly_has_the_class_of_its_error_and_what_its_caller_got_wrong_has_none() {
    let of = |verdict, outcome| {
        let mut record = record();
        (record.verdict, record.outcome) = (verdict, outcome);
        let span = span_of(&record, 1).unwrap();
        assert_eq!(span["status"] == json!({"code": 2}), named(&span, "error.type").is_some());
        named(&span, "error.type").map(str::to_owned)
    };
    for error in ["tool_error", "internal_error", "panic", "timeout"] {
        assert_eq!(of(Verdict::Allowed, error).as_deref(), Some(error));
    }
    for other in ["ok", "invalid_arguments", "cancelled"] {
        assert_eq!(of(Verdict::Allowed, other), None);
    }
    assert_eq!(of(Verdict::Denied, "not_found"), None);
    assert_eq!(of(Verdict::Failed, "unavailable").as_deref(), Some("unavailable"));
}

#[test]
fn whoever_is_refused_at_a_route_without_being_known_fills_no_collector() {
    let alice = Principal::new("alice").with_issuer("https://idp.example.com");
    let of = |verdict, principal: Option<&Principal>| {
        let mut record = AuditRecord::new(OperationId::from(1), record().time, "http", "route");
        record.verdict = verdict;
        record.component = Some("GET /metrics");
        let record = principal.map_or(record, |principal| record.with_principal(principal));
        span_of(&record.with_trace(in_trace("-01")), 1).is_some()
    };
    for refused in [Verdict::Challenged, Verdict::Denied, Verdict::Refused, Verdict::Failed] {
        assert!(!of(refused, None), "{refused:?}");
        assert!(of(refused, Some(&alice)), "{refused:?}");
    }
    assert!(of(Verdict::Allowed, None), "a public route");
}

#[test]
fn what_a_caller_does_not_sample_and_what_was_refused_has_no_span() {
    assert!(span_of(&record().with_trace(in_trace("-00")), 1).is_none());
    assert!(span_of(&record().with_trace(in_trace("-02")), 1).is_none(), "another flag");
    assert!(span_of(&record().with_trace(in_trace("-03")), 0).is_some(), "it is the caller's");
    for refused in ["request", "connection"] {
        let time = record().time;
        let refused = AuditRecord::new(OperationId::from(255), time, "http", refused);
        assert!(span_of(&refused.with_trace(in_trace("-01")), 1).is_none());
    }
}

#[test]
fn of_requests_without_a_trace_so_many_begin_one() {
    let root = span_of(&record(), 1).unwrap();
    assert_eq!(root.get("parentSpanId"), None);
    let number = |span: &Value| span["traceId"].as_str().unwrap().to_owned();
    assert_eq!(number(&root).len(), 32);
    let numbered = |id: u64| AuditRecord { id: OperationId::from(id), ..record() };
    let numbers: HashSet<_> =
        (0..1_000).map(|id| number(&span_of(&numbered(id), 1).unwrap())).collect();
    assert_eq!(numbers.len(), 1_000);
    assert!(numbers.contains(&number(&root)), "the same operation has the same");
    assert!((0..100).all(|id| span_of(&numbered(id), 0).is_none()));
    let sampled = (0..10_000).filter(|id| span_of(&numbered(*id), 10).is_some()).count();
    assert!((700..1_300).contains(&sampled), "{sampled}");
}

#[test]
fn e08_a_secret_in_a_span_is_removed_before_it_is_sent() {
    let secret = Secret::known("a-secret-of-a-span".to_owned());
    let collector = Collector::start();
    let url = format!("http://{}/v1/traces", collector.address()).parse().unwrap();
    let fetch = Fetch::builder().allow_loopback().time(SOON);
    let traces = OtlpTraces::builder(fetch, &url, "users").open().unwrap();
    let mut record = record();
    let component = format!("files://{}", secret.expose());
    (record.kind, record.component) = (Some("resource"), Some(component.as_str()));
    let audit = Audit::new(AuditFailure::Stop).traces(traces);
    audit.end_span(&record);
    let text = secret.expose().clone();
    // Known no longer when the span is sent, since nobody has it.
    drop(secret);
    let sent = collector.next();
    let span = &sent.body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(named(span, "mcp.resource.uri"), Some("files://[redacted]"));
    assert!(!sent.body.to_string().contains(&text));
    sent.take();
}

#[test]
fn a_text_is_what_it_was_whatever_it_holds() {
    let characters = ('\0'..='\u{2ff}').chain(['\u{2028}', '\u{feff}', '\u{10ffff}']);
    let texts = characters.map(|character| format!("a {character}{character}\" b"));
    for text in texts.chain([String::new(), "x".repeat(100_000)]) {
        let mut record = record();
        (record.kind, record.component) = (Some("template"), Some(text.as_str()));
        let span = span_of(&record, 1).unwrap();
        let expected = Some(text.as_str()).filter(|text| !text.is_empty());
        assert_eq!(named(&span, "portcullis.component"), expected);
        assert_eq!(named(&span, "portcullis.outcome"), Some(record.outcome));
    }
}

#[test]
fn a_line_that_is_none_is_lost_and_counted_and_holds_nothing_up() {
    let collector = Collector::start();
    let url = format!("http://{}/v1/traces", collector.address()).parse().unwrap();
    let fetch = Fetch::builder().allow_loopback().time(SOON);
    let target = Target::new(fetch, &url, "users".to_owned());
    let (deliveries, losses) = target.start(&SPANS).unwrap();
    let record = record();
    let good = || deliveries.push(|line| Span::of(&record, 1).unwrap().append(line)).unwrap();
    good();
    deliveries.push(|line| line.write_all(b"no span")).unwrap();
    good();
    let sent = || {
        let received = collector.next();
        let spans = received.body["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
        received.take();
        spans.as_array().unwrap().len()
    };
    assert_eq!((sent(), sent()), (1, 1));
    deliveries.flush().unwrap();
    assert_eq!(losses.all(), 1);
}

#[test]
fn spans_are_sent_together_and_what_is_refused_or_does_not_fit_is_counted() {
    let collector = Collector::start();
    let url = format!("http://{}/v1/traces", collector.address()).parse().unwrap();
    let fetch = Fetch::builder().allow_loopback().time(SOON);
    let traces = OtlpTraces::builder(fetch, &url, "users").open().unwrap();
    let audit = Audit::new(AuditFailure::Stop).traces(traces);
    let end = || audit.end_span(&record());
    let lost = || audit.traces.as_ref().unwrap().lost();
    end();
    let first = collector.next();
    assert!(first.head.starts_with("post /v1/traces http/1.1\r\n"), "{}", first.head);
    (0..3).for_each(|_| end());
    first.answer("503 Away\r\nretry-after: 1", "");
    let spans = |received: &Received| {
        let spans = &received.body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        spans.as_array().unwrap().len()
    };
    let again = collector.next();
    assert_eq!((spans(&again), lost()), (1, 0), "what could not be sent is sent again");
    assert!(audit.ready().is_ok(), "operations go on");
    again.take();
    let together = collector.next();
    assert_eq!(spans(&together), 3);
    together.answer("200 OK", r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"}}"#);
    end();
    let refused = collector.next();
    assert_eq!(lost(), 2);
    refused.answer("401 Unauthorized", "");
    end();
    let last = collector.next();
    assert_eq!(lost(), 3);
    assert!(audit.ready().is_ok());

    // While the collector says nothing, spans wait up to a bound, and nobody waits for them.
    let mut long = record();
    let name = "x".repeat(1024 * 1024);
    long.component = Some(&name);
    (0..12).for_each(|_| audit.end_span(&long));
    assert!(lost() > 3, "{}", lost());
    assert_eq!(audit.failures(), 0);
    last.take();
    collector.next().take();
}
