//! How long an answer may be used again.

use std::time::Duration;

use super::Fetched;

impl Fetched {
    /// How long the answer may be used again, as its `Cache-Control` says (RFC 9111 §5.2.2): nothing
    /// where it does not say, and no time for `no-store` and `no-cache`.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// use std::time::Duration;
    ///
    /// use portcullis::guard::Fetched;
    ///
    /// let cache_control = Some("public, max-age=600".to_owned());
    /// let (headers, body) = (Default::default(), Default::default());
    /// let answer = Fetched { status: 200, cache_control, content_type: None, headers, body };
    /// assert_eq!(answer.max_age(), Some(Duration::from_secs(600)));
    /// ```
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        let mut age = None;
        for directive in self.cache_control.as_deref()?.split(',').map(str::trim) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return Some(Duration::ZERO),
                "max-age" => {
                    // A number too large to hold is a long time; anything else is not a number.
                    let seconds = value.trim_matches('"');
                    if !seconds.is_empty() && seconds.bytes().all(|digit| digit.is_ascii_digit()) {
                        age = Some(Duration::from_secs(seconds.parse().unwrap_or(u64::MAX)));
                    }
                }
                _ => {}
            }
        }
        age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_read_and_no_store_wins() {
        for (header, seconds) in [
            (None, None),
            (Some("public, max-age=7200"), Some(7_200)),
            (Some("Max-Age=\"600\", immutable"), Some(600)),
            (Some("max-age=0"), Some(0)),
            (Some("max-age=99999999999999999999999"), Some(u64::MAX)),
            (Some("no-store, max-age=7200"), Some(0)),
            (Some("max-age=7200, no-cache"), Some(0)),
            (Some("max-age=soon"), None),
            (Some("max-age=-1"), None),
            (Some("public"), None),
        ] {
            let cache_control = header.map(str::to_owned);
            let answer = Fetched {
                status: 200,
                cache_control,
                content_type: None,
                headers: Default::default(),
                body: Default::default(),
            };
            assert_eq!(answer.max_age().map(|age| age.as_secs()), seconds, "{header:?}");
        }
    }
}
