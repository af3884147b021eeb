//! Media types, as a `Content-Type` names one (RFC 9110 §8.3.1).

/// The type without its parameters, in lower case.
///
/// # Example
///
/// ```
/// use portcullis_guard::media_type::essence;
///
/// assert_eq!(essence("Application/JSON ; charset=utf-8"), "application/json");
/// ```
#[must_use]
pub fn essence(value: &str) -> String {
    parts(value).next().unwrap_or_default().to_ascii_lowercase()
}

/// The parameters, as they are written. Empty ones do not count (RFC 9110 §5.6.6).
pub fn parameters(value: &str) -> impl Iterator<Item = &str> {
    parts(value).skip(1).filter(|part| !part.is_empty())
}

/// Whether it is JSON: `application/json`, or another type that ends in `+json` (RFC 6839 §3.1).
#[must_use]
pub fn is_json(value: &str) -> bool {
    let essence = essence(value);
    let other = essence.strip_prefix("application/").and_then(|kind| kind.strip_suffix("+json"));
    essence == "application/json" || other.is_some_and(|kind| !kind.is_empty())
}

fn parts(value: &str) -> impl Iterator<Item = &str> {
    value.split(';').map(|part| part.trim_matches([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_8_3_1_a_type_is_read_whole_and_without_its_parameters() {
        for json in ["application/json", "application/a+json;x=y", "APPLICATION/JSON\t;"] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "text/json",
            "application/jsonp",
            "application/+json",
            "text/a+json",
            "application/json, text/plain",
            "",
        ] {
            assert!(!is_json(other), "{other}");
        }
        let of = |value| parameters(value).collect::<Vec<_>>();
        assert_eq!(of("a/b; charset=utf-8 ;;x=y"), ["charset=utf-8", "x=y"]);
        assert!(of("a/b").is_empty() && of("").is_empty());
    }
}
