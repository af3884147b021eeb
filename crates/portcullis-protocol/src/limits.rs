use std::time::Duration;

/// What may be taken of the server, over either transport. The numbers are for all clients
/// together, unless their names say otherwise.
///
/// # Example
///
/// ```
/// # extern crate portcullis_protocol as portcullis;
/// use portcullis::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::default();
/// assert_eq!(limits.body_bytes, 4 * 1024 * 1024);
/// assert_eq!(limits.header_read, Duration::from_secs(10));
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
    pub header_read: Duration,
    /// How long a client may leave an answer unread: 30 s. Then the connection is closed;
    /// over HTTP/2, where each stream has room of its own, a stream is dropped by itself.
    pub write: Duration,
    /// How long a client may take to send a body: 30 s. Then it gets a 408.
    pub body_read: Duration,
    /// How long a token verifier, or all access checks of one operation, may take: 10 s. Then it
    /// is a no.
    pub decision: Duration,
    /// How long it takes at least, over HTTP, to be told that something is not there: 2 ms.
    /// Otherwise what a check hides would be answered later than what does not exist, and be
    /// told from it by that (CWE-208). What is not there is said at the end of a slot of two
    /// milliseconds, so up to two later, and in no order within it. Where checks ask a database or the network, it has to be
    /// longer than they take.
    pub absence: Duration,
    /// How long a handler may run: 60 s. Then it is dropped, and the caller is told.
    pub handler: Duration,
    /// Connections at once: 1,024. One more gets a 503 and is closed.
    pub connections: usize,
    /// Requests in flight at once, over all connections: 512. One more gets a 503.
    pub concurrent_requests: usize,
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
    /// How long a session may be without a request or a stream: 30 min. Then it ends.
    pub session_idle: Duration,
    /// How long the server goes on as before once it is told to stop, over HTTP: not at all. It is
    /// for what sends requests here and learns late that it should not: a load balancer that
    /// probes a route which is no longer ready. Make it longer than that takes to notice.
    pub drain_delay: Duration,
    /// How long running requests may take to finish after that: 30 s. What may kill the process
    /// has to wait longer than both together.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 * 1024 * 1024,
            header_bytes: 32 * 1024,
            header_read: Duration::from_secs(10),
            write: Duration::from_secs(30),
            body_read: Duration::from_secs(30),
            decision: Duration::from_secs(10),
            absence: Duration::from_millis(2),
            handler: Duration::from_secs(60),
            connections: 1_024,
            concurrent_requests: 512,
            sessions: 10_000,
            sessions_per_principal: 256,
            streams_per_principal: 16,
            session_idle: Duration::from_secs(30 * 60),
            drain_delay: Duration::ZERO,
            drain: Duration::from_secs(30),
        }
    }
}
