//! Components, compiled: what was declared, checked as a whole and made ready to be asked for.

pub(crate) mod arguments;
mod circles;
mod closed_parts;
mod closed_schema;
mod closing;
pub(crate) mod compiled_checks;
pub(crate) mod completions;
pub(crate) mod credential_lint;
pub(crate) mod credential_shape;
mod describe;
mod effort;
mod entry;
mod every_draft;
mod everywhere;
pub(crate) mod form;
#[cfg(fuzzing)]
pub mod fuzzing;
mod input_schema;
pub(crate) mod metadata;
mod output_schema;
pub(crate) mod param_headers;
mod places;
mod schema;
mod schema_lint;
mod violation;

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_auth::States;
use portcullis_protocol::{Descriptor, Listing};

use self::compiled_checks::Rules;
pub(crate) use self::entry::Entry;
pub(crate) use self::everywhere::Everywhere;
use crate::component::resource_uri::ResourceUri;
use crate::component::{Component, ComponentKind};
use crate::error::{Problem, ProblemKind};

/// Everything that a server serves, compiled.
pub(crate) struct Catalogue {
    pub(crate) tools: Section,
    pub(crate) resources: Section,
    pub(crate) templates: Section,
    pub(crate) prompts: Section,
    pub(crate) rules: Rules,
}

/// The components of one kind, in the order in which they were given.
#[derive(Default)]
pub(crate) struct Section {
    pub(crate) entries: Vec<Entry>,
    /// The class of each entry's checks, side by side: lists look at all of them.
    pub(crate) classes: Vec<Option<usize>>,
    /// What lists show of each entry.
    pub(crate) listing: Arc<Listing>,
    by_key: HashMap<String, usize>,
    /// By the plain spelling, of resources alone.
    by_uri: HashMap<String, usize>,
}

impl Catalogue {
    /// Compiles `components`; names everything that is wrong with them.
    pub(crate) fn compile(
        components: Vec<Component>,
        states: &States,
        everywhere: &Everywhere,
    ) -> Result<Self, Vec<Problem>> {
        let mut catalogue = Self {
            tools: Section::default(),
            resources: Section::default(),
            templates: Section::default(),
            prompts: Section::default(),
            rules: Rules::default(),
        };
        let mut problems = Vec::new();
        for component in components {
            let (kind, key) = (component.kind, component.key.clone());
            let named = |problem: Problem| problem.within(format_args!("{kind} `{key}`"));
            match Entry::compile(component, states, everywhere, &mut catalogue.rules) {
                Ok((entry, descriptor)) => {
                    if !catalogue.section_mut(kind).add(entry, &descriptor) {
                        let text = "two components have this name";
                        problems.push(named(Problem::new(ProblemKind::DuplicateComponent, text)));
                    }
                }
                Err(found) => problems.extend(found.into_iter().map(named)),
            }
        }
        if problems.is_empty() { Ok(catalogue) } else { Err(problems) }
    }

    /// All components: tools, resources, templates, prompts.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        [&self.tools, &self.resources, &self.templates, &self.prompts]
            .into_iter()
            .flat_map(|section| &section.entries)
    }

    /// Whether calls of any tool go on as tasks.
    pub(crate) fn runs_tasks(&self) -> bool {
        self.tools.entries.iter().any(|entry| entry.about.task.is_some())
    }

    /// The components of one kind.
    pub(crate) fn section(&self, kind: ComponentKind) -> &Section {
        match kind {
            ComponentKind::Tool => &self.tools,
            ComponentKind::Resource => &self.resources,
            ComponentKind::ResourceTemplate => &self.templates,
            ComponentKind::Prompt => &self.prompts,
        }
    }

    fn section_mut(&mut self, kind: ComponentKind) -> &mut Section {
        match kind {
            ComponentKind::Tool => &mut self.tools,
            ComponentKind::Resource => &mut self.resources,
            ComponentKind::ResourceTemplate => &mut self.templates,
            ComponentKind::Prompt => &mut self.prompts,
        }
    }
}

impl Section {
    pub(crate) fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.get(*self.by_key.get(key)?)
    }

    /// The resource that answers for `uri`.
    pub(crate) fn find_uri(&self, uri: &ResourceUri<'_>) -> Option<&Entry> {
        self.entries.get(*self.by_uri.get(uri.plain())?)
    }

    /// The component at a place of the section.
    pub(crate) fn at(&self, position: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(position).ok()?)
    }

    /// Where the component called `key` is.
    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    fn add(&mut self, mut entry: Entry, descriptor: &Descriptor) -> bool {
        Arc::make_mut(&mut self.listing).push(descriptor);
        entry.index = self.entries.len();
        let mut replaced = self.by_key.insert(entry.key.clone(), entry.index);
        if entry.kind == ComponentKind::Resource
            && let Some(uri) = ResourceUri::parse(&entry.key)
        {
            replaced = replaced.or(self.by_uri.insert(uri.plain().to_owned(), entry.index));
        }
        self.classes.push(entry.checks.class);
        self.entries.push(entry);
        replaced.is_none()
    }
}

#[cfg(test)]
mod tests;
