use portcullis_auth::Target;
use serde::{Deserialize, Serialize};

use crate::component::ComponentKind;

/// Which components are meant.
///
/// Made by [`tags`], [`names`], [`keys`], [`kinds`] or [`everything`]. One criterion matches if
/// any of its values does; joined by [`and`](Self::and), all criteria have to match.
///
/// # Example
///
/// ```
/// use portcullis::{ComponentKind, kinds, tags};
///
/// let admin_tools = tags(["admin"]).and(kinds([ComponentKind::Tool]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kinds: Option<Vec<ComponentKind>>,
}

/// Components with one of `tags`.
pub fn tags(tags: impl IntoNames) -> Selector {
    Selector { tags: Some(tags.into_names()), ..Selector::default() }
}

/// Components by name; resources by URI, and templates by URI template.
pub fn names(names: impl IntoNames) -> Selector {
    Selector { names: Some(names.into_names()), ..Selector::default() }
}

/// Components by kind and name, such as `tool:wipe_database` or `template:item://{id}`: a tool
/// and a prompt may have the same name.
pub fn keys(keys: impl IntoNames) -> Selector {
    Selector { keys: Some(keys.into_names()), ..Selector::default() }
}

/// Components of one of `kinds`.
pub fn kinds(kinds: impl IntoIterator<Item = ComponentKind>) -> Selector {
    Selector { kinds: Some(kinds.into_iter().collect()), ..Selector::default() }
}

/// All components.
#[must_use]
pub fn everything() -> Selector {
    Selector::default()
}

/// One name, or several: what [`tags`], [`names`] and [`keys`] take.
pub trait IntoNames {
    /// The names.
    fn into_names(self) -> Vec<String>;
}

impl IntoNames for &str {
    fn into_names(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl<N: Into<String>, const COUNT: usize> IntoNames for [N; COUNT] {
    fn into_names(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<N: Into<String>> IntoNames for Vec<N> {
    fn into_names(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

/// What a selector looks at.
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
    /// Those that `other` means too. A criterion of both is that of `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            tags: other.tags.or(self.tags),
            names: other.names.or(self.names),
            keys: other.keys.or(self.keys),
            kinds: other.kinds.or(self.kinds),
        }
    }

    pub(crate) fn matches(&self, component: Selected<'_>) -> bool {
        let Selected { kind, name, tags } = component;
        let is_key = |key: &String| split_key(key) == Some((kind, name));
        meets(&self.tags, |tag| tags.contains(tag))
            && meets(&self.names, |own| own == name)
            && meets(&self.keys, is_key)
            && meets(&self.kinds, |own| *own == kind)
    }

    /// The same kinds, whatever else is said.
    pub(crate) fn of_its_kinds(&self) -> Self {
        Self { kinds: self.kinds.clone(), ..Self::default() }
    }

    /// What it speaks of that no component has or is.
    pub(crate) fn unmet<'a, C>(&self, components: impl Fn() -> C) -> Vec<String>
    where
        C: Iterator<Item = Selected<'a>>,
    {
        let mut unmet = Vec::new();
        for tag in self.tags.iter().flatten() {
            if !components().any(|component| component.tags.contains(tag)) {
                unmet.push(format!("no component has the tag {tag:?}"));
            }
        }
        for name in self.names.iter().flatten() {
            if !components().any(|component| component.name == name) {
                unmet.push(format!("no component is called {name:?}"));
            }
        }
        for key in self.keys.iter().flatten() {
            let is =
                |component: Selected<'_>| split_key(key) == Some((component.kind, component.name));
            if !components().any(is) {
                unmet.push(format!(
                    "no component has the key {key:?}: it is a kind and a name, such as `tool:add`"
                ));
            }
        }
        let empty = [
            self.tags.as_ref().is_some_and(Vec::is_empty),
            self.names.as_ref().is_some_and(Vec::is_empty),
            self.keys.as_ref().is_some_and(Vec::is_empty),
            self.kinds.as_ref().is_some_and(Vec::is_empty),
        ];
        if empty.contains(&true) {
            unmet.push("an empty list selects nothing".to_owned());
        }
        unmet
    }
}

fn meets<T>(criterion: &Option<Vec<T>>, matches: impl Fn(&T) -> bool) -> bool {
    criterion.as_ref().is_none_or(|values| values.iter().any(matches))
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
    }

    #[test]
    fn a_key_is_a_kind_and_a_name() {
        let selector = keys(["tool:add", "template:item://{id}"]);
        assert!(matches(&selector, ComponentKind::Tool, "add", &[]));
        assert!(!matches(&selector, ComponentKind::Prompt, "add", &[]));
        assert!(matches(&selector, ComponentKind::ResourceTemplate, "item://{id}", &[]));
        let own =
            || std::iter::once(Selected { kind: ComponentKind::Tool, name: "add", tags: &[] });
        assert_eq!(keys(["tool:add"]).unmet(own), Vec::<String>::new());
        for wrong in ["add", "tool:ad", "prompt:add", "Tool:add"] {
            assert_eq!(keys([wrong]).unmet(own).len(), 1, "{wrong}");
        }
    }
}
