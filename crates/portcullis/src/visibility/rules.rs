//! The rules that show and hide, and the server's own.

use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::component::ComponentKind;
use crate::component::selector::{Selected, Selector};
use crate::component::visibility::Change;

/// Shows or hides components. The last matching rule wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) shows: bool,
    pub(crate) selector: Selector,
}

impl Rule {
    /// The rules that make `change` of what `selector` selects.
    pub(crate) fn of(change: Change, selector: Selector) -> Vec<Self> {
        match change {
            Change::Enable => Self::enable(selector),
            Change::Disable => Self::disable(selector),
            Change::Only => Self::only(selector),
        }
    }

    pub(crate) fn enable(selector: Selector) -> Vec<Self> {
        vec![Self { shows: true, selector }]
    }

    pub(crate) fn disable(selector: Selector) -> Vec<Self> {
        vec![Self { shows: false, selector }]
    }

    /// Hides everything of the kinds that the selector names, but what it selects.
    pub(crate) fn only(selector: Selector) -> Vec<Self> {
        let all = Self { shows: false, selector: selector.of_its_kinds() };
        vec![all, Self { shows: true, selector }]
    }
}

/// What the last of `rules` that matches says, if one does.
pub(crate) fn last_word<'a>(
    rules: impl DoubleEndedIterator<Item = &'a Rule>,
    component: Selected<'_>,
) -> Option<bool> {
    rules.rev().find(|rule| rule.selector.matches(component)).map(|rule| rule.shows)
}

/// The server's own rules, and their result for each component.
#[derive(Clone, Debug)]
pub(crate) struct ServerRules {
    pub(crate) rules: Vec<Rule>,
    tools: Vec<bool>,
    resources: Vec<bool>,
    templates: Vec<bool>,
    prompts: Vec<bool>,
}

impl ServerRules {
    pub(crate) fn new(rules: Vec<Rule>, catalogue: &Catalogue) -> Self {
        let shown = |kind: ComponentKind| {
            let entries = catalogue.section(kind).entries.iter();
            entries.map(|entry| last_word(rules.iter(), entry.selected()).unwrap_or(true)).collect()
        };
        let (tools, resources) = (shown(ComponentKind::Tool), shown(ComponentKind::Resource));
        let (templates, prompts) =
            (shown(ComponentKind::ResourceTemplate), shown(ComponentKind::Prompt));
        Self { rules, tools, resources, templates, prompts }
    }

    /// Whether each component of `kind` is shown, in the order of its section.
    pub(crate) fn shown(&self, kind: ComponentKind) -> &[bool] {
        match kind {
            ComponentKind::Tool => &self.tools,
            ComponentKind::Resource => &self.resources,
            ComponentKind::ResourceTemplate => &self.templates,
            ComponentKind::Prompt => &self.prompts,
        }
    }
}
