//! The limits of a server, and their defaults.

use std::time::Duration;

/// The limits of a server, over either transport. The numbers are for all clients together, unless
/// their names say otherwise.
///
/// # What waits and what is unread
///
/// What clients keep waiting over HTTP, authenticated or not, counts against one budget. It is for
/// all together; one address may have three quarters of each
/// ([`connections_per_address`](Self::connections_per_address)), unless it is of this machine,
/// where a proxy may be; and one principal, through all its clients, a quarter of the unread answers
/// and half of what else waits. Beyond it a request gets a 503 with `Retry-After`.
///
/// | what | how much | until |
/// |---|---|---|
/// | connections | 1,024, and 64 for custom routes alone, for 5 s at most | 10 s without a request, 60 s without an accepted token, 64 times 401 one after the other |
/// | tokens that the verifier has to wait for | 128, a quarter of [`concurrent_requests`](Self::concurrent_requests) | [`decision_timeout`](Self::decision_timeout), 10 s |
/// | requests | 512, and as many to custom routes; of those whose bodies are on their way half of one principal | [`handler_timeout`](Self::handler_timeout), 60 s, and [`body_timeout`](Self::body_timeout), 30 s |
/// | operations of one principal | 16 run, and until there is room for their answers; up to 512 of all principals, 256 of one, wait for that | [`handler_timeout`](Self::handler_timeout), 60 s |
/// | bodies, once more than 64 KiB of one has come | 64 MiB | the answer, and [`body_timeout`](Self::body_timeout), 30 s, to send them |
/// | bodies over HTTP/2 that nobody reads yet | 64 KiB each | the request is read or refused |
/// | rests of bodies that have their answer | nothing is kept; 64 MiB are read | 10 s |
/// | answers that are not taken: over HTTP/2 of more than 1 KiB, over HTTP/1 of more than 64 KiB | 32 MiB, 4 MiB of one connection that has others unread; one more waits for room | [`write_timeout`](Self::write_timeout), 30 s; once half is used, 2.5 s without taking anything |
/// | answers that wait for room, and batches that go on | 512 of principals, that keep the places of their operations; of batches and all others 32 MiB, 16 MiB of all without a principal | [`write_timeout`](Self::write_timeout), 30 s |
///
/// A known token never waits behind unverified ones that the verifier waits for. One answer
/// may be larger than what is left. What handlers themselves hold is not counted: it is theirs,
/// for as many as run.
///
/// # Example
///
/// A server's builder lends them to be changed: `.limits(|limits| limits.handler_timeout = …)`. One cannot
/// be written as a struct expression, since further limits may come.
///
/// ```
/// # mod portcullis { pub extern crate portcullis_protocol as server; }
/// use portcullis::server::Limits;
/// use std::time::Duration;
///
/// let mut limits = Limits::default();
/// assert_eq!(limits.body_bytes, 4 * 1024 * 1024);
/// limits.handler_timeout = Duration::from_secs(10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest body, and the longest line over stdio: 4 MiB. More gets a 413.
    pub body_bytes: usize,
    /// The largest head of a request: 32 KiB, twice the longest token. More gets a 431.
    pub header_bytes: usize,
    /// How long a client may take to send the head of a request, and how long a
    /// connection may stay idle: 10 s. Then it is closed, after at most a quarter more.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take: 10 s. Then the connection is closed.
    #[cfg(feature = "tls")]
    pub handshake_timeout: Duration,
    /// How long a client may leave an answer unread: 30 s. Then the connection is closed;
    /// over HTTP/2, where each stream has room of its own, a stream is dropped by itself.
    pub write_timeout: Duration,
    /// How long a client may take to send a body: 30 s. Then it gets a 408. Over HTTP+SSE it has as long
    /// to send `initialize` once it has its stream, which ends then.
    pub body_timeout: Duration,
    /// How long a token verifier, or all access checks of one operation, may take: 10 s. Then the
    /// request is refused.
    pub decision_timeout: Duration,
    /// The shortest time, over HTTP, after which a caller learns that something does not exist: 2
    /// ms. Without it, a hidden component would be told from a missing one by the time that its
    /// check takes (timing side channel, CWE-208). The answer goes out at the end of a slot of two
    /// milliseconds, so up to two later, and in random order within it. It has to be longer than
    /// checks take that ask a database or the network.
    pub not_found_delay: Duration,
    /// How long a handler may run: 60 s. Then it is dropped, and the caller is told.
    pub handler_timeout: Duration,
    /// How long a client may take to answer what it is asked in the middle of a request: 10 min for each
    /// round or question. Then the request has to be sent from its beginning. The time of the
    /// function ([`handler_timeout`](Self::handler_timeout)) stands still meanwhile.
    pub input_timeout: Duration,
    /// In how many rounds a function may ask its client: 10. One more is an internal error. In a session,
    /// what is asked while another question waits belongs to its round.
    pub input_rounds: usize,
    /// Tasks that run at once, of all principals: 256. A call that would be one more is answered with an
    /// error.
    pub tasks: usize,
    /// Tasks that are kept for one principal, whether they run or have ended: 64. A call that would be one
    /// more is answered with an error, until one of them expires. Over HTTP without authentication nobody
    /// is told from anybody, and all have as many together as may run at once.
    pub tasks_per_principal: usize,
    /// How long the function of a task may run: 30 min, with the time in which its client is asked.
    /// Then it is dropped, as at the end of [`handler_timeout`](Self::handler_timeout).
    pub task_timeout: Duration,
    /// How long a task is kept, from its creation on: 1 h. It has to be longer than
    /// [`task_timeout`](Self::task_timeout), so that there is time to ask for its result.
    pub task_ttl: Duration,
    /// The longest result of a task that is kept, as JSON: 1 MiB. In place of a longer one there is an
    /// error that says so.
    pub task_result_bytes: usize,
    /// Bytes that tasks take of the store, with their results, until they expire: 64 MiB, and those of one
    /// principal a quarter of it. Each task, and each result, counts for 1 KiB more than it has. A call that
    /// would need more is answered with an error, and a task whose result would need more fails: sign-ins,
    /// sessions and all else that rests in the store have room. A quarter has to be more than
    /// [`task_result_bytes`](Self::task_result_bytes).
    pub task_store_bytes: usize,
    /// Connections at once: 1,024. Over one more, custom routes are served (probes, say), and all
    /// else gets a 503; then it is closed.
    pub connections: usize,
    /// Connections from one address at once, for IPv6 from one /64: 768, three quarters of all.
    /// Those from this machine are not counted: its address may be a proxy's.
    /// The same part of what waits and is unread is for one address: see above. Where clients
    /// come through a proxy on another machine, name it as a trusted proxy: its connections count for
    /// no address then, and its requests for those of its clients.
    pub connections_per_address: usize,
    /// How long a connection may go on without an accepted token: 60 s. Then it is closed, also
    /// if its requests are answered with 401. Servers without authentication ask for none.
    pub unauthenticated_timeout: Duration,
    /// Requests in flight at once, over all connections: 512. One more gets a 503.
    pub concurrent_requests: usize,
    /// Requests of one principal that run at once, through all its clients: 16. Further ones wait
    /// for those, as long as a handler may run and at most as many as all requests at once; beyond
    /// that they get a 503, in a session the JSON-RPC error alone. Where one service account
    /// speaks for many people, set it higher. Without authentication it is the address that has
    /// three quarters of [`concurrent_requests`](Self::concurrent_requests).
    pub requests_per_principal: usize,
    /// Bytes of large bodies that are held at once: 64 MiB. More gets a 503.
    pub waiting_body_bytes: usize,
    /// Bytes of answers that their clients have not taken: 32 MiB, of one principal a quarter of it. A
    /// further answer waits for room, for as long as [`write_timeout`](Self::write_timeout); then it is dropped
    /// for a 503.
    pub unread_bytes: usize,
    /// Sessions at once, for the versions that have them over HTTP: 10,000. For one more, one of
    /// its own principal ends as below; without one, `initialize` is answered with the error
    /// 503.
    pub sessions: usize,
    /// Sessions of one principal at once: 256. For one more, that one of them ends that was
    /// unused for longest and has neither a stream nor a running request; if all have, it is
    /// answered with the error 429. Without authentication there are no principals, and
    /// [`sessions`](Self::sessions) alone counts.
    pub sessions_per_principal: usize,
    /// Streams of one principal at once, of sessions and of subscriptions: 16. For one more the
    /// oldest of them ends, and of one session the newest always takes over. All streams together
    /// take at most half of the [`connections`](Self::connections): one more gets a 503, if none
    /// is its principal's own. Over stdio it is how many subscriptions there may be.
    pub streams_per_principal: usize,
    /// Resources that one session, or one subscription of the stateless version, may be told updates
    /// of: 64. Their URIs may take 256 bytes each on average. One more is refused.
    pub resource_subscriptions: usize,
    /// How long a session may be without a request or a stream: 30 min. Then it ends.
    pub session_idle_timeout: Duration,
    /// How long the server goes on as before once it is told to stop, over HTTP: not at all. It is
    /// for what sends requests here and learns late that it should not: a load balancer that
    /// probes a route which is no longer ready. Make it longer than that takes to notice.
    pub drain_delay: Duration,
    /// How long running requests may take to finish after that: 30 s. New ones get a 503 meanwhile.
    /// A supervisor that may kill the process has to wait longer than both together.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 * 1024 * 1024,
            header_bytes: 32 * 1024,
            header_timeout: Duration::from_secs(10),
            #[cfg(feature = "tls")]
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            decision_timeout: Duration::from_secs(10),
            not_found_delay: Duration::from_millis(2),
            handler_timeout: Duration::from_secs(60),
            input_timeout: Duration::from_secs(10 * 60),
            input_rounds: 10,
            tasks: 256,
            tasks_per_principal: 64,
            task_timeout: Duration::from_secs(30 * 60),
            task_ttl: Duration::from_secs(60 * 60),
            task_result_bytes: 1024 * 1024,
            task_store_bytes: 64 * 1024 * 1024,
            connections: 1_024,
            connections_per_address: 768,
            unauthenticated_timeout: Duration::from_secs(60),
            concurrent_requests: 512,
            requests_per_principal: 16,
            waiting_body_bytes: 64 * 1024 * 1024,
            unread_bytes: 32 * 1024 * 1024,
            sessions: 10_000,
            sessions_per_principal: 256,
            streams_per_principal: 16,
            resource_subscriptions: 64,
            session_idle_timeout: Duration::from_secs(30 * 60),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}
