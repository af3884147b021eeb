//! One JSON message per line, over standard input and output, in every version.
//!
//! A client that begins with `initialize` has a session for the life of the process; a request that
//! names its version in `_meta` is served by itself. Both may be mixed: a session is notified of
//! every change, a subscription of the changes that it asked for. The peer is the local user who
//! started the process, so nothing is authenticated here.

mod connection;
mod lines;
mod subscriptions;

use std::future::Future;
use std::io;
use std::sync::Arc;

use futures_util::FutureExt;

use self::connection::Connection;
use self::lines::{Lines, Output};
use crate::{Limits, Service};

/// Serves `service` on standard input and output until the input ends or `stop` is ready;
/// then running requests have [`Limits::drain_timeout`] to finish. Those that ask the client are given its
/// answers while there is input, and none once that has ended.
///
/// Standard output is taken for the protocol: what else is printed goes to standard error.
///
/// Lines over [`Limits::body_bytes`] are skipped and answered with an error.
///
/// # Errors
///
/// When standard output is closed, or was taken before.
pub async fn serve<S: Service>(
    service: Arc<S>,
    limits: &Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let lines = Lines::from_reader(io::stdin(), limits.body_bytes)?;
    let output = Output::to_writer(portcullis_guard::stdout::take()?)?;
    serve_lines(service, limits, lines, output, stop).await
}

async fn serve_lines<S: Service>(
    service: Arc<S>,
    limits: &Limits,
    mut lines: Lines,
    output: Output,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut connection = Connection::new(service, limits);
    // A client that sends nothing more and reads nothing delays the end no longer than others.
    let left = lines.ended().then(|()| tokio::time::sleep(limits.drain_timeout));
    let mut hears = tokio::select! {
        conversed = converse(&mut connection, &mut lines, &output) => {
            conversed?;
            false
        }
        () = left => false,
        () = stop => true,
    };
    let drained = async {
        for closing in connection.stop() {
            output.send(closing).await?;
        }
        loop {
            if !hears {
                connection.hang_up();
            }
            let answer = tokio::select! {
                biased;
                answer = connection.finished() => match answer {
                    Some(answer) => Some(answer),
                    None => break,
                },
                line = lines.next(), if hears => {
                    hears = line.is_some();
                    line.and_then(|line| connection.hear(line))
                }
            };
            if let Some(answer) = answer {
                output.send(answer).await?;
            }
        }
        output.end().await;
        Ok(())
    };
    tokio::time::timeout(limits.drain_timeout, drained).await.unwrap_or_else(|_| {
        tracing::warn!(limit = ?limits.drain_timeout, "requests were still running at the drain limit");
        Ok(())
    })
}

/// Takes lines until there are no more.
async fn converse<S: Service>(
    connection: &mut Connection<S>,
    lines: &mut Lines,
    output: &Output,
) -> io::Result<()> {
    loop {
        let answers = tokio::select! {
            answers = connection.next() => answers,
            line = lines.next() => match line {
                Some(line) => connection.hear(line).into_iter().collect(),
                None => return Ok(()),
            },
        };
        for answer in answers {
            output.send(answer).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{CallToolResult, ContentBlock};
    use crate::test_support::Fake;
    use crate::{Changed, Exchange, Identity, Operation, Outcome, Page, RpcError};

    struct Echo(Identity);

    impl Service for Echo {
        fn identity(&self) -> &Identity {
            &self.0
        }

        async fn serve(
            &self,
            operation: &mut Operation<'_>,
            _: Arc<Exchange>,
        ) -> Result<Outcome, RpcError> {
            match operation {
                Operation::CallTool { name, .. } if name == "slow" => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    Ok(Outcome::Tools(Page::default()))
                }
                Operation::CallTool { name, .. } => Ok(Outcome::ToolCalled(
                    CallToolResult::success(vec![ContentBlock::text(&**name)]),
                )),
                Operation::ReadResource { uri, .. } => {
                    Err(RpcError::ResourceNotFound { uri: uri.clone().into_owned() })
                }
                _ => Ok(Outcome::Tools(Page::default())),
            }
        }

        fn changes(
            self: &Arc<Self>,
            _: &Exchange,
        ) -> impl futures_util::Stream<Item = Changed> + Send + 'static {
            futures_util::stream::empty()
        }
    }

    /// What was written, for all to see.
    #[derive(Clone, Default)]
    struct Written(Arc<std::sync::Mutex<Vec<u8>>>);

    impl Written {
        fn messages(&self) -> Vec<Value> {
            let written = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A client that never reads.
    struct Stuck;

    impl io::Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            std::thread::sleep(std::time::Duration::from_secs(3_600));
            Ok(0)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_does_not_keep_the_server() {
        let service = Arc::new(Echo(Identity::new("echo", "1", None)));
        let limits =
            Limits { drain_timeout: std::time::Duration::from_millis(50), ..Limits::default() };
        let pings = vec![request(1, "ping", json!({})); 1_000].join("\n");
        let lines = Lines::from_reader(io::Cursor::new(pings.into_bytes()), 1_000).unwrap();
        let stop = tokio::time::sleep(std::time::Duration::from_millis(50));
        let served = serve_lines(service, &limits, lines, Output::to_writer(Stuck).unwrap(), stop);
        let limit = std::time::Duration::from_secs(5);
        tokio::time::timeout(limit, served).await.expect("it is kept").unwrap();
    }

    #[tokio::test]
    async fn trial_b3_a_client_that_ends_its_input_and_reads_nothing_keeps_nobody() {
        let service = Arc::new(Echo(Identity::new("echo", "1", None)));
        let limits =
            Limits { drain_timeout: std::time::Duration::from_millis(50), ..Limits::default() };
        let pings = vec![request(1, "ping", json!({})); 24].join("\n");
        let lines = Lines::from_reader(io::Cursor::new(pings.into_bytes()), 1_000).unwrap();
        let stop = std::future::pending();
        let served = serve_lines(service, &limits, lines, Output::to_writer(Stuck).unwrap(), stop);
        let limit = std::time::Duration::from_secs(5);
        tokio::time::timeout(limit, served).await.expect("it is kept").unwrap();
    }

    /// Sends all lines at once, ends the input, and gives what was answered.
    async fn talk(lines: &[&str]) -> Vec<Value> {
        talk_to(Arc::new(Echo(Identity::new("echo", "1", None))), lines).await
    }

    async fn talk_to<S: Service>(service: Arc<S>, lines: &[&str]) -> Vec<Value> {
        let limits = Limits {
            body_bytes: 2_000,
            drain_timeout: std::time::Duration::from_secs(60),
            ..Limits::default()
        };
        let input = io::Cursor::new(lines.join("\n").into_bytes());
        let output = Written::default();
        let lines = Lines::from_reader(input, limits.body_bytes).unwrap();
        serve_lines(
            service,
            &limits,
            lines,
            Output::to_writer(output.clone()).unwrap(),
            std::future::pending(),
        )
        .await
        .unwrap();
        output.messages()
    }

    /// What is told and answered to these requests, in a word for each.
    async fn told(lines: &[&str]) -> Vec<String> {
        let word = |message: &Value| match message["method"].as_str() {
            Some("notifications/progress") => {
                let params = &message["params"];
                format!("{} {}", params["progressToken"], params["progress"])
            }
            Some(_) => format!("{}", message["params"]["level"]),
            None => format!("answer {}", message["id"]),
        };
        talk_to(Fake::new(), lines).await.iter().map(word).collect()
    }

    #[tokio::test]
    async fn progress_and_the_log_come_before_the_answer_over_stdio() {
        let call = |id, meta: Value| {
            request(id, "tools/call", json!({"name": "tell-at-once", "_meta": meta}))
        };
        let begin = initialize("2025-11-25");
        let steps = ["\"p\" 1", "\"p\" 2", "\"p\" 3"];
        let asks = call(1, json!({"progressToken": "p"}));
        let heard = told(&[&begin, &asks]).await;
        assert_eq!(heard, [&["answer 0"][..], &steps, &["\"warning\"", "answer 1"]].concat());
        let set = request(7, "logging/setLevel", json!({"level": "debug"}));
        let heard = told(&[&begin, &set, &call(1, json!({}))]).await;
        assert_eq!(heard, ["answer 0", "answer 7", "\"debug\"", "\"warning\"", "answer 1"]);
        let set = request(7, "logging/setLevel", json!({"level": "alert"}));
        let heard = told(&[&begin, &set, &call(1, json!({}))]).await;
        assert_eq!(heard, ["answer 0", "answer 7", "answer 1"]);

        let mut meta = stateless("2026-07-28")["_meta"].clone();
        let heard = told(&[&call(1, meta.clone())]).await;
        assert_eq!(heard, ["answer 1"], "nobody asked for anything");
        meta["io.modelcontextprotocol/logLevel"] = json!("warning");
        meta["progressToken"] = json!("p");
        let heard = told(&[&call(1, meta)]).await;
        assert_eq!(heard, [&steps[..], &["\"warning\"", "answer 1"]].concat());
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!")]
    fn request(id: i64, method: &str, params: Value) -> String {
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
    }

    fn initialize(version: &str) -> String {
        request(
            0,
            "initialize",
            json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}),
        )
    }

    fn stateless(version: &str) -> Value {
        json!({"_meta": {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        }})
    }

    #[tokio::test]
    async fn every_version_with_sessions_is_agreed_on_as_asked() {
        for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let answers = talk(&[&initialize(version), &request(1, "tools/list", json!({}))]).await;
            assert_eq!(answers[0]["result"]["protocolVersion"], version);
            assert_eq!(answers[1]["result"]["tools"], json!([]));
            assert_eq!(
                answers[1]["result"].get("resultType"),
                None,
                "no stateless members in {version}"
            );
        }
        let answers = talk(&[&initialize("1900-01-01")]).await;
        assert_eq!(answers[0]["result"]["protocolVersion"], "2025-11-25");
    }

    #[tokio::test]
    async fn the_stateless_version_needs_no_handshake() {
        let answers = talk(&[
            &request(1, "server/discover", stateless("2026-07-28")),
            &request(2, "tools/list", stateless("2026-07-28")),
            &request(3, "tools/list", stateless("2099-01-01")),
            &request(4, "tools/list", json!({})),
        ])
        .await;
        let by_id = |id| answers.iter().find(|answer| answer["id"] == id).unwrap();
        assert_eq!(by_id(1)["result"]["supportedVersions"][0], "2026-07-28");
        assert_eq!(by_id(2)["result"]["cacheScope"], "private");
        assert_eq!(by_id(3)["error"]["code"], -32022);
        assert_eq!(by_id(4)["error"]["code"], -32602);
    }

    #[tokio::test]
    async fn subscriptions_graceful_closure_when_the_input_ends() {
        let mut params = stateless("2026-07-28");
        params["notifications"] = json!({"toolsListChanged": true});
        let answers = talk(&[
            &initialize("2025-11-25"),
            &request(7, "subscriptions/listen", params),
            &request(8, "tools/call", json!({"name": "slow"})),
        ])
        .await;
        assert_eq!(answers[1]["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(answers[2]["id"], 7);
        assert_eq!(answers[2]["result"]["resultType"], "complete");
        assert_eq!(answers[3]["id"], 8, "running requests finish");
        assert_eq!(answers.len(), 4);
    }

    /// Input that comes line by line.
    struct Typed(std::sync::mpsc::Receiver<String>, io::Cursor<Vec<u8>>);

    impl io::Read for Typed {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Self(lines, line) = self;
            if line.position() == line.get_ref().len() as u64
                && let Ok(next) = lines.recv()
            {
                *line = io::Cursor::new((next + "\n").into_bytes());
            }
            line.read(buffer)
        }
    }

    /// What is written until the client is asked.
    async fn asked(written: &Written) -> Vec<Value> {
        loop {
            let messages = written.messages();
            if messages.iter().any(|message| message["method"] == "roots/list") {
                return messages;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    fn asking() -> [String; 2] {
        let capabilities = json!({"roots": {}});
        let begin = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities});
        [request(0, "initialize", begin), request(1, "tools/call", json!({"name": "ask"}))]
    }

    #[tokio::test]
    async fn a_server_that_stops_takes_the_answers_that_what_runs_waits_for() {
        let limits = Limits::default();
        for cancels in [false, true] {
            let (client, typed) = std::sync::mpsc::channel();
            let lines = Lines::from_reader(Typed(typed, io::Cursor::default()), 1_000).unwrap();
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let written = Written::default();
            let output = Output::to_writer(written.clone()).unwrap();
            let served = serve_lines(Fake::new(), &limits, lines, output, stopped.map(drop));
            let speaks = async {
                asking().into_iter().for_each(|line| client.send(line).unwrap());
                let messages = asked(&written).await;
                stop.send(()).unwrap();
                // It is stopping for certain once it says so.
                let refused =
                    |answer: &Value| answer.to_string().contains("the server is stopping");
                while !written.messages().iter().any(refused) {
                    client.send(request(9, "ping", json!({}))).unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                let question = messages.iter().find(|message| message["method"] == "roots/list");
                let question = &question.unwrap()["id"];
                let answer = json!({"jsonrpc": "2.0", "id": question, "result": {"roots": []}});
                let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                    "params": {"requestId": 1}});
                client.send(if cancels { cancelled } else { answer }.to_string()).unwrap();
            };
            let limit = std::time::Duration::from_secs(20);
            let all = async { tokio::join!(served, speaks).0 };
            tokio::time::timeout(limit, all).await.expect("it waits on").unwrap();
            let answers = written.messages();
            let last = answers.iter().find(|answer| answer["id"] == 1);
            let text = last.map(|last| last["result"]["content"][0]["text"].to_string());
            assert_eq!(text.is_none(), cancels, "{answers:?}");
            assert!(text.is_none_or(|text| text.contains("Ok(")), "{answers:?}");
        }
    }

    #[tokio::test]
    async fn what_waits_for_a_client_whose_input_has_ended_is_told_so() {
        let lines = asking();
        let lines = lines.each_ref().map(String::as_str);
        let answers = talk_to(Fake::new(), &lines);
        let limit = std::time::Duration::from_secs(20);
        let answers = tokio::time::timeout(limit, answers).await.expect("it waits on");
        let last = answers.iter().find(|answer| answer["id"] == 1).unwrap();
        let text = last["result"]["content"][0]["text"].to_string();
        assert!(text.contains("Unreachable"), "{text}");
    }

    #[tokio::test]
    async fn json_rpc_5_what_answers_something_is_never_answered() {
        let answers = talk(&[
            &initialize("2025-11-25"),
            r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":"x","result":null}"#,
            &request(1, "ping", json!({})),
        ])
        .await;
        assert_eq!(answers.len(), 2, "{answers:?}");
    }

    #[tokio::test]
    async fn ping_is_answered_before_and_in_a_session() {
        let answers = talk(&[
            &request(1, "ping", json!({})),
            &initialize("2025-11-25"),
            &request(2, "ping", json!({})),
        ])
        .await;
        assert_eq!((&answers[0]["result"], &answers[2]["result"]), (&json!({}), &json!({})));
    }

    #[tokio::test]
    async fn a_second_initialize_is_refused() {
        let answers = talk(&[&initialize("2025-11-25"), &initialize("2025-11-25")]).await;
        assert_eq!(answers[1]["error"]["code"], -32600);
    }

    #[tokio::test]
    async fn a_missing_resource_has_the_code_of_the_session() {
        let answers = talk(&[
            &initialize("2025-11-25"),
            &request(1, "resources/read", json!({"uri": "x://y"})),
        ])
        .await;
        assert_eq!(answers[1]["error"]["code"], -32002);
    }

    #[tokio::test]
    async fn unreadable_lines_are_answered_and_the_next_ones_served() {
        let long = "x".repeat(3_000);
        let answers = talk(&["nonsense", "", &long, &request(1, "ping", json!({}))]).await;
        assert_eq!(answers.len(), 3, "{answers:?}");
        assert_eq!(answers[0]["error"]["code"], -32700);
        assert_eq!(answers[1]["error"]["code"], -32600);
        assert_eq!(answers[2]["id"], 1);
    }

    #[tokio::test]
    async fn n17_fifty_thousand_lines_that_are_no_messages_are_answered_one_by_one() {
        let junk = [": x", "data: {", "\u{1}", "[[[[", "{\"a\":", "\"\\ud800\""];
        let last = request(7, "ping", json!({}));
        let lines = junk.iter().copied().cycle().take(50_000).chain([&*last]);
        let answers = talk(&lines.collect::<Vec<_>>()).await;
        let (last, refused) = answers.split_last().unwrap();
        assert_eq!((&last["id"], refused.len()), (&json!(7), 50_000));
        let codes = [-32700, -32600].map(Value::from);
        assert!(refused.iter().all(|answer| codes.contains(&answer["error"]["code"])));
    }

    #[tokio::test]
    async fn what_is_refused_before_the_service_is_asked_is_recorded_once() {
        let service = Fake::new();
        let limits = Limits { body_bytes: 500, ..Limits::default() };
        let long = "x".repeat(600);
        let input = [
            "nonsense",
            &long,
            &request(1, "tools/list", json!({})),
            &initialize("2025-03-26"),
            &initialize("2025-03-26"),
            &request(2, "no/such", json!({})),
            r#"["#,
            r#"[{"jsonrpc":"2.0","id":3}]"#,
            &request(4, "ping", json!({})),
            &request(5, "tools/call", json!({"name": "denied"})),
        ];
        let input = io::Cursor::new(input.join("\n").into_bytes());
        let lines = Lines::from_reader(input, limits.body_bytes).unwrap();
        let output = Output::to_writer(Written::default()).unwrap();
        let stop = std::future::pending();
        serve_lines(Arc::clone(&service), &limits, lines, output, stop).await.unwrap();
        let refusals = service.refusals();
        let expected =
            ["envelope", "body", "envelope", "envelope", "envelope", "envelope", "envelope"];
        assert_eq!(refusals.len(), expected.len(), "{refusals:#?}");
        for (refusal, rule) in refusals.iter().zip(expected) {
            assert!(refusal.starts_with(&format!("{rule} - -: ")), "{refusal}");
        }
        assert_eq!(service.asked().len(), 1, "the call was not refused by the protocol");
    }

    #[tokio::test]
    async fn what_is_too_much_at_once_is_recorded_as_over_a_limit() {
        let service = Fake::new();
        let limits = Limits {
            concurrent_requests: 1,
            drain_timeout: std::time::Duration::from_millis(10),
            ..Limits::default()
        };
        let wait = |id| request(id, "tools/call", json!({"name": "wait"}));
        let input = [initialize("2025-11-25"), wait(1), wait(2)].join("\n");
        let lines = Lines::from_reader(io::Cursor::new(input.into_bytes()), 1_000).unwrap();
        let output = Output::to_writer(Written::default()).unwrap();
        let stop = std::future::pending();
        serve_lines(Arc::clone(&service), &limits, lines, output, stop).await.unwrap();
        let refusals = service.refusals();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert!(refusals[0].starts_with("limits - -: "), "{refusals:?}");
    }

    #[tokio::test]
    async fn a_request_in_flight_is_not_started_twice_and_can_be_cancelled() {
        let slow = request(7, "tools/call", json!({"name": "slow"}));
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}).to_string();
        let answers = talk(&[&initialize("2025-11-25"), &slow, &slow, &cancel]).await;
        assert_eq!(answers.len(), 2, "nothing is sent for a cancelled request: {answers:?}");
        assert_eq!(answers[1]["error"]["code"], -32600);
    }

    #[tokio::test]
    async fn batches_exist_in_2025_03_26_alone() {
        let batch = format!(
            r#"[{},{},{{"jsonrpc":"2.0","method":"notifications/initialized"}},{},{}]"#,
            request(1, "ping", json!({})),
            request(2, "tools/call", json!({"name": "hello"})),
            initialize("2025-03-26"),
            request(9, "tools/list", stateless("2026-07-28")),
        );
        let answers = talk(&[&initialize("2025-03-26"), &batch]).await;
        let batch_answer = answers[1].as_array().unwrap();
        assert_eq!(batch_answer.len(), 4);
        assert_eq!(batch_answer.iter().find(|a| a["id"] == 9).unwrap()["error"]["code"], -32600);
        assert_eq!(
            batch_answer.iter().find(|a| a["id"] == 2).unwrap()["result"]["content"][0]["text"],
            "hello"
        );
        assert_eq!(batch_answer.iter().find(|a| a["id"] == 0).unwrap()["error"]["code"], -32600);

        let answers = talk(&[&initialize("2025-06-18"), &batch]).await;
        assert_eq!(answers[1]["error"]["code"], -32600);
        let too_many = format!("[{}]", vec!["1"; 65].join(","));
        let answers = talk(&[&initialize("2025-03-26"), "[]", &too_many]).await;
        assert_eq!(
            (&answers[1]["error"]["code"], &answers[2]["error"]["code"]),
            (&json!(-32600), &json!(-32600))
        );
    }
}
