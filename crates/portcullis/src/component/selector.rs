//! Which components a rule is about.

use std::collections::BTreeSet;
use std::fmt;

use portcullis_auth::{OneOrMany, Target};
use serde::{Deserialize, Serialize};

use crate::component::kind::ComponentKind;
use crate::error::{Problem, ProblemKind};

/// A problem with a tag names at most so many others.
const MAX_TAGS_SHOWN: usize = 20;

/// Which components are meant.
///
/// Made by [`tags`], [`names`], [`keys`], [`kinds`] or [`everything`]. One criterion matches if
/// any of its values does; joined by [`and`](Self::and), all criteria have to match.
///
/// # Example
///
/// ```
/// use portcullis::component::ComponentKind;
/// use portcullis::visibility::{kinds, tags};
///
/// let admin_tools = tags(["admin"]).and(kinds([ComponentKind::Tool]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selector {
    /// All of them have to match.
    criteria: Vec<Criterion>,
}

/// One of its values has to match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Criterion {
    Tags(Vec<String>),
    Names(Vec<String>),
    Keys(Vec<String>),
    Kinds(Vec<ComponentKind>),
}

/// Components with one of `tags`.
pub fn tags(tags: impl OneOrMany) -> Selector {
    Criterion::Tags(tags.into_many()).into()
}

/// Components by name; resources by URI, and templates by URI template.
pub fn names(names: impl OneOrMany) -> Selector {
    Criterion::Names(names.into_many()).into()
}

/// Components by kind and name, such as `tool:wipe_database` or `template:item://{id}`: a tool
/// and a prompt may have the same name.
pub fn keys(keys: impl OneOrMany) -> Selector {
    Criterion::Keys(keys.into_many()).into()
}

/// Components of one of `kinds`.
pub fn kinds(kinds: impl IntoIterator<Item = ComponentKind>) -> Selector {
    Criterion::Kinds(kinds.into_iter().collect()).into()
}

/// All components.
#[must_use]
pub fn everything() -> Selector {
    Selector::default()
}

/// The properties that a selector looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selected<'a> {
    pub(crate) kind: ComponentKind,
    pub(crate) name: &'a str,
    pub(crate) tags: &'a [String],
}

impl<'a> Selected<'a> {
    /// A component as checks see it; none for a route.
    pub(crate) fn of(target: Target<'a>) -> Option<Self> {
        let kind = ComponentKind::ALL.into_iter().find(|kind| kind.as_str() == target.kind)?;
        Some(Self { kind, name: target.name, tags: target.tags })
    }
}

impl Selector {
    /// Selects only the components that `other` selects too.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.criteria.extend(other.criteria);
        self
    }

    pub(crate) fn matches(&self, component: Selected<'_>) -> bool {
        self.criteria.iter().all(|criterion| criterion.matches(component))
    }

    /// The same kinds, whatever else is said.
    pub(crate) fn of_its_kinds(&self) -> Self {
        let kinds = |criterion: &&Criterion| matches!(criterion, Criterion::Kinds(_));
        Self { criteria: self.criteria.iter().filter(kinds).cloned().collect() }
    }

    /// One problem for each value in it that matches no component.
    pub(crate) fn unmet<'a, C>(&self, components: impl Fn() -> C) -> Vec<Problem>
    where
        C: Iterator<Item = Selected<'a>>,
    {
        self.criteria.iter().flat_map(|criterion| criterion.unmet(&components)).collect()
    }
}

/// As an operator reads it: `tags admin, ops and kinds tool`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.criteria.is_empty() {
            return f.write_str("everything");
        }
        for (number, criterion) in self.criteria.iter().enumerate() {
            let and = if number == 0 { "" } else { " and " };
            write!(f, "{and}{criterion}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tags(tags) => write!(f, "tags {}", tags.join(", ")),
            Self::Names(names) => write!(f, "names {}", names.join(", ")),
            Self::Keys(keys) => write!(f, "keys {}", keys.join(", ")),
            Self::Kinds(kinds) => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
                write!(f, "kinds {}", kinds.join(", "))
            }
        }
    }
}

impl Criterion {
    fn matches(&self, component: Selected<'_>) -> bool {
        let Selected { kind, name, tags } = component;
        match self {
            Self::Tags(own) => own.iter().any(|tag| tags.contains(tag)),
            Self::Names(own) => own.iter().any(|own| own == name),
            Self::Keys(own) => own.iter().any(|key| split_key(key) == Some((kind, name))),
            Self::Kinds(own) => own.contains(&kind),
        }
    }

    fn unmet<'a, C>(&self, components: impl Fn() -> C) -> Vec<Problem>
    where
        C: Iterator<Item = Selected<'a>>,
    {
        let (values, what): (&[String], _) = match self {
            Self::Tags(own) => (own, "tag"),
            Self::Names(own) => (own, "name"),
            Self::Keys(own) => (own, "key"),
            Self::Kinds(own) if own.is_empty() => return vec![nothing()],
            Self::Kinds(_) => return Vec::new(),
        };
        if values.is_empty() {
            return vec![nothing()];
        }
        let is_met = |value: &&String| {
            let one = match self {
                Self::Tags(_) => Self::Tags(vec![(*value).clone()]),
                Self::Names(_) => Self::Names(vec![(*value).clone()]),
                Self::Keys(_) | Self::Kinds(_) => Self::Keys(vec![(*value).clone()]),
            };
            components().any(|component| one.matches(component))
        };
        let unmet: Vec<&String> = values.iter().filter(|value| !is_met(value)).collect();
        if unmet.is_empty() {
            return Vec::new();
        }
        let hint = match self {
            Self::Tags(_) => known_tags(components()),
            Self::Keys(_) => "a key is a kind and a name, such as `tool:add`".to_owned(),
            Self::Names(_) | Self::Kinds(_) => String::new(),
        };
        let text = match hint.as_str() {
            "" => "no component has it".to_owned(),
            hint => format!("no component has it; {hint}"),
        };
        let unused = |value| {
            let problem = Problem::new(ProblemKind::UnusedRule, text.as_str());
            problem.within(format_args!("{what} {value:?}"))
        };
        unmet.into_iter().map(unused).collect()
    }
}

/// The tags to choose from, as a hint for who misspelt one.
fn known_tags<'a>(components: impl Iterator<Item = Selected<'a>>) -> String {
    let known: BTreeSet<&str> =
        components.flat_map(|component| component.tags).map(String::as_str).collect();
    if known.is_empty() {
        return "there are no tags".to_owned();
    }
    let shown: Vec<&str> = known.iter().copied().take(MAX_TAGS_SHOWN).collect();
    let more = if known.len() > shown.len() { ", …" } else { "" };
    format!("known tags: {}{more}", shown.join(", "))
}

fn nothing() -> Problem {
    Problem::new(ProblemKind::EmptySelector, "it selects nothing").within("an empty list")
}

impl From<Criterion> for Selector {
    fn from(criterion: Criterion) -> Self {
        Self { criteria: vec![criterion] }
    }
}

fn split_key(key: &str) -> Option<(ComponentKind, &str)> {
    let (kind, name) = key.split_once(':')?;
    let kind = ComponentKind::ALL.into_iter().find(|own| own.as_str() == kind)?;
    Some((kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &Selector, kind: ComponentKind, name: &str, tags: &[&str]) -> bool {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        selector.matches(Selected { kind, name, tags: &tags })
    }

    #[test]
    fn criteria_are_joined_by_and_and_their_values_by_or() {
        let selector = tags(["a", "b"]).and(kinds([ComponentKind::Tool]));
        assert!(matches(&selector, ComponentKind::Tool, "t", &["b", "c"]));
        assert!(!matches(&selector, ComponentKind::Prompt, "t", &["a"]));
        assert!(!matches(&selector, ComponentKind::Tool, "t", &["c"]));
        assert!(matches(&everything(), ComponentKind::Prompt, "t", &[]));
        assert!(!matches(&tags(Vec::<String>::new()), ComponentKind::Tool, "t", &["a"]));
        let both = tags("red").and(tags("blue"));
        assert!(matches(&both, ComponentKind::Tool, "t", &["blue", "red"]));
        assert!(!matches(&both, ComponentKind::Tool, "t", &["blue"]));
    }

    #[test]
    fn a_key_is_a_kind_and_a_name() {
        let selector = keys(["tool:add", "template:item://{id}"]);
        assert!(matches(&selector, ComponentKind::Tool, "add", &[]));
        assert!(!matches(&selector, ComponentKind::Prompt, "add", &[]));
        assert!(matches(&selector, ComponentKind::ResourceTemplate, "item://{id}", &[]));
        let own =
            || std::iter::once(Selected { kind: ComponentKind::Tool, name: "add", tags: &[] });
        assert_eq!(keys(["tool:add"]).unmet(own), Vec::<Problem>::new());
        for wrong in ["add", "tool:ad", "prompt:add", "Tool:add"] {
            let unmet = keys([wrong]).unmet(own);
            assert_eq!(unmet.len(), 1, "{wrong}");
            assert_eq!(unmet[0].kind(), ProblemKind::UnusedRule);
        }
    }

    #[test]
    fn a_misspelt_tag_is_answered_with_the_known_ones() {
        let text = |own: &[String]| {
            let own =
                || std::iter::once(Selected { kind: ComponentKind::Tool, name: "t", tags: own });
            tags(["amdin"]).unmet(own)[0].to_string()
        };
        assert_eq!(
            text(&["ops", "admin", "ops"].map(str::to_owned)),
            r#"tag "amdin": no component has it; known tags: admin, ops"#
        );
        assert_eq!(text(&[]), r#"tag "amdin": no component has it; there are no tags"#);
        let many: Vec<String> = (10..31).map(|n| format!("t{n}")).collect();
        assert!(text(&many).ends_with("t28, t29, …"), "{}", text(&many));
    }
}
