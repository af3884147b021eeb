//! What a collector refuses, and what it does not.

use super::*;
use crate::audit::tests::events::Events;

/// OpenTelemetry Protocol, "OTLP/HTTP", "Failures".
#[test]
fn e11_what_a_collector_refuses_for_good_is_lost_and_counted_and_stops_operations() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "500 Internal", "408 Slow"]
    {
        let collector = Collector::start();
        let sink = collector.sink();
        sink.record(&numbered(0)).unwrap();
        let first = collector.next();
        (1..4).for_each(|number| sink.record(&numbered(number)).unwrap());
        first.answer(status, "");
        let next = collector.next();
        assert_eq!(next.statuses(), [1, 2, 3], "{status}: the first is not sent again");
        assert_eq!(sink.lost(), 1, "{status}");
        assert!(sink.ready().is_err(), "{status}");
        next.answer(status, "");
        assert!(sink.flush().is_err(), "{status}");
        assert_eq!(sink.lost(), 4, "{status}");
        sink.record(&numbered(4)).unwrap();
        collector.next().take();
        sink.flush().unwrap();
        assert!(sink.ready().is_ok(), "{status}: it takes records again");
    }
}

/// Nothing else would show that the collector takes records again: none is recorded while it counts as
/// failing.
#[tokio::test(start_paused = true)]
async fn a_loss_stops_operations_for_ten_seconds() {
    let losses = Losses::new(&LOGS);
    losses.ready().unwrap();
    losses.add("a collector", 3, &"no");
    tokio::time::advance(Duration::from_millis(9_999)).await;
    assert!(losses.ready().is_err());
    tokio::time::advance(Duration::from_millis(1)).await;
    losses.ready().unwrap();
    assert!(losses.flush().is_err(), "they are lost still");
    losses.add("a collector", 1, &"no");
    assert!(losses.ready().is_err());
    losses.end();
    assert!(losses.ready().is_ok() && losses.flush().is_ok());
    assert_eq!(losses.all(), 4);
}

#[test]
fn e11_losses_are_told_once_a_second_and_none_is_left_out() {
    let events = Events::during(|| {
        let losses = Losses::new(&LOGS);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            (0..5).for_each(|_| losses.add("a collector", 2, &"status 401"));
            tokio::time::advance(Duration::from_secs(1)).await;
            losses.add("a collector", 1, &"status 401");
        });
    });
    let told: Vec<_> = events.iter().filter(|event| event.starts_with("ERROR")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("records=2") && told[0].contains("status 401"), "{told:?}");
    assert!(told[1].contains("records=9"), "{told:?}");
}

#[test]
fn e11_one_record_that_is_refused_takes_no_other_along() {
    for status in ["413 Too Large", "400 Bad Request", "422 Unprocessable"] {
        let collector = Collector::start();
        let sink = collector.sink();
        sink.record(&numbered(1_000)).unwrap();
        let first = collector.next();
        (0..100).for_each(|number| sink.record(&numbered(number)).unwrap());
        first.take();
        let (mut taken, mut requests) = (Vec::new(), 0);
        while taken.len() < 99 {
            let received = collector.next();
            // To be asked for fewer is no failure.
            assert!(sink.lost() > 0 || sink.ready().is_ok(), "{status}");
            requests += 1;
            match received.statuses() {
                statuses if statuses.contains(&77) => received.answer(status, ""),
                statuses => {
                    taken.extend(statuses);
                    received.take();
                }
            }
        }
        assert_eq!(taken, (0..100).filter(|number| *number != 77).collect::<Vec<_>>());
        assert!(requests < 30, "{requests} requests");
        sink.flush().unwrap();
        assert_eq!(sink.lost(), 1, "{status}");
        // From there on, more and more go at once again.
        sink.record(&numbered(1_000)).unwrap();
        let first = collector.next();
        (0..1_000).for_each(|number| sink.record(&numbered(number)).unwrap());
        first.take();
        let (mut taken, mut most) = (0, 0);
        while taken < 1_000 {
            let received = collector.next();
            taken += received.records().len();
            most = most.max(received.records().len());
            received.take();
        }
        assert!((40..=512).contains(&most), "{most}");
        sink.flush().unwrap();
    }
}

#[test]
fn an_answer_of_success_is_one_whatever_its_body_is() {
    let collector = Collector::start();
    let sink = collector.sink();
    let long = "x".repeat(100_000);
    for (status, body) in [("202 Accepted", ""), ("204 No Content", ""), ("200 OK", &*long)] {
        sink.record(&numbered(1)).unwrap();
        collector.next().answer(status, body);
        sink.flush().unwrap();
        assert!(sink.ready().is_ok(), "{status}");
    }
    // It ends within its body.
    sink.record(&numbered(1)).unwrap();
    let mut torn = collector.next();
    torn.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{").unwrap();
    drop(torn);
    sink.flush().unwrap();
    assert_eq!(sink.lost(), 0);
}

#[test]
fn e11_what_a_collector_takes_in_part_is_lost_in_part() {
    let rejected = |body: &str| collector::rejected(body.as_bytes(), 512);
    for body in [
        r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too old"}}"#,
        r#"{"partialSuccess":{"rejectedLogRecords":3,"errorMessage":"too old"}}"#,
    ] {
        assert_eq!(rejected(body), Some((3, "too old".to_owned())));
    }
    let more = r#"{"partialSuccess":{"rejectedLogRecords":18446744073709551615}}"#;
    assert_eq!(rejected(more), Some((512, String::new())), "no more than were sent");
    // A collector may repeat what it was sent, cut where the log cuts it.
    let secret = Secret::known("correct-horse-battery".to_owned());
    let text = format!("{}{}", "x".repeat(245), secret.expose());
    let echo = json!({"partialSuccess": {"rejectedLogRecords": 1, "errorMessage": text}});
    let (_, why) = rejected(&echo.to_string()).unwrap();
    assert!(!why.contains("correct"), "{why}");
    for body in ["", "{}", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":{"errorMessage":"x"}}"#]
    {
        assert_eq!(rejected(body), None, "{body}");
    }
    let events = Events::during(|| {
        let losses = Losses::new(&LOGS);
        losses.add("a collector", 3, &portcullis_guard::text::escaped("too\nold", 256));
    });
    assert!(events.iter().any(|event| event.contains(r"too\u{a}old")), "{events:?}");
    // As it answers.
    let collector = Collector::start();
    let sink = collector.sink();
    sink.record(&numbered(1)).unwrap();
    let body = r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}"#;
    collector.next().answer("200 OK", body);
    assert!(sink.flush().is_err());
    assert!(sink.ready().is_err());
    assert_eq!(sink.lost(), 1);
}
