//! Starts the testbed and speaks to it, byte by byte where that matters.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::audit::AuditFile;
use crate::marked::{
    KeptFolder, check_answer, check_reflection, kept_in, sniff_request, sniff_response, sniff_start,
};

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A testbed that serves HTTP on a port of its own, until it is dropped.
pub struct Testbed {
    /// None for a server within the test itself.
    child: Option<Child>,
    url: String,
    log: Arc<Mutex<String>>,
    /// Ends once the log is whole.
    collecting: Option<JoinHandle<()>>,
    audit: Option<AuditFile>,
}

impl Testbed {
    /// Starts `program` with `arguments` and waits until it listens. It logs all that there is,
    /// unless they say otherwise.
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        Self::start_with(program, arguments, &[])
    }

    /// As [`start`](Self::start), with variables.
    pub fn start_with(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(program, "127.0.0.1:0", arguments, variables)
    }

    /// As [`start_with`](Self::start_with), at an address that was chosen before.
    pub fn start_at(
        program: &str,
        address: SocketAddr,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::spawn(program, &address.to_string(), arguments, variables)
    }

    /// As [`start`](Self::start), at a Unix socket: what connects to it is not the testbed.
    pub fn start_at_socket(program: &str, socket: &Path, arguments: &[&str]) -> Self {
        Self::spawn(program, &format!("unix:{}", socket.display()), arguments, &[])
    }

    fn spawn(program: &str, address: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let audit = AuditFile::of(arguments);
        sniff_start(arguments, variables);
        let mut child = Command::new(program)
            .args(["--listen", address])
            .args(log_flags(arguments))
            .args(audit.flags())
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the testbed starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("stderr is piped");
        let collecting = Some(collect(stderr, Arc::clone(&log)));
        let started = Instant::now();
        let url = loop {
            let found = log
                .lock()
                .unwrap()
                .lines()
                .find_map(|l| l.strip_prefix("URL").map(|url| url.trim().to_owned()));
            match found {
                Some(url) => break url,
                None if started.elapsed() > PATIENCE => {
                    panic!("not listening:\n{}", log.lock().unwrap())
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        Self { child: Some(child), url, log, collecting, audit: Some(audit) }
    }

    /// One that serves at `url` already, and is not ours to stop.
    pub fn at(url: String) -> Self {
        Self { child: None, url, log: Arc::default(), collecting: None, audit: None }
    }

    /// Starts `program`, which reads its address from the environment, on a free port.
    pub fn on_free_port(program: &str) -> Self {
        Self::on_free_port_with(program, &[])
    }

    /// As [`on_free_port`](Self::on_free_port), with further variables.
    pub fn on_free_port_with(program: &str, variables: &[(&str, &str)]) -> Self {
        let free = free_address();
        sniff_start(&[], variables);
        let mut child = Command::new(program)
            .env("PORTCULLIS_LISTEN", free.to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("stderr is piped");
        let collecting = Some(collect(stderr, Arc::clone(&log)));
        let url = format!("http://{free}/mcp");
        let testbed = Self { child: Some(child), url, log, collecting, audit: None };
        let started = Instant::now();
        while TcpStream::connect(free).is_err() {
            assert!(started.elapsed() < PATIENCE, "not listening:\n{}", testbed.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        testbed
    }

    /// The URL that the testbed printed.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it is a process").id()
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log has `text`.
    pub fn wait_for_log(&self, text: &str) {
        self.wait_for_log_since(0, text);
    }

    /// Waits until what was logged after the first `since` bytes has `text`.
    pub fn wait_for_log_since(&self, since: usize, text: &str) {
        wait_for(&self.log, since, text);
    }

    /// Waits until the process has ended by itself; gives its exit code.
    pub fn exit_code(mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            match self.child.as_mut().expect("it is a process").try_wait().unwrap() {
                Some(status) => return status.code(),
                None if started.elapsed() > PATIENCE => panic!("still running"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        self.url.trim_start_matches("http://").split('/').next().unwrap()
    }

    /// A connection to the testbed.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends `bytes` and reads one response.
    pub fn send(&self, bytes: &[u8]) -> Response {
        let mut stream = self.connect();
        sniff_request(bytes);
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes);
        let response = Response::read(stream);
        check_reflection(bytes, &response.normalised("\n"));
        response
    }

    /// A request with `head` lines after the request line, and a body.
    pub fn request(&self, line: &str, head: &[&str], body: &[u8]) -> Response {
        self.send(&self.bytes(line, head, body))
    }

    /// The bytes of a request; the server closes the connection after it.
    pub fn bytes(&self, line: &str, head: &[&str], body: &[u8]) -> Vec<u8> {
        let mut bytes =
            format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.authority())
                .into_bytes();
        for header in head {
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// A well-formed request of 2026-07-28, as the holder of `token`.
    pub fn rpc(&self, token: Option<&str>, method: &str, params: Value) -> Response {
        self.send(&self.rpc_bytes(token, method, params))
    }

    /// As [`rpc`](Self::rpc), for a request that is answered with a stream.
    pub fn rpc_stream(&self, token: Option<&str>, method: &str, params: Value) -> Stream {
        self.open(&self.rpc_bytes(token, method, params))
    }

    /// The bytes of such a request; the server closes the connection after it.
    pub fn rpc_bytes(&self, token: Option<&str>, method: &str, params: Value) -> Vec<u8> {
        let head = rpc_head(token, method, &params);
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        self.bytes("POST /mcp", &head, message(method, params).to_string().as_bytes())
    }

    /// Sends `bytes` and reads the head of the answer.
    pub fn open(&self, bytes: &[u8]) -> Stream {
        let mut connection = self.connect();
        sniff_request(bytes);
        connection.write_all(bytes).unwrap();
        let mut reader = BufReader::new(connection);
        let response = Response::read_head(&mut reader);
        Stream { response, reader }
    }

    /// The result of a request that must have one.
    pub fn result(&self, token: Option<&str>, method: &str, params: Value) -> Value {
        let response = self.rpc(token, method, params);
        let mut json = response.json();
        assert_eq!(response.status, 200, "{json}");
        assert!(json.get("error").is_none(), "{json}");
        json["result"].take()
    }

    /// The result of calling a tool.
    pub fn call(&self, token: Option<&str>, tool: &str, arguments: Value) -> Value {
        self.result(token, "tools/call", json!({"name": tool, "arguments": arguments}))
    }
}

/// A client of a version with sessions.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    testbed: &'a Testbed,
    token: Option<&'a str>,
    id: Option<&'a str>,
}

impl Testbed {
    /// What the holder of `token` sends without a session.
    pub fn outside<'a>(&'a self, token: Option<&'a str>) -> Session<'a> {
        Session { testbed: self, token, id: None }
    }

    /// What the holder of `token` sends in the session `id`.
    pub fn session<'a>(&'a self, token: Option<&'a str>, id: &'a str) -> Session<'a> {
        Session { testbed: self, token, id: Some(id) }
    }

    /// Begins a session in `version`; gives its id.
    pub fn begin(&self, token: Option<&str>, version: &str) -> String {
        self.begin_with(token, version, json!({}))
    }

    /// As [`begin`](Self::begin), for a client that can be asked for something.
    pub fn begin_with(&self, token: Option<&str>, version: &str, capabilities: Value) -> String {
        let mut initialize = initialize(version);
        initialize["params"]["capabilities"] = capabilities;
        let response = self.outside(token).post(&[], &initialize);
        let agreed = response.json()["result"]["protocolVersion"].take();
        assert_eq!((response.status, &agreed), (200, &json!(version)), "{}", response.body);
        response.header("mcp-session-id").expect("the session has an id").to_owned()
    }
}

impl Session<'_> {
    /// Sends any request, with further lines in its head.
    pub fn send(&self, line: &str, head: &[&str], body: &str) -> Response {
        self.with(head, |head| self.testbed.request(line, head, body.as_bytes()))
    }

    /// Sends a message, or several.
    pub fn post(&self, head: &[&str], body: &Value) -> Response {
        self.send("POST /mcp", head, &body.to_string())
    }

    /// As [`post`](Self::post), for a request that is answered with a stream.
    pub fn post_stream(&self, body: &Value) -> Stream {
        self.testbed.open(&self.post_bytes(body))
    }

    /// The bytes of a message; the server closes the connection after it.
    pub fn post_bytes(&self, body: &Value) -> Vec<u8> {
        let body = body.to_string();
        self.with(&[], |head| self.testbed.bytes("POST /mcp", head, body.as_bytes()))
    }

    /// Goes on with such a stream after its event `last`.
    pub fn resume(&self, last: &str) -> Stream {
        let last = format!("Last-Event-ID: {last}");
        self.testbed.open(&self.with(&[&last], |head| self.testbed.bytes("GET /mcp", head, b"")))
    }

    /// The answer to a request, which has the id 1.
    pub fn ask(&self, method: &str, params: Value) -> Value {
        let response = self.post(&[], &request(1, method, params));
        assert_eq!(response.status, 200, "{}", response.body);
        response.json()
    }

    /// Calls `wait`, under an id.
    pub fn wait(&self, id: u64, ms: u64) -> Response {
        let params = json!({"name": "wait", "arguments": {"ms": ms}});
        self.post(&[], &request(id, "tools/call", params))
    }

    /// Opens the session's stream.
    pub fn stream(&self) -> Stream {
        self.testbed.open(&self.with(&[], |head| self.testbed.bytes("GET /mcp", head, b"")))
    }

    fn with<R>(&self, head: &[&str], send: impl FnOnce(&[&str]) -> R) -> R {
        let token = self.token.map(|token| format!("Authorization: Bearer {token}"));
        let id = self.id.map(|id| format!("Mcp-Session-Id: {id}"));
        let mut all =
            vec!["Content-Type: application/json", "Accept: application/json, text/event-stream"];
        all.extend(token.as_deref());
        all.extend(id.as_deref());
        all.extend(head);
        send(&all)
    }
}

/// A stream of events: of a session, or in answer to a request.
pub struct Stream {
    /// What it began with, without a body.
    pub response: Response,
    reader: BufReader<TcpStream>,
}

impl Stream {
    /// The next line that is neither empty nor the length of a chunk, if one comes within
    /// `patience`; an error when the stream has ended.
    pub fn line(&mut self, patience: Duration) -> io::Result<Option<String>> {
        self.reader.get_ref().set_read_timeout(Some(patience)).unwrap();
        loop {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if line == "0\r\n" => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if line.ends_with("\r\n") || line == "\n" => {}
                Ok(_) => {
                    check_answer(line.as_bytes());
                    return Ok(Some(line.trim_end().to_owned()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message, if one comes before the stream is silent for `patience`; none either
    /// when it has ended.
    pub fn message(&mut self, patience: Duration) -> Option<Value> {
        while let Ok(Some(line)) = self.line(patience) {
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
        None
    }

    /// Whether it is still open after a moment.
    pub fn is_open(&mut self) -> bool {
        while let Ok(line) = self.line(Duration::from_millis(500)) {
            if line.is_none() {
                return true;
            }
        }
        false
    }
}

/// An `initialize` that asks for `version`.
pub fn initialize(version: &str) -> Value {
    let client = json!({"name": "driver", "version": "1"});
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
    request(0, "initialize", params)
}

/// A request of a version with sessions.
pub fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

impl Drop for Testbed {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // Asked to stop, it removes its temporary folder.
        if matches!(child.try_wait(), Ok(None)) {
            terminate(child.id());
        }
        let asked = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && asked.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        if let (Some(collecting), Some(audit)) = (self.collecting.take(), &self.audit)
            && !std::thread::panicking()
        {
            collecting.join().unwrap();
            audit.has_each_refusal_of(&self.log());
            audit.keep();
        }
    }
}

/// The lines in the head of a request of 2026-07-28.
pub fn rpc_head(token: Option<&str>, method: &str, params: &Value) -> Vec<String> {
    let mut head = vec![
        "Content-Type: application/json".to_owned(),
        "Accept: application/json, text/event-stream".to_owned(),
        "MCP-Protocol-Version: 2026-07-28".to_owned(),
        format!("Mcp-Method: {method}"),
    ];
    head.extend(token.map(|token| format!("Authorization: Bearer {token}")));
    let name = ["name", "uri", "taskId"].into_iter().find_map(|name| params.get(name)?.as_str());
    head.extend(name.map(|name| format!("Mcp-Name: {name}")));
    head
}

/// A message of 2026-07-28 with all that has to be in it.
pub fn message(method: &str, mut params: Value) -> Value {
    let more = params["_meta"].take();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "driver", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        params["_meta"][name] = value.clone();
    }
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// A response, as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The status code; 0 if the connection was closed without an answer.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Response {
    /// Reads a response up to its declared length, or to the end of the connection; of a
    /// stream of events, which has neither, the head alone.
    pub fn read(stream: TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut response = Self::read_head(&mut reader);
        if response.header("content-type") == Some("text/event-stream") {
            return response;
        }
        let length = response.header("content-length").and_then(|length| length.parse().ok());
        let mut body = Vec::new();
        let _ = match length {
            Some(length) => reader.take(length).read_to_end(&mut body),
            None => reader.read_to_end(&mut body),
        };
        response.body = String::from_utf8(body).unwrap();
        check_answer(response.body.as_bytes());
        sniff_response(&response.headers, &response.body);
        response
    }

    fn read_head(reader: &mut impl BufRead) -> Self {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        check_answer(head.as_bytes());
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let headers: Vec<(String, String)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self { status, headers, body: String::new() }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.body))
    }

    /// The JSON-RPC error code.
    pub fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_default()
    }

    /// The whole response as text, with what may differ replaced: the date, and `echoed`.
    pub fn normalised(&self, echoed: &str) -> String {
        let headers =
            self.headers.iter().filter(|(name, _)| name != "date" && name != "content-length");
        let headers: Vec<String> =
            headers.map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{}\n{}\n\n{}", self.status, headers.join("\n"), self.body)
            .replace(echoed, "ECHOED")
    }
}

/// How much a program logs that was told nothing of it: all, and that of h2 too.
fn log_flags(arguments: &[&str]) -> &'static [&'static str] {
    if arguments.contains(&"--log") { &[] } else { &["--log", "trace,h2=trace"] }
}

/// A testbed as a child process that speaks stdio.
pub struct StdioTestbed {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    log: Arc<Mutex<String>>,
    collecting: JoinHandle<()>,
    audit: Option<AuditFile>,
}

impl StdioTestbed {
    /// Starts the testbed `program` on stdio.
    pub fn start(program: &str) -> Self {
        Self::start_with(program, &[])
    }

    /// As [`start`](Self::start), with further arguments.
    pub fn start_with(program: &str, arguments: &[&str]) -> Self {
        Self::start_as(program, arguments, &[])
    }

    /// As [`start_with`](Self::start_with), with variables.
    pub fn start_as(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let audit = AuditFile::of(&[]);
        sniff_start(arguments, variables);
        let mut command = Command::new(program);
        command.args(["--transport", "stdio"]).args(log_flags(arguments)).args(audit.flags());
        command.args(arguments).envs(variables.iter().copied());
        Self::spawn(&mut command, Some(audit))
    }

    /// Starts `program`, which reads its transport from the environment.
    pub fn with_variables(program: &str, variables: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(program).envs(variables.iter().copied()), None)
    }

    fn spawn(command: &mut Command, audit: Option<AuditFile>) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let collecting = collect(child.stderr.take().unwrap(), Arc::clone(&log));
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, log, collecting, audit }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log has `text`.
    pub fn wait_for_log(&self, text: &str) {
        wait_for(&self.log, 0, text);
    }

    /// Writes one line.
    pub fn write(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input
            .write_all(line.as_bytes())
            .and_then(|()| input.write_all(b"\n"))
            .and_then(|()| input.flush())
            .unwrap();
    }

    /// Reads one line, which has to be JSON.
    pub fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        check_answer(line.as_bytes());
        serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("not protocol on stdout: {line:?}\n{}", self.log()))
    }

    /// A request and its answer.
    pub fn ask(&mut self, message: &Value) -> Value {
        self.write(&message.to_string());
        self.read()
    }

    /// Ends the input, and gives what is still answered and the exit code.
    pub fn end(mut self) -> (String, Option<i32>) {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let code = self.child.wait().unwrap().code();
        self.collecting.join().unwrap();
        if let Some(audit) = self.audit {
            audit.has_each_refusal_of(&self.log.lock().unwrap());
        }
        (rest, code)
    }
}

/// An address of this machine where nobody listens.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap()
}

/// Sends SIGTERM.
pub fn terminate(process: u32) {
    signal(process, "-TERM");
}

/// Ends a process as if its machine had lost its power.
pub fn kill(process: u32) {
    signal(process, "-KILL");
}

/// Sends SIGINT, as Ctrl-C does.
pub fn interrupt(process: u32) {
    signal(process, "-INT");
}

/// Sends SIGHUP.
pub fn hang_up(process: u32) {
    signal(process, "-HUP");
}

fn signal(process: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Runs a command to its end and gives what it wrote to standard output.
pub fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(out.into_owned());
    }
    Err(io::Error::other(format!("{command:?} ended with {}\n{out}\n{err}", output.status)))
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn wait_for(log: &Mutex<String>, since: usize, text: &str) {
    let started = Instant::now();
    loop {
        let logged = log.lock().unwrap()[since..].to_owned();
        if logged.contains(text) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "never logged: {text:?}\n{logged}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a log to its end, and keeps it among those of the run.
fn collect(from: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    let mut kept = File::create(kept_in(KeptFolder::Logs, "log")).unwrap();
    std::thread::spawn(move || {
        for mut line in BufReader::new(from).lines().map_while(Result::ok) {
            line.push('\n');
            into.lock().unwrap().push_str(&line);
            kept.write_all(line.as_bytes()).unwrap();
        }
    })
}
