//! Syslog servers over Unix sockets and TCP: slow, away and restarted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn send(server: &SyslogServer, number: usize) {
    server.send(|message| message.write_all(format!("message {number}").as_bytes())).unwrap();
}

fn wait_until_it_fails(server: &SyslogServer) {
    while server.ready().is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the server")]
fn socket(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

#[expect(clippy::disallowed_methods, reason = "the test is the server")]
fn listener(address: &str) -> TcpListener {
    TcpListener::bind(address).unwrap()
}

fn accept(listener: &TcpListener) -> BufReader<TcpStream> {
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(SOON)).unwrap();
    BufReader::new(stream)
}

fn datagram(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// One octet-counted message; nothing at the end of the connection.
fn frame(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = Vec::new();
    stream.read_until(b' ', &mut length).unwrap();
    let length = String::from_utf8(length).unwrap();
    if length.is_empty() {
        return None;
    }
    let mut message = vec![0; length.trim_end().parse().unwrap()];
    stream.read_exact(&mut message).unwrap();
    Some(String::from_utf8(message).unwrap())
}

#[test]
fn datagrams_arrive_whole_and_in_order_from_a_server_with_little_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = socket(&path);
    let server = SyslogServer::unix(&path).unwrap();
    // More than a socket holds: the sender waits for room.
    (0..2_000).for_each(|number| send(&server, number));
    for number in 0..2_000 {
        assert_eq!(datagram(&socket), format!("message {number}"));
    }
    server.flush().unwrap();
}

#[test]
fn messages_wait_while_the_server_is_away_and_go_to_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let first = socket(&path);
    let server = SyslogServer::unix(&path).unwrap();
    send(&server, 0);
    assert_eq!(datagram(&first), "message 0");
    drop(first);
    std::fs::remove_file(&path).unwrap();
    (1..4).for_each(|number| send(&server, number));
    wait_until_it_fails(&server);
    send(&server, 4);

    let second = socket(&path);
    for number in 1..5 {
        assert_eq!(datagram(&second), format!("message {number}"));
    }
    server.flush().unwrap();
    server.ready().unwrap();
}

#[test]
fn a_server_that_was_started_again_is_found_before_anything_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let first = socket(&path);
    let server = SyslogServer::unix(&path).unwrap();
    drop(first);
    std::fs::remove_file(&path).unwrap();
    let second = socket(&path);
    send(&server, 0);
    assert_eq!(datagram(&second), "message 0");
    server.ready().unwrap();
}

#[test]
fn a_message_that_no_datagram_holds_keeps_no_other_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = socket(&path);
    let server = SyslogServer::unix(&path).unwrap();
    send(&server, 0);
    server.send(|message| message.write_all(&[b'x'; 4 * 1024 * 1024])).unwrap();
    send(&server, 1);
    assert_eq!([datagram(&socket), datagram(&socket)], ["message 0", "message 1"]);
    server.flush().unwrap();
    server.ready().unwrap();
}

#[test]
fn messages_over_tcp_are_counted_and_in_order() {
    let listener = listener("127.0.0.1:0");
    let server = SyslogServer::tcp(listener.local_addr().unwrap()).unwrap();
    let mut stream = accept(&listener);
    (0..5_000).for_each(|number| send(&server, number));
    for number in 0..5_000 {
        assert_eq!(frame(&mut stream).unwrap(), format!("message {number}"));
    }
    drop(server);
    assert_eq!(frame(&mut stream), None);
}

/// The rest of a message that was torn comes over the same connection, however long that takes.
#[test]
fn a_slow_server_gets_each_message_once() {
    let listener = listener("127.0.0.1:0");
    let server = SyslogServer::tcp(listener.local_addr().unwrap()).unwrap();
    let mut stream = accept(&listener);
    let long = "x".repeat(60_000);
    // More than the buffers of a connection hold.
    for number in 0..130 {
        server.send(|message| write!(message, "{number} {long}")).unwrap();
    }
    // It reads nothing for longer than the sender waits.
    wait_until_it_fails(&server);
    for number in 0..130 {
        assert_eq!(frame(&mut stream).unwrap(), format!("{number} {long}"));
    }
    server.flush().unwrap();
}

#[test]
fn a_connection_that_was_closed_is_left_before_a_message_is_written_to_it() {
    let listener = listener("127.0.0.1:0");
    let server = SyslogServer::tcp(listener.local_addr().unwrap()).unwrap();
    let mut before = accept(&listener);
    for number in 0..3 {
        drop(before);
        send(&server, number);
        before = accept(&listener);
        assert_eq!(frame(&mut before).unwrap(), format!("message {number}"));
    }
    server.ready().unwrap();
}

#[test]
fn a_message_that_was_torn_is_whole_on_the_next_connection() {
    let listener = listener("127.0.0.1:0");
    let address = listener.local_addr().unwrap();
    let server = SyslogServer::tcp(address).unwrap();
    let mut stream = accept(&listener);
    let long = "x".repeat(60_000);
    for number in 0..130 {
        server.send(|message| write!(message, "{number} {long}")).unwrap();
    }
    wait_until_it_fails(&server);
    assert_eq!(frame(&mut stream).unwrap(), format!("0 {long}"));
    drop(stream);
    let mut stream = accept(&listener);
    let mut numbers = Vec::new();
    while numbers.last() != Some(&129) {
        let message = frame(&mut stream).unwrap();
        let (number, rest) = message.split_once(' ').unwrap();
        assert_eq!(rest, long);
        numbers.push(number.parse::<usize>().unwrap());
    }
    // What the connection of before held is lost; from there on, each message came once.
    let begin = numbers[0];
    assert!(begin > 0, "{numbers:?}");
    assert_eq!(numbers, (begin..130).collect::<Vec<_>>());
}

#[test]
fn e10_a_message_is_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = socket(&path);
    let server = SyslogServer::unix(&path).unwrap();
    for forged in ["a\n<86>1 forged", "a\r", "nul\0", "\u{7f}", ""] {
        let refused = server.send(|message| message.write_all(forged.as_bytes()));
        assert!(matches!(refused, Err(DeliveryError::Failed(_))), "{forged:?}");
    }
    server.send(|_| Err(io::Error::other("no more"))).unwrap_err();
    send(&server, 1);
    assert_eq!(datagram(&socket), "message 1");
}

#[test]
fn a_server_elsewhere_is_refused() {
    for elsewhere in ["192.0.2.1:601", "10.0.0.1:601", "[2001:db8::1]:601", "0.0.0.0:601"] {
        let error = SyslogServer::tcp(elsewhere.parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{elsewhere}");
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(SyslogServer::unix(folder.path().join("log")).is_err());
    let free = listener("127.0.0.1:0").local_addr().unwrap();
    assert!(SyslogServer::tcp(free).is_err());
}
