use std::time::Duration;

/// What strangers may take. The defaults suit one node; every field is a bound, none can be switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Connections at one time; more are closed at once.
    pub connections: usize,
    /// Connections at one time from one address; more are closed at once.
    pub connections_per_peer: usize,
    /// Requests at one time, all connections together; more are answered 503.
    pub requests: usize,
    /// Requests at one time from one address; more are answered 503. Less than [`Self::requests`], so that nobody can
    /// take all of them.
    pub requests_per_peer: usize,
    /// Streams at one time on one HTTP/2 connection.
    pub streams_per_connection: u32,
    /// Bytes of a request's head; more is answered 431. At least [`Self::SMALLEST_HEADER_BYTES`].
    pub header_bytes: usize,
    /// Header fields of a request; more is answered 431.
    pub header_fields: usize,
    /// How long a TLS handshake may take.
    pub handshake_time: Duration,
    /// How long a head may take, the first one counted from the end of the handshake.
    pub header_read_time: Duration,
    /// How long a request may take, from its head to the head of its answer.
    pub request_time: Duration,
    /// How long a connection may stay without a request.
    pub idle_time: Duration,
    /// How old a connection may become; then its requests end and no more are taken. What a certificate showed once, that it
    /// is not expired and of which authority it is, is not believed for longer.
    pub connection_time: Duration,
    /// How long requests may go on after the face was told to stop.
    pub shutdown_time: Duration,
}

impl ServeLimits {
    /// The smallest buffer that the HTTP/1 parser works with.
    pub const SMALLEST_HEADER_BYTES: usize = 8 * 1024;
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            // a node has a handful of clients; 512 descriptors leave room in the usual limit of 1024
            connections: 512,
            // one host with many agents, or the hub, which multiplexes
            connections_per_peer: 128,
            // each may hold one answer in memory
            requests: 128,
            // a quarter: the rest is for others, however slowly somebody asks
            requests_per_peer: 32,
            // an agent asks a few tools at once
            streams_per_connection: 32,
            // a token is at most 8 KiB
            header_bytes: 16 * 1024,
            // clients send about twenty
            header_fields: 64,
            handshake_time: Duration::from_secs(10),
            header_read_time: Duration::from_secs(10),
            // a tool answers within seconds, or not at all
            request_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(90),
            // a handshake in ten minutes is nothing to a client
            connection_time: Duration::from_secs(600),
            // systemd waits 90 s before it kills
            shutdown_time: Duration::from_secs(10),
        }
    }
}
