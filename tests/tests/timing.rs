//! A02: how long it takes to be told that something is not there says nothing of whether it is
//! (CWE-208). A test binary of its own, because nothing else runs beside it.

use std::io::{Read, Write, stderr};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use portcullis::audit::JsonLines;
use portcullis::component::{Argument, Call, Component, ComponentKind};
use portcullis::prelude::*;
use portcullis::server::{AuthSet, Limits};
use portcullis::{ServerBuilder, Tool};
use portcullis_tests::driver::Testbed;
use portcullis_tests::oracle::{self, BOB, Cause, uses};
use portcullis_tests::ranks::{Apart, mann_whitney};
use portcullis_tests::served::Served;

/// How often each of two things is asked for.
const SAMPLES: usize = 2_000;
/// Connections at once. Each waits for most of its time.
const LINES: usize = 6;
const VISIBLE: [&str; 5] = ["common", "public", "normal", "direct", "simple"];

/// A connection that stays open.
struct Line(TcpStream);

impl Line {
    fn open(testbed: &Testbed) -> Self {
        let stream = testbed.connect();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// The first answer to `request`, to its end.
    fn learn(&mut self, request: &[u8]) -> Vec<u8> {
        self.0.write_all(request).unwrap();
        let mut answer = Vec::new();
        loop {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            answer.extend(byte);
            if let Some(head) = answer.strip_suffix(b"\r\n\r\n") {
                let head = String::from_utf8(head.to_vec()).unwrap().to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).unwrap();
                let length = length.split("\r\n").next().unwrap().parse().unwrap();
                let mut body = vec![0; length];
                self.0.read_exact(&mut body).unwrap();
                answer.extend(body);
                return answer;
            }
        }
    }

    /// How long `request` takes to be answered, in nanoseconds.
    fn time(&mut self, request: &[u8], answer: &mut [u8]) -> u64 {
        let asked = Instant::now();
        self.0.write_all(request).unwrap();
        self.0.read_exact(answer).unwrap();
        u64::try_from(asked.elapsed().as_nanos()).unwrap()
    }

    /// Asks for both, in random order, and compares how long they take.
    fn compare(&mut self, requests: [&[u8]; 2]) -> Apart {
        let mut answers = requests.map(|request| self.learn(request));
        assert_eq!(answers[0].len(), answers[1].len(), "the length tells them apart");
        let mut random = Random::new();
        let mut order: Vec<usize> = (0..SAMPLES * 2).map(|number| number % 2).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at + 1));
        }
        let mut times = [Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES)];
        for which in order {
            times[which].push(self.time(requests[which], &mut answers[which]));
        }
        mann_whitney(&times[0], &times[1])
    }
}

/// Numbers that follow no pattern (xorshift64*).
struct Random(u64);

impl Random {
    fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one("seed") | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % bound
    }
}

/// The bytes of the first way to use what has `word` in its name, on a connection that stays.
fn request(testbed: &Testbed, token: Option<&str>, kind: ComponentKind, word: &str) -> Vec<u8> {
    let (method, params) = uses(kind, word).swap_remove(0);
    let bytes = String::from_utf8(testbed.rpc_bytes(token, method, params)).unwrap();
    bytes.replace("Connection: close\r\n", "").into_bytes()
}

/// Past the capture of the test harness: these figures are to be seen.
fn say(line: &str) {
    stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// How far apart what is hidden and what is missing are, by their times.
fn compared(
    testbed: &Testbed,
    token: Option<&str>,
    kind: ComponentKind,
    words: [&str; 2],
) -> Apart {
    let requests = words.map(|word| request(testbed, token, kind, word));
    let [hidden, missing] = &requests;
    Line::open(testbed).compare([hidden, missing])
}

#[test]
fn a02_what_is_hidden_takes_as_long_as_what_does_not_exist() {
    // As in production, every operation is logged and recorded in a file.
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let folder = tempfile::tempdir().unwrap();
    let serve = |name: &str, server: ServerBuilder<AuthSet>, absence: Duration| {
        let audit = JsonLines::open(folder.path().join(name)).unwrap();
        let server = server.component(slower()).audit(audit);
        Served::start_unlogged(
            server.limits(|limits| limits.not_found_delay = absence).build().unwrap(),
        )
    };
    let usual = Limits::default().not_found_delay;
    let guarded = serve("guarded", oracle::guarded(&VISIBLE, &Cause::OF_BOB), usual);
    let open = serve("open", oracle::open(&VISIBLE, &Cause::ALL), usual);
    let at_once = serve("at_once", oracle::guarded(&VISIBLE, &Cause::OF_BOB), Duration::ZERO);
    let started = Instant::now();

    let Apart { z, p } = compared(&at_once, BOB, ComponentKind::Tool, ["slower", "slowex"]);
    say(&format!("A02 a check of 300 us, answered at once: z {z:+.2}, p {p:.2e}"));
    assert!(p < 1e-6, "a difference would not be noticed");

    let pairs = ComponentKind::ALL.into_iter().flat_map(|kind| {
        let of_bob = Cause::OF_BOB.map(|cause| (&guarded, BOB, kind, cause.word()));
        of_bob.into_iter().chain([(&open, None, kind, Cause::Caller.word())])
    });
    // Bonferroni: that of so many none is below it by chance.
    let limit = 0.001 / pairs.clone().count() as f64;
    let (pairs, told) = (Mutex::new(pairs), Mutex::new(Vec::new()));
    let compare_all = || {
        while let Some((testbed, token, kind, word)) = { pairs.lock().unwrap().next() } {
            let missing = format!("{}x", &word[..word.len() - 1]);
            let attempt = || {
                let Apart { z, p } = compared(testbed, token, kind, [word, &missing]);
                say(&format!("A02 {kind:8} {word} and {missing}: z {z:+.2}, p {p:.2e}"));
                p > limit
            };
            // A machine that does something else may be unlucky once.
            if !attempt() && !attempt() {
                told.lock().unwrap().push(format!("{kind} {word}"));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..LINES {
            scope.spawn(compare_all);
        }
    });
    say(&format!("A02 took {:.1?}", started.elapsed()));
    let told = told.into_inner().unwrap();
    assert_eq!(told, Vec::<String>::new(), "their times tell that these are there");
}

/// Hidden by a check that takes 300 microseconds.
fn slower() -> Component {
    let takes_its_time = |_: &AuthContext<'_>| {
        let started = Instant::now();
        while started.elapsed() < Duration::from_micros(300) {
            std::hint::spin_loop();
        }
        false
    };
    let id = Argument::new("id");
    Tool::new("use_slower").auth(takes_its_time).parameter::<u8>(id).handler(|_: Call| async {})
}
