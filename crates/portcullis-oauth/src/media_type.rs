//! What a body says that it is.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The media type of a request, in lower case: one header, without its parameters (rule 22: a charset
/// may stand behind it).
pub(crate) fn of(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let one = values.next().filter(|_| values.next().is_none())?;
    one.to_str().ok().map(essence)
}

/// Whether the value of a `Content-Type` is JSON: `application/json`, or another type that ends in
/// `+json` (RFC 6839 §3.1).
pub(crate) fn is_json(value: &str) -> bool {
    let essence = essence(value);
    let other = essence.strip_prefix("application/").and_then(|kind| kind.strip_suffix("+json"));
    essence == "application/json" || other.is_some_and(|kind| !kind.is_empty())
}

fn essence(value: &str) -> String {
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim_matches([' ', '\t']).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_22_a_charset_may_stand_behind_it_and_a_second_header_may_not() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, value.parse().unwrap());
            }
            of(&headers)
        };
        assert_eq!(of(&["Application/JSON ;charset=UTF-8"]).as_deref(), Some("application/json"));
        assert_eq!(of(&["application/json", "application/json"]), None);
        assert_eq!(of(&[]), None);
        for json in ["application/json", "application/a+json;x=y"] {
            assert!(is_json(json));
        }
        for other in ["text/json", "application/jsonp", "application/+json", "text/a+json", ""] {
            assert!(!is_json(other), "{other}");
        }
    }
}
