//! URI templates, and how they are matched in linear time.

use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::{Map, Value};

use crate::component::path_like::is_path_like;
use crate::component::resource_uri::ResourceUri;
use crate::error::{Problem, ProblemKind};

/// A URI template of literals and simple variables (RFC 6570, level 1): `note://{owner}/{id}`.
///
/// A variable stands for one segment: one or more characters but `/`, `?` and `#`, and in a
/// query but `&` and `=` too. Matching takes linear time.
#[derive(Debug)]
pub(crate) struct UriTemplate {
    /// Matches URIs in their normal spelling.
    normal: Regex,
    /// Matches URIs in their plain spelling, in which a `&` may have been part of a value.
    plain: Regex,
    variables: Vec<String>,
    /// The variables whose values may look like paths.
    path_like: Vec<String>,
}

/// What a variable stands for, as a pattern.
const SEGMENT: &str = "([^/?#]+)";

impl UriTemplate {
    /// Whether `text` has variables at all.
    pub(crate) fn is_template(text: &str) -> bool {
        text.contains(['{', '}'])
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        Self::compile(text).map_err(|flaw| {
            let problem = Problem::new(ProblemKind::InvalidUriTemplate, flaw);
            problem.within(format_args!("URI template {text:?}"))
        })
    }

    fn compile(text: &str) -> Result<Self, String> {
        let (mut normal, mut plain) = (String::from("^"), String::from("^"));
        let mut literal = |literal: &str, after: [&str; 2]| match ResourceUri::parse(literal) {
            Some(literal) => {
                normal.push_str(&regex::escape(literal.normal()));
                plain.push_str(&regex::escape(literal.plain()));
                let [after_normal, after_plain] = after;
                normal.push_str(after_normal);
                plain.push_str(after_plain);
                Ok(())
            }
            None => Err("a `%` needs two hexadecimal digits".to_owned()),
        };
        let mut variables: Vec<String> = Vec::new();
        let (mut rest, mut in_query) = (text, false);
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err("a `{` is not closed".to_owned());
            };
            if before.is_empty() && !variables.is_empty() {
                return Err("two variables need something between them".to_owned());
            }
            let simple =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !simple {
                return Err(format!(
                    "`{{{name}}}` is not a plain variable like `{{id}}` \
                     (RFC 6570, level 1)"
                ));
            }
            if variables.iter().any(|known| known == name) {
                return Err(format!("duplicate variable `{{{name}}}`"));
            }
            in_query |= before.contains('?');
            let segment = if in_query { "([^/?#&=]+)" } else { SEGMENT };
            literal(before, [segment, SEGMENT])?;
            variables.push(name.to_owned());
            rest = after;
        }
        if rest.contains('}') {
            return Err("a `}` has no `{`".to_owned());
        }
        literal(rest, ["$", "$"])?;
        let regex = |pattern: &str| Regex::new(pattern).map_err(|error| error.to_string());
        let (normal, plain) = (regex(&normal)?, regex(&plain)?);
        Ok(Self { normal, plain, variables, path_like: Vec::new() })
    }

    /// The same template, whose `variables` may have values that look like paths.
    pub(crate) fn with_path_like(mut self, variables: Vec<String>) -> Self {
        self.path_like = variables;
        self
    }

    pub(crate) fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Whether `uri` could be taken for one of the template's: it has a say in who may read it,
    /// also where it does not [match](Self::matches).
    pub(crate) fn concerns(&self, uri: &ResourceUri<'_>) -> bool {
        self.plain.is_match(uri.plain()) || self.normal.is_match(uri.normal())
    }

    /// Whether the variable `name` may have `value`, or a value that begins with it.
    pub(crate) fn takes(&self, name: &str, value: &str) -> bool {
        match self.path_like.iter().any(|path_like| path_like == name) {
            true => !value.contains(char::is_control),
            false => !is_path_like(value),
        }
    }

    /// The values of the variables in `uri`, decoded once.
    ///
    /// A value that [looks like a path](is_path_like) makes the URI one that does not exist, unless
    /// its variable may have such values; those have no control characters either.
    pub(crate) fn matches(&self, uri: &ResourceUri<'_>) -> Option<Map<String, Value>> {
        let captures = self.normal.captures(uri.normal())?;
        let values = captures.iter().skip(1);
        self.variables
            .iter()
            .zip(values)
            .map(|(name, value)| {
                let value = value?.as_str();
                let value = percent_decode_str(value).decode_utf8().ok()?;
                let taken = self.takes(name, &value);
                taken.then(|| (name.clone(), Value::String(value.into_owned())))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matched(template: &str, uri: &str) -> Option<Value> {
        let uri = ResourceUri::parse(uri)?;
        UriTemplate::parse(template).unwrap().matches(&uri).map(Value::Object)
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
    fn trial_b15_a_variable_of_a_query_is_one_value_of_it() {
        let one = "find://x?q={query}";
        assert_eq!(matched(one, "find://x?q=a%20b"), Some(json!({"query": "a b"})));
        assert_eq!(matched(one, "find://x?q=a%26b%3Dc"), Some(json!({"query": "a&b=c"})));
        for other in ["find://x?q=a&page=2", "find://x?q=a=b", "find://x?q=a&", "find://x?q="] {
            assert_eq!(matched(one, other), None, "{other}");
        }
        let two = "find://x?q={query}&page={page}";
        let both = json!({"query": "a", "page": "2"});
        assert_eq!(matched(two, "find://x?q=a&page=2"), Some(both));
        assert_eq!(
            matched("find://{a}?{b}", "find://x&y=z?k"),
            Some(json!({"a": "x&y=z", "b": "k"}))
        );
        // It has a say all the same, where an encoded `&` was part of a value.
        let encoded = ResourceUri::parse("find%3A//x?q=a%26b").unwrap();
        assert!(UriTemplate::parse(one).unwrap().concerns(&encoded));
    }

    #[test]
    fn trial_b15_templates_beyond_level_1_do_not_build_and_the_message_says_so() {
        for beyond in
            ["{+path}", "{#x}", "{.x}", "{/x}", "{;x}", "{?x}", "{&x}", "{x,y}", "{x:3}", "{x*}"]
        {
            let problem = UriTemplate::parse(&format!("a://b{beyond}")).unwrap_err();
            assert_eq!(problem.kind(), ProblemKind::InvalidUriTemplate);
            assert_eq!(
                problem.to_string(),
                format!(
                    "URI template \"a://b{beyond}\": `{beyond}` is not a plain variable like `{{id}}` \
                     (RFC 6570, level 1)"
                )
            );
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
            "%252e%252e",
            "%25252e%25252e",
            "a%252fb",
            "%25c0%25af",
            "%EF%BC%8E%EF%BC%8E",
            "...",
            "..%20",
        ] {
            assert_eq!(matched("item://{id}", &format!("item://{traversal}")), None, "{traversal}");
        }
        let once = matched("item://{id}", "item://%2541");
        assert_eq!(once, Some(json!({"id": "%41"})), "decoded once, not twice");
    }

    #[test]
    fn p02_values_that_begin_with_a_drive_do_not_exist() {
        for absolute in
            ["C:", "C:x", "c%3Ax", "%43%3A%5Cx", "C%253A", "%2Fetc", "%5C%5Csrv", "//etc"]
        {
            assert_eq!(matched("item://{id}", &format!("item://{absolute}")), None, "{absolute}");
        }
    }

    #[test]
    fn p01_a_variable_that_may_be_a_path_is_one_and_no_other_is() {
        let template = UriTemplate::parse("page://{site}/{id}").unwrap();
        let template = template.with_path_like(vec!["site".to_owned()]);
        let matched =
            |uri: &str| template.matches(&ResourceUri::parse(uri).unwrap()).map(Value::Object);
        for (uri, site) in [
            ("page://a%2F..%2Fb/1", "a/../b"),
            ("page://../1", ".."),
            ("page://C:x/1", "C:x"),
            ("page://%252e%252e/1", "%2e%2e"),
        ] {
            assert_eq!(matched(uri), Some(json!({"site": site, "id": "1"})), "{uri}");
        }
        for other in [
            "page://a/..",
            "page://a/%252e.",
            "page://a/b/1",
            "page:///1",
            "page://a%00/1",
            "page://a%0A/1",
        ] {
            assert_eq!(matched(other), None, "{other}");
        }
    }

    #[test]
    fn a04_a_template_concerns_a_uri_however_it_is_encoded() {
        let template = UriTemplate::parse("note://ad:min/{id}").unwrap();
        for (uri, concerns, matches) in [
            ("note://ad:min/5", true, true),
            ("note://%61d:min/5", true, true),
            ("note://ad%3Amin/5", true, false),
            ("note://ad:min%2F5", false, false),
            ("note://other/5", false, false),
        ] {
            let found = ResourceUri::parse(uri).unwrap();
            assert_eq!(template.concerns(&found), concerns, "{uri}");
            assert_eq!(template.matches(&found).is_some(), matches, "{uri}");
        }
        // A value that holds what divides the template stays one value.
        let divided = matched("pair://{a}:{b}", "pair://x:yy%3Az");
        assert_eq!(divided, Some(json!({"a": "x", "b": "yy:z"})));
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
            "a://%{a}",
            "a://{a}%2",
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
