use std::net::SocketAddr;

use http::Method;

/// What is known of a request from its start, without its sender's own words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestInfo<'a> {
    pub(crate) http_method: Option<&'static str>,
    pub(crate) path: Option<&'a str>,
    pub(crate) remote: Option<SocketAddr>,
}

impl<'a> RequestInfo<'a> {
    /// Notes the method of a request if it is a known one, its path if that is the endpoint's, and
    /// its peer.
    pub(crate) fn new(method: &Method, path: Option<&'a str>, remote: Option<SocketAddr>) -> Self {
        let names = ["POST", "GET", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"];
        Self { http_method: names.into_iter().find(|name| method == name), path, remote }
    }
}
