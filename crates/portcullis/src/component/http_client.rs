//! The HTTP client of functions, made when it is first asked for.

use std::sync::OnceLock;

use portcullis_guard::{Fetch, FetchError};

use crate::component::tool_error::ToolError;

/// The only port that is asked by default.
const HTTPS: u16 = 443;

/// The client that the functions of a server share.
#[derive(Debug, Default)]
pub(crate) struct HttpClient(OnceLock<Fetch>);

impl HttpClient {
    /// `given`, or else one with the defaults: made when it is first asked for, since the authorities
    /// of the system have to be read.
    pub(crate) fn new(given: Option<Fetch>) -> Self {
        Self(given.map_or_else(OnceLock::new, OnceLock::from))
    }

    pub(crate) fn fetch(&self) -> Result<&Fetch, ToolError> {
        if let Some(made) = self.0.get() {
            return Ok(made);
        }
        let made = Fetch::builder().ports([HTTPS]).build();
        let made = made.map_err(|error: FetchError| ToolError::internal(error))?;
        // Another call may have made one meanwhile: they are all alike.
        Ok(self.0.get_or_init(|| made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_what_functions_get_and_the_default_asks_one_port() {
        let judge =
            |client: &HttpClient, url: &str| client.fetch().unwrap().judge(&url.parse().unwrap());
        let default = HttpClient::new(None);
        assert!(judge(&default, "https://example.com/").is_ok());
        for refused in ["https://example.com:8443/", "http://example.com/", "https://10.0.0.1/"] {
            assert!(judge(&default, refused).unwrap_err().is_refused(), "{refused}");
        }
        let given = Fetch::builder().allow_hosts(["api.example.com"]).build().unwrap();
        let given = HttpClient::new(Some(given));
        assert!(judge(&given, "https://api.example.com:8443/").is_ok());
        assert!(judge(&given, "https://example.com/").unwrap_err().is_refused());
    }
}
