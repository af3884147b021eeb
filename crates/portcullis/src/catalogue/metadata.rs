//! What components and the server say of themselves for display: refused when the server is built, if
//! it is not one of the specification.
//!
//! 1. An icon that is neither at an https URL nor in a `data:` URI of an image, and more than eight.
//! 2. A key of `_meta` that is malformed, there a second time or the protocol's own, and more than
//!    16 KiB of JSON.
//! 3. Annotations that are out of range, and the size of a template.
//! 4. A known secret, or what looks like one.
//!
//! Nothing here is read by a check: it grants and prevents nothing.

use std::collections::HashSet;

use serde_json::Value;

use crate::catalogue::credential_lint::{any_secret, exposed, holds_secret};
use crate::component::{About, ComponentKind, Icon, meta};
use crate::error::{Problem, ProblemKind};

/// The most bytes of a component's `_meta`, which every list holds.
const MAX_META_BYTES: usize = 16 * 1024;
/// The most icons of one component.
const MAX_ICONS: usize = 8;

/// What is wrong with what a component says of itself.
pub(super) fn problems(kind: ComponentKind, about: &About) -> Vec<Problem> {
    let mut problems = problems_with_icons(&about.icons);
    problems.extend(problems_with_meta(&about.meta));
    let annotations = about.annotations.as_ref().and_then(|annotations| annotations.problem());
    problems.extend(annotations.map(|text| invalid(text).within("annotations")));
    if about.size.is_some() && kind == ComponentKind::ResourceTemplate {
        let text = "the resources of a template have no one size: leave it out";
        problems.push(invalid(text).within("size"));
    }
    problems
}

/// What is wrong with icons, of a component or of the server.
pub(crate) fn problems_with_icons(icons: &[Icon]) -> Vec<Problem> {
    let within = |problem: Problem| problem.within("icon");
    let mut problems: Vec<_> =
        icons.iter().filter_map(Icon::problem).map(invalid).map(within).collect();
    if icons.len() > MAX_ICONS {
        problems.push(within(invalid("eight icons are enough")));
    }
    // Of bytes, chance makes short shapes.
    let urls = icons.iter().map(|icon| &icon.0.src).filter(|src| !src.starts_with("data:"));
    problems.extend(urls.filter(|src| holds_secret(src)).map(|_| within(exposed())));
    problems
}

fn problems_with_meta(meta: &[(String, Value)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut keys, mut bytes) = (HashSet::new(), 0);
    for (key, value) in meta {
        let within = |problem: Problem| problem.within(format_args!("meta {key:?}"));
        problems.extend(meta::problem_with_key(key).map(|text| within(invalid(text))));
        if !keys.insert(key) {
            problems.push(within(invalid("it has a value already: leave one of them out")));
        }
        if any_secret(value) || holds_secret(key) {
            problems.push(within(exposed()));
        }
        bytes += key.len() + value.to_string().len();
    }
    if bytes > MAX_META_BYTES {
        let text = "every list holds it: at most 16 KiB of JSON";
        problems.push(invalid(text).within("meta"));
    }
    problems
}

/// A problem with what is said for display.
pub(crate) fn invalid(text: &str) -> Problem {
    Problem::new(ProblemKind::InvalidMetadata, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Annotations;

    fn texts(kind: ComponentKind, about: &About) -> Vec<String> {
        problems(kind, about).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_not_one_of_the_specification_does_not_build() {
        let fine = About {
            icons: vec![Icon::new("https://example.com/a.png")],
            meta: vec![("com.example/team".into(), "a".into()), ("b".into(), Value::Null)],
            annotations: Some(Annotations::new().priority(1.0)),
            size: Some(7),
            ..About::default()
        };
        assert_eq!(texts(ComponentKind::Resource, &fine), [""; 0]);
        let reserved = "io.modelcontextprotocol/ui";
        let many = vec![Icon::new("https://example.com/a.png"); MAX_ICONS + 1];
        let long = Value::String("a".repeat(MAX_META_BYTES));
        for (about, expected) in [
            (
                About { icons: vec!["http://example.com/a.png".into()], ..About::default() },
                "icon: an",
            ),
            (About { icons: many, ..About::default() }, "icon: eight"),
            (
                About { meta: vec![(reserved.into(), 1.into())], ..About::default() },
                "uses this key",
            ),
            (About { meta: vec![("a".into(), 1.into()); 2], ..About::default() }, "already"),
            (About { meta: vec![("a".into(), long)], ..About::default() }, "16 KiB"),
            (
                About { annotations: Some(Annotations::new().priority(2.0)), ..fine.clone() },
                "0 to 1",
            ),
            (
                About {
                    icons: vec!["https://example.com/?k=AKIAIOSFODNN7EXAMPLE".into()],
                    ..About::default()
                },
                "secret",
            ),
            (
                About { meta: vec![("AKIAIOSFODNN7EXAMPLE".into(), 1.into())], ..About::default() },
                "secret",
            ),
            (
                About {
                    meta: vec![("a".into(), vec!["postgres://app:hunter2@db/app"].into())],
                    ..About::default()
                },
                "secret",
            ),
        ] {
            let found = texts(ComponentKind::Resource, &about);
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        }
        let found = texts(ComponentKind::ResourceTemplate, &fine);
        assert!(found.len() == 1 && found[0].starts_with("size: "), "{found:?}");
    }
}
