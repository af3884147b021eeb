//! Lines for a server that is away, slow or full.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A server that is away as long as it is told to, and takes one line at a time.
#[derive(Clone, Default)]
struct Server(Arc<(AtomicBool, Mutex<Vec<u8>>)>);

/// A server that takes one line, and no more.
struct Once(bool);

impl Delivery for Once {
    fn deliver(&mut self, lines: &[u8]) -> io::Result<usize> {
        match std::mem::replace(&mut self.0, true) {
            false => Ok(lines.iter().position(|byte| *byte == b'\n').unwrap() + 1),
            true => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    fn name(&self) -> String {
        "a server".to_owned()
    }
}

impl Server {
    fn is_away(&self, away: bool) {
        self.0.0.store(away, Ordering::SeqCst);
    }

    fn lines(&self) -> String {
        String::from_utf8(self.0.1.lock().unwrap().clone()).unwrap()
    }
}

impl Delivery for Server {
    fn deliver(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.0.0.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let end = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        self.0.1.lock().unwrap().extend_from_slice(&lines[..end]);
        Ok(end)
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn name(&self) -> String {
        "a server".to_owned()
    }
}

fn push(deliveries: &Deliveries, text: &str) -> Result<(), DeliveryError> {
    deliveries.push(|line| {
        line.extend_from_slice(text.as_bytes());
        Ok(())
    })
}

#[test]
fn lines_wait_for_a_server_that_is_away_and_arrive_once_and_in_order() {
    let server = Server::default();
    let deliveries = Deliveries::start(server.clone()).unwrap();
    push(&deliveries, "one").unwrap();
    deliveries.flush().unwrap();
    server.is_away(true);
    push(&deliveries, "two").unwrap();
    assert!(matches!(deliveries.flush(), Err(DeliveryError::Failed(_))));
    assert!(matches!(deliveries.ready(), Err(DeliveryError::Failed(_))));
    push(&deliveries, "three").unwrap();
    assert_eq!(server.lines(), "one\n");
    server.is_away(false);
    deliveries.flush().unwrap();
    deliveries.ready().unwrap();
    assert_eq!(server.lines(), "one\ntwo\nthree\n");
}

#[test]
fn what_waits_is_bounded_and_room_comes_back_line_by_line() {
    let server = Server::default();
    let deliveries = Deliveries::start(server.clone()).unwrap();
    server.is_away(true);
    let megabyte = "m".repeat(1024 * 1024 - 1);
    (0..8).for_each(|_| push(&deliveries, &megabyte).unwrap());
    assert!(matches!(push(&deliveries, ""), Err(DeliveryError::Full)));
    server.is_away(false);
    deliveries.flush().unwrap();
    push(&deliveries, "room again").unwrap();
    deliveries.flush().unwrap();
    assert_eq!(server.lines().lines().count(), 9);
}

#[test]
fn a_line_that_does_not_fit_is_refused_and_a_shorter_one_is_taken() {
    let server = Server::default();
    let deliveries = Deliveries::start(server.clone()).unwrap();
    server.is_away(true);
    push(&deliveries, &"m".repeat(7 * 1024 * 1024)).unwrap();
    let long = "m".repeat(2 * 1024 * 1024);
    assert!(matches!(push(&deliveries, &long), Err(DeliveryError::Full)));
    push(&deliveries, "short").unwrap();
    server.is_away(false);
    deliveries.flush().unwrap();
    assert_eq!(server.lines().lines().skip(1).collect::<Vec<_>>(), ["short"]);
}

/// Both lines go to the server at once, and it takes the first.
#[test]
fn room_comes_back_while_the_rest_of_a_batch_waits() {
    let deliveries = Deliveries::start(Once(false)).unwrap();
    let half = "m".repeat(4 * 1024 * 1024 - 1);
    push(&deliveries, &format!("{half}\n{half}")).unwrap();
    while deliveries.ready().is_ok() || push(&deliveries, "x").is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_end_delivers_what_is_left_and_does_not_wait_for_a_server_that_stays_away() {
    let server = Server::default();
    let deliveries = Deliveries::start(server.clone()).unwrap();
    (0..100).for_each(|number| push(&deliveries, &number.to_string()).unwrap());
    drop(deliveries);
    assert_eq!(server.lines().lines().count(), 100);

    let deliveries = Deliveries::start(server.clone()).unwrap();
    server.is_away(true);
    push(&deliveries, "lost").unwrap();
    drop(deliveries);
    assert_eq!(Arc::strong_count(&server.0), 1, "the thread has ended");
    assert_eq!(server.lines().lines().count(), 100);
}

/// A server whose lines gather for an hour.
struct Patient(Server);

impl Delivery for Patient {
    fn deliver(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.0.1.lock().unwrap().extend_from_slice(lines);
        Ok(lines.len())
    }

    fn gathers(&self) -> Duration {
        Duration::from_secs(3_600)
    }

    fn name(&self) -> String {
        "a server".to_owned()
    }
}

#[test]
fn lines_gather_until_somebody_waits_for_them_or_they_are_many() {
    let server = Server::default();
    let deliveries = Deliveries::start(Patient(server.clone())).unwrap();
    push(&deliveries, "a").unwrap();
    push(&deliveries, "b").unwrap();
    assert_eq!(server.lines(), "");
    deliveries.flush().unwrap();
    assert_eq!(server.lines(), "a\nb\n");
    let line = "x".repeat(1024);
    // Twice as many and more: the first of them may go with what was flushed.
    for _ in 0..700 {
        push(&deliveries, &line).unwrap();
    }
    let arrived = (0..6_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        server.lines().len() >= 256 * 1024
    });
    assert!(arrived, "they gather for ever");
}
