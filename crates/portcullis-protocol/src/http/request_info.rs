//! What is known of any request before it is read.

use std::net::SocketAddr;

use http::{HeaderMap, Method};
use portcullis_guard::TraceParent;

use crate::http::fields::Fields;

/// What is known of a request from its start, without its sender's own words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestInfo<'a> {
    pub(crate) http_method: Option<&'static str>,
    pub(crate) path: Option<&'a str>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) trace: Option<TraceParent>,
}

impl<'a> RequestInfo<'a> {
    /// Notes the method of a request if it is a known one, its path if that is the endpoint's, its
    /// peer, and its trace.
    pub(crate) fn new(
        method: &Method,
        fields: &Fields<'_>,
        path: Option<&'a str>,
        remote: Option<SocketAddr>,
    ) -> Self {
        let names = ["POST", "GET", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"];
        let http_method = names.into_iter().find(|name| method == name);
        Self { http_method, path, remote, trace: trace_parent_of(fields) }
    }
}

/// What the headers of a request say of its trace: nothing, if they say it twice (W3C Trace Context
/// §3.2).
#[must_use]
pub fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    trace_parent_of(&Fields::of(headers))
}

fn trace_parent_of(fields: &Fields<'_>) -> Option<TraceParent> {
    let value = fields.traceparent.single().ok().flatten()?;
    TraceParent::parse(value.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_that_is_said_twice_is_said_by_nobody() {
        let one = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        assert_eq!(trace_parent(&headers), None);
        headers.append("traceparent", one.parse().unwrap());
        assert_eq!(trace_parent(&headers), TraceParent::parse(one));
        headers.append("traceparent", one.parse().unwrap());
        assert_eq!(trace_parent(&headers), None);
    }
}
