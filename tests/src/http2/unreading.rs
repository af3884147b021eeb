//! Frame by frame: a client that makes no room for answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;

/// A connection whose streams have no room for answers.
pub struct Unreading {
    connection: TcpStream,
    authority: String,
    next: u32,
    /// The types of the frames that came, by stream.
    pub frames: Vec<(u8, u32)>,
}

impl Unreading {
    /// Begins to speak HTTP/2 over `connection`.
    pub fn begin(mut connection: TcpStream, authority: &str) -> Self {
        connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        // SETTINGS_INITIAL_WINDOW_SIZE of 0.
        connection.write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]).unwrap();
        Self { connection, authority: authority.to_owned(), next: 1, frames: Vec::new() }
    }

    /// Sends a request for `/mcp`, and gives its stream.
    pub fn request(&mut self, method: &str, head: &[(&str, &str)], body: &[u8]) -> u32 {
        let (stream, authority) = (self.next, self.authority.clone());
        self.next += 2;
        let fixed = [
            (":method", method),
            (":scheme", "http"),
            (":path", "/mcp"),
            (":authority", &authority),
        ];
        let mut block = Vec::new();
        for (name, value) in fixed.iter().chain(head) {
            // A literal field that is not indexed (RFC 7541 §6.2.2).
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend_from_slice(text.as_bytes());
            }
        }
        let ends = u8::from(body.is_empty());
        self.send(HEADERS, 4 | ends, stream, &block);
        if !body.is_empty() {
            self.send(0, 1, stream, body);
        }
        stream
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.connection.write_all(&[&head, payload].concat()).unwrap();
    }

    /// Takes frames, and answers pings, for so long or until the connection ends.
    pub fn listen(&mut self, time: Duration) {
        let started = Instant::now();
        let mut head = [0; 9];
        while started.elapsed() < time {
            match self.connection.read_exact(&mut head) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(_) => return,
            }
            let [a, b, c, kind, flags, stream @ ..] = head;
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            let mut payload = vec![0; length];
            self.connection.read_exact(&mut payload).unwrap();
            if kind == PING && flags & 1 == 0 {
                self.send(PING, 1, 0, &payload);
            }
            self.frames.push((kind, u32::from_be_bytes(stream)));
        }
    }

    /// Whether the server gave `stream` up.
    #[must_use]
    pub fn is_reset(&self, stream: u32) -> bool {
        self.frames.contains(&(RST_STREAM, stream))
    }

    /// The types of the frames of one stream.
    #[must_use]
    pub fn of(&self, stream: u32) -> Vec<u8> {
        self.frames.iter().filter(|(_, of)| *of == stream).map(|(kind, _)| *kind).collect()
    }
}
