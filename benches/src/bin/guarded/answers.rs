//! The server that both clients ask.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use benches::Result;

/// The path of a small JSON.
pub(super) const SMALL: &str = "/small";
/// The path of one of 100 KB.
pub(super) const LARGE: &str = "/large";

const SMALL_BYTES: usize = 200;
const LARGE_BYTES: usize = 100_000;

/// Says its origin, and answers each connection in a thread of its own until its input ends.
pub(super) fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(std::result::Result::ok) {
            thread::spawn(move || answer_all(stream));
        }
    });
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

fn answer_all(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let (small, large) = (answer(SMALL_BYTES), answer(LARGE_BYTES));
    let mut stream = BufReader::new(stream);
    while let Some(path) = request(&mut stream) {
        let answer = if path == LARGE { &large } else { &small };
        if stream.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

/// A JSON text of so many bytes, with a head as servers of APIs send it.
fn answer(bytes: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\
         cache-control: private, max-age=60\r\ndate: Sun, 29 Nov 2026 12:00:00 GMT\r\n\
         etag: \"33a64df551425fcc55e4d42a148795d9f25f89d4\"\r\nvary: accept-encoding\r\n\r\n"
    );
    let text = "x".repeat(bytes - 2);
    format!("{head}\"{text}\"").into_bytes()
}

/// Reads a request, and gives its path.
fn request(stream: &mut impl BufRead) -> Option<String> {
    let (mut line, mut length, mut path) = (String::new(), 0, None);
    loop {
        line.clear();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        path.get_or_insert_with(|| line.split(' ').nth(1).unwrap_or_default().to_owned());
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            std::io::copy(&mut stream.take(length), &mut std::io::sink()).ok()?;
            return path;
        }
    }
}
