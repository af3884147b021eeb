//! What a caller learns from the time that it takes to be told of nothing.

use super::*;

#[tokio::test]
async fn a02_to_say_that_something_is_not_there_takes_its_time_over_http() {
    let hidden =
        Tool::new("hidden").auth(require_scopes(["admin"])).handler(|_call| async { "done" });
    let components = Components::new().with(plain("a")).with(hidden);
    let absence = Duration::from_millis(200);
    let server = Server::builder("test").no_auth().components(components);
    let server = server.limits(|limits| limits.not_found_delay = absence).build().unwrap();
    let service = EngineService(server.engine);
    let took = async |mut operation: Operation<'_>, exchange: Exchange| {
        let asked = Instant::now();
        let answered = service.serve(&mut operation, Arc::new(exchange)).await.is_ok();
        (answered, asked.elapsed())
    };
    let tool = |name: &'static str| Operation::CallTool {
        name: name.into(),
        arguments: Arguments::none(),
        input: InputResponses::default(),
    };
    let after = |name: &str| {
        let cursor = Some(URL_SAFE_NO_PAD.encode(name).into());
        Operation::ListTools { cursor }
    };
    let read =
        Operation::ReadResource { uri: "data://none".into(), input: InputResponses::default() };
    for operation in [tool("hidden"), tool("missing"), after("hidden"), after("missing"), read] {
        let (answered, time) = took(operation, over_http(None)).await;
        assert!(!answered && time >= absence, "after {time:?}");
    }
    let (answered, time) = took(tool("a"), over_http(None)).await;
    assert!(answered && time < absence, "what is there, after {time:?}");
    let (answered, time) = took(tool("missing"), over_stdio()).await;
    assert!(!answered && time < absence, "over stdio, after {time:?}");
}

/// Counts the spans that have not ended.
#[derive(Clone, Default)]
struct OpenSpans(Arc<AtomicUsize>);

impl tracing::Subscriber for OpenSpans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == "operation"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.0.fetch_add(1, Ordering::SeqCst);
        tracing::span::Id::from_u64(1)
    }

    fn clone_span(&self, id: &tracing::span::Id) -> tracing::span::Id {
        self.0.fetch_add(1, Ordering::SeqCst);
        id.clone()
    }

    fn try_close(&self, _: tracing::span::Id) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) == 1
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a02_a_span_ends_before_its_caller_waits_to_be_told_that_nothing_is_there() {
    let waits = Tool::new("waits").handler(|_call| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        "done"
    });
    let components = Components::new().with(waits);
    let server = Server::builder("test").no_auth().components(components);
    let absence = Duration::from_millis(200);
    let server = server.limits(|limits| limits.not_found_delay = absence).build().unwrap();
    let service = EngineService(server.engine);
    let open = OpenSpans::default();
    // With one subscriber alone, what a thread without one meets first is off for all.
    let _another = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _guard = tracing::subscriber::set_default(open.clone());
    for (name, spans) in [("waits", true), ("missing", false)] {
        let mut asked = pin!(call(&service, name, over_http(None)));
        assert!(futures_util::poll!(&mut asked).is_pending(), "{name}");
        assert_eq!(open.0.load(Ordering::SeqCst) > 0, spans, "{name}");
        assert_eq!(asked.await.is_ok(), spans);
        assert_eq!(open.0.load(Ordering::SeqCst), 0, "{name}");
    }
}
