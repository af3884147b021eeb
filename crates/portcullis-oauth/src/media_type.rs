//! What a body says that it is.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use portcullis_guard::media_type::essence;

/// The media type of a request, in lower case: one header, without its parameters (rule 22: a charset
/// may stand behind it).
pub(crate) fn of(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let one = values.next().filter(|_| values.next().is_none())?;
    one.to_str().ok().map(essence)
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
    }
}
