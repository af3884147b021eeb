//! Components, compiled: what was declared, checked as a whole and made ready to be asked for.

pub(crate) mod arguments;
pub(crate) mod closed_schema;
pub(crate) mod compiled_checks;
pub(crate) mod credential_lint;
pub(crate) mod effort;
pub(crate) mod every_draft;
pub(crate) mod input_schema;
pub(crate) mod output_schema;
pub(crate) mod schema;
pub(crate) mod violation;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use portcullis_auth::{Check, States, Target};
use portcullis_protocol::{Descriptor, Listing, MAX_URI_BYTES, model};

use crate::catalogue::compiled_checks::{Gates, Rules};
use crate::catalogue::input_schema::ArgumentSchema;
use crate::catalogue::output_schema::OutputSchema;
use crate::component::resource_uri::ResourceUri;
use crate::component::selector::Selected;
use crate::component::uri_template::UriTemplate;
use crate::component::{About, Component, ComponentKind, Deny, Handler};

/// Everything that a server serves, compiled.
pub(crate) struct Catalogue {
    pub(crate) tools: Section,
    pub(crate) resources: Section,
    pub(crate) templates: Section,
    pub(crate) prompts: Section,
    pub(crate) rules: Rules,
}

/// What the server says for all of its components.
#[derive(Debug, Default)]
pub(crate) struct Everywhere {
    /// Asked before a component's own checks.
    pub(crate) checks: Vec<Arc<dyn Check>>,
    /// What a denied caller is told of components with a tag.
    pub(crate) deny_tagged: Vec<(String, Deny)>,
    /// What a denied caller is told of all others.
    pub(crate) deny: Deny,
}

/// The components of one kind, in the order in which they were given.
#[derive(Default)]
pub(crate) struct Section {
    pub(crate) entries: Vec<Entry>,
    /// The class of each entry's gates, side by side: lists look at all of them.
    pub(crate) classes: Vec<Option<usize>>,
    /// What lists show of each entry.
    pub(crate) listing: Arc<Listing>,
    by_key: HashMap<String, usize>,
    /// By the plain spelling, of resources alone.
    by_uri: HashMap<String, usize>,
}

/// One component, compiled: its schema, its list entry, its URI template.
pub(crate) struct Entry {
    pub(crate) kind: ComponentKind,
    pub(crate) key: String,
    /// Where it is in its section.
    pub(crate) index: usize,
    pub(crate) about: About,
    pub(crate) gates: Gates,
    /// Whether its function can find out what its caller was granted.
    pub(crate) sees_caller: bool,
    pub(crate) deny: Deny,
    pub(crate) schema: ArgumentSchema,
    pub(crate) output: Option<OutputSchema>,
    pub(crate) template: Option<UriTemplate>,
    pub(crate) handler: Handler,
    /// Whether a check that hides it was once late.
    pub(crate) was_late: AtomicBool,
}

impl Catalogue {
    /// Compiles `components`; names everything that is wrong with them.
    pub(crate) fn compile(
        components: Vec<Component>,
        states: &States,
        everywhere: &Everywhere,
    ) -> Result<Self, Vec<String>> {
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
            let named = |problem: String| format!("{kind} `{key}`: {problem}");
            match Entry::compile(component, states, everywhere, &mut catalogue.rules) {
                Ok((entry, descriptor)) => {
                    if !catalogue.section_mut(kind).add(entry, &descriptor) {
                        problems.push(named("two components have this name".to_owned()));
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
        self.classes.push(entry.gates.class);
        self.entries.push(entry);
        replaced.is_none()
    }
}

impl Entry {
    fn compile(
        component: Component,
        states: &States,
        everywhere: &Everywhere,
        rules: &mut Rules,
    ) -> Result<(Self, Descriptor), Vec<String>> {
        let Component { kind, key, about, checks, deny, mut parameters, handler } = component;
        let mut problems: Vec<String> =
            checks.iter().filter_map(|check| check.validate().err()).collect();
        problems.extend(credential_lint::problems(&about, &parameters));
        if about.tags.iter().any(|tag| tag.trim().is_empty()) {
            problems.push("a tag is empty: give it a name".to_owned());
        }
        for (id, name) in &parameters.states {
            if !states.contains(*id) {
                problems.push(format!(
                    "State<{name}> is missing: add it with .state(…) (added so far: {:?})",
                    states.names()
                ));
            }
        }
        let (needs_caller, sees_caller) = (parameters.needs_caller, parameters.sees_caller);
        let schema = match ArgumentSchema::compile(&mut parameters) {
            Ok(schema) => schema,
            Err(found) => return Err([problems, found].concat()),
        };
        let output = match about.output_schema.as_ref().map(OutputSchema::compile).transpose() {
            Ok(output) => output,
            Err(problem) => return Err([problems, vec![problem]].concat()),
        };
        let template = match kind {
            ComponentKind::Tool | ComponentKind::Prompt => {
                problems.extend(problem_with_name(&key));
                let arguments = schema.awkward_names();
                if kind == ComponentKind::Tool && !arguments.is_empty() {
                    tracing::warn!(
                        tool = %key,
                        ?arguments,
                        "some clients cannot call this tool, or fail to load the server: name arguments \
                         with letters, digits and `_`, begin with a letter, and avoid Python keywords"
                    );
                }
                None
            }
            ComponentKind::Resource => {
                problems.extend(problem_with_uri(&key));
                if !schema.listed().is_empty() {
                    problems.push("a resource without URI variables takes no arguments".to_owned());
                }
                None
            }
            ComponentKind::ResourceTemplate => match UriTemplate::parse(&key) {
                Ok(template) => {
                    problems.extend(problem_with_uri(&key));
                    problems.extend(problem_with_variables(&template, &schema));
                    Some(template)
                }
                Err(problem) => return Err([problems, vec![problem]].concat()),
            },
        };
        let descriptor = describe(kind, &key, &about, &schema, output.as_ref())
            .map_err(|error| vec![error.to_string()])?;
        let target = Target { kind: kind.as_str(), name: &key, tags: &about.tags };
        let deny = deny.unwrap_or_else(|| everywhere.deny_of(&about.tags));
        let gates = Gates::compile(target, needs_caller, &everywhere.checks, &checks, deny, rules);
        if kind != ComponentKind::Tool && gates.reads_arguments {
            problems.push("only tools can have a check that reads arguments".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let entry = Self {
            kind,
            key,
            index: 0,
            about,
            gates,
            sees_caller,
            deny,
            schema,
            output,
            template,
            handler,
            was_late: AtomicBool::new(false),
        };
        Ok((entry, descriptor))
    }

    /// Whether anything is required to see and use it.
    pub(crate) fn is_protected(&self) -> bool {
        !self.gates.gates.is_empty()
    }

    /// A number of its own among all components.
    pub(crate) fn number(&self) -> u32 {
        const OF_A_KIND: u32 = u32::MAX / 4;
        let kind = ComponentKind::ALL.into_iter().position(|kind| kind == self.kind);
        let of_kind = u32::try_from(kind.unwrap_or_default()).unwrap_or_default() * OF_A_KIND;
        of_kind + u32::try_from(self.index).unwrap_or(OF_A_KIND - 1).min(OF_A_KIND - 1)
    }

    /// As checks see it.
    pub(crate) fn target(&self) -> Target<'_> {
        Target { kind: self.kind.as_str(), name: &self.key, tags: &self.about.tags }
    }

    /// As rules of visibility see it.
    pub(crate) fn selected(&self) -> Selected<'_> {
        Selected { kind: self.kind, name: &self.key, tags: &self.about.tags }
    }
}

impl Everywhere {
    /// What is said for the tags of a component: where they disagree, the strictest.
    fn deny_of(&self, tags: &[String]) -> Deny {
        let said = self.deny_tagged.iter().filter(|(tag, _)| tags.contains(tag));
        let said: Vec<Deny> = said.map(|(_, deny)| *deny).collect();
        match said.as_slice() {
            [] => self.deny,
            said if said.contains(&Deny::Hide) => Deny::Hide,
            _ => Deny::Challenge,
        }
    }
}

/// Names that every client takes (MCP tools §Tool Names).
fn problem_with_name(name: &str) -> Option<String> {
    let fine = (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    (!fine).then(|| "a name is 1 to 128 letters, digits, `_`, `-` or `.`".to_owned())
}

fn problem_with_uri(uri: &str) -> Option<String> {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    let fine = scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    let printable = uri.chars().all(|c| c.is_ascii_graphic());
    if !fine || !printable {
        return Some("a resource needs a URI with a scheme, such as `config://app`".to_owned());
    }
    if uri.len() > MAX_URI_BYTES {
        return Some(format!("a URI is at most {MAX_URI_BYTES} bytes long"));
    }
    let spelled = ResourceUri::parse(uri).is_some();
    (!spelled).then(|| "a `%` in a URI needs two hexadecimal digits that encode UTF-8".to_owned())
}

fn problem_with_variables(template: &UriTemplate, schema: &ArgumentSchema) -> Vec<String> {
    let arguments: Vec<String> =
        schema.listed().into_iter().map(|argument| argument.name).collect();
    let unused = template.variables().iter().filter(|variable| !arguments.contains(variable));
    let unknown = arguments.iter().filter(|argument| !template.variables().contains(argument));
    unused
        .map(|variable| format!("the variable `{{{variable}}}` needs a parameter of that name"))
        .chain(unknown.map(|argument| {
            format!("the parameter `{argument}` needs a variable `{{{argument}}}`")
        }))
        .collect()
}

fn describe(
    kind: ComponentKind,
    key: &str,
    about: &About,
    schema: &ArgumentSchema,
    output: Option<&OutputSchema>,
) -> Result<Descriptor, serde_json::Error> {
    let name = about.name.clone().unwrap_or_else(|| key.to_owned());
    match kind {
        ComponentKind::Tool => {
            let input = schema.schema().as_object().cloned().unwrap_or_default();
            let description = about.description.clone().map(Into::into);
            let mut tool = model::Tool::new_with_raw(key.to_owned(), description, input);
            tool.title.clone_from(&about.title);
            tool.output_schema = output.map(|output| Arc::new(output.schema().clone()));
            tool.annotations = about.annotations.model();
            Descriptor::new(&tool)
        }
        ComponentKind::Resource => {
            let mut resource = model::Resource::new(key, name);
            resource.title.clone_from(&about.title);
            resource.description.clone_from(&about.description);
            resource.mime_type.clone_from(&about.mime_type);
            Descriptor::new(&resource)
        }
        ComponentKind::ResourceTemplate => {
            let mut template = model::ResourceTemplate::new(key, name);
            template.title.clone_from(&about.title);
            template.description.clone_from(&about.description);
            template.mime_type.clone_from(&about.mime_type);
            Descriptor::new(&template)
        }
        ComponentKind::Prompt => {
            let arguments = schema.listed().into_iter().map(|listed| {
                let mut argument =
                    model::PromptArgument::new(listed.name).with_required(listed.required);
                argument.description = listed.description;
                argument
            });
            let mut prompt =
                model::Prompt::new(key, about.description.clone(), Some(arguments.collect()));
            prompt.title.clone_from(&about.title);
            Descriptor::new(&prompt)
        }
    }
}

/// The media type that a resource was declared with.
pub(crate) fn mime_type<'a>(entry: &'a Entry, default: &'a str) -> &'a str {
    entry.about.mime_type.as_deref().unwrap_or(default)
}
