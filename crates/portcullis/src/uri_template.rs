use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::{Map, Value};

/// A URI template of literals and simple variables (RFC 6570, level 1): `note://{owner}/{id}`.
///
/// A variable stands for one segment: one or more characters but `/`, `?` and `#`.
/// Matching takes linear time.
#[derive(Debug)]
pub(crate) struct UriTemplate {
    regex: Regex,
    variables: Vec<String>,
}

impl UriTemplate {
    /// Whether `text` has variables at all.
    pub(crate) fn is_template(text: &str) -> bool {
        text.contains(['{', '}'])
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pattern = String::from("^");
        let mut variables: Vec<String> = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("URI template {text:?}: a `{{` is not closed"));
            };
            if literal.is_empty() && !variables.is_empty() {
                return Err(format!(
                    "URI template {text:?}: two variables need something between them"
                ));
            }
            let plain =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !plain {
                return Err(format!(
                    "URI template {text:?}: `{{{name}}}` is not a plain variable like `{{id}}`"
                ));
            }
            if variables.iter().any(|known| known == name) {
                return Err(format!("URI template {text:?}: `{{{name}}}` is there twice"));
            }
            pattern.push_str(&regex::escape(literal));
            pattern.push_str("([^/?#]+)");
            variables.push(name.to_owned());
            rest = after;
        }
        if rest.contains('}') {
            return Err(format!("URI template {text:?}: a `}}` has no `{{`"));
        }
        pattern.push_str(&regex::escape(rest));
        pattern.push('$');
        let regex =
            Regex::new(&pattern).map_err(|error| format!("URI template {text:?}: {error}"))?;
        Ok(Self { regex, variables })
    }

    pub(crate) fn variables(&self) -> &[String] {
        &self.variables
    }

    /// The values of the variables in `uri`, decoded once.
    ///
    /// A value that could be mistaken for a path (a separator, `.` or `..`, a control
    /// character) makes the URI one that does not exist.
    pub(crate) fn matches(&self, uri: &str) -> Option<Map<String, Value>> {
        let captures = self.regex.captures(uri)?;
        let values = captures.iter().skip(1);
        self.variables
            .iter()
            .zip(values)
            .map(|(name, value)| {
                let value = value?.as_str();
                if !is_well_encoded(value) {
                    return None;
                }
                let value = percent_decode_str(value).decode_utf8().ok()?;
                is_one_segment(&value).then(|| (name.clone(), Value::String(value.into_owned())))
            })
            .collect()
    }
}

/// Each `%` begins two hexadecimal digits (RFC 3986 §2.1).
fn is_well_encoded(value: &str) -> bool {
    let encoded = value.split('%').skip(1);
    encoded
        .map(str::as_bytes)
        .all(|rest| rest.get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}

fn is_one_segment(value: &str) -> bool {
    !matches!(value, "." | "..")
        && !value.chars().any(|c| matches!(c, '/' | '\\') || c.is_control())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matched(template: &str, uri: &str) -> Option<Value> {
        UriTemplate::parse(template).unwrap().matches(uri).map(Value::Object)
    }

    #[test]
    fn variables_stand_for_one_segment() {
        assert_eq!(
            matched("note://{owner}/{id}", "note://a/1"),
            Some(json!({"owner": "a", "id": "1"}))
        );
        assert_eq!(matched("item://{id}", "item://a%20b"), Some(json!({"id": "a b"})));
        assert_eq!(
            matched("item://{id}/x", "item://HEAD~3..HEAD/x"),
            Some(json!({"id": "HEAD~3..HEAD"}))
        );
        for missing in [
            "item://",
            "item://a/b",
            "ITEM://1",
            "xitem://1",
            "item://1\n",
            "item://1?q",
            "item://1#f",
        ] {
            assert_eq!(matched("item://{id}", missing), None, "{missing:?}");
        }
    }

    #[test]
    fn p01_values_that_look_like_paths_do_not_exist() {
        for traversal in [
            "..",
            ".",
            "%2e%2e",
            "a%2fb",
            "a%5Cb",
            "%00",
            "%0a",
            "%ff",
            "%zz",
            "a%2",
            "%",
            "a%2F..%2Fb",
        ] {
            assert_eq!(matched("item://{id}", &format!("item://{traversal}")), None, "{traversal}");
        }
        let once = matched("item://{id}", "item://%252e%252e");
        assert_eq!(once, Some(json!({"id": "%2e%2e"})), "decoded once, not twice");
    }

    #[test]
    fn what_is_not_a_simple_variable_does_not_build() {
        for bad in [
            "a://{",
            "a://{id",
            "a://}",
            "a://{}",
            "a://{+path}",
            "a://{path*}",
            "a://{a}{b}",
            "a://{a}/{a}",
            "a://{a b}",
        ] {
            assert!(UriTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn e13_matching_a_long_uri_takes_linear_time() {
        let uri = format!("a://{}", "x-".repeat(25_000));
        assert_eq!(matched("a://{a}-{b}-{c}/z", &uri), None);
    }
}
