use std::collections::HashMap;
use std::sync::Arc;

use portcullis_auth::Check;
use portcullis_protocol::{Descriptor, Listing, model};

use crate::arguments::ArgumentSchema;
use crate::component::{About, Component, Handler, Kind};
use crate::context::States;
use crate::uri_template::UriTemplate;

/// Everything that a server serves, compiled.
pub(crate) struct Catalogue {
    pub(crate) tools: Section,
    pub(crate) resources: Section,
    pub(crate) templates: Section,
    pub(crate) prompts: Section,
}

/// The components of one kind, in the order in which they were given.
#[derive(Default)]
pub(crate) struct Section {
    pub(crate) entries: Vec<Entry>,
    /// What lists show, at the places of the entries.
    pub(crate) listing: Arc<Listing>,
    by_key: HashMap<String, usize>,
}

/// One component, compiled: its schema, its list entry, its URI template.
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) about: About,
    pub(crate) checks: Vec<Arc<dyn Check>>,
    pub(crate) needs_caller: bool,
    pub(crate) schema: ArgumentSchema,
    pub(crate) template: Option<UriTemplate>,
    pub(crate) handler: Handler,
}

impl Catalogue {
    /// Compiles `components`; names everything that is wrong with them.
    pub(crate) fn compile(
        components: Vec<Component>,
        states: &States,
    ) -> Result<Self, Vec<String>> {
        let mut catalogue = Self {
            tools: Section::default(),
            resources: Section::default(),
            templates: Section::default(),
            prompts: Section::default(),
        };
        let mut problems = Vec::new();
        for component in components {
            let (kind, key) = (component.kind, component.key.clone());
            let named = |problem: String| format!("{kind} `{key}`: {problem}");
            match Entry::compile(component, states) {
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

    fn section_mut(&mut self, kind: Kind) -> &mut Section {
        match kind {
            Kind::Tool => &mut self.tools,
            Kind::Resource => &mut self.resources,
            Kind::ResourceTemplate => &mut self.templates,
            Kind::Prompt => &mut self.prompts,
        }
    }
}

impl Section {
    pub(crate) fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.get(*self.by_key.get(key)?)
    }

    /// Where the component called `key` is.
    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    fn add(&mut self, entry: Entry, descriptor: &Descriptor) -> bool {
        Arc::make_mut(&mut self.listing).push(descriptor);
        let replaced = self.by_key.insert(entry.key.clone(), self.entries.len());
        self.entries.push(entry);
        replaced.is_none()
    }
}

impl Entry {
    fn compile(component: Component, states: &States) -> Result<(Self, Descriptor), Vec<String>> {
        let Component { kind, key, about, checks, mut parameters, handler } = component;
        let mut problems: Vec<String> =
            checks.iter().filter_map(|check| check.validate().err()).collect();
        for (id, name) in &parameters.states {
            if !states.contains(*id) {
                problems.push(format!("it takes a State<{name}>: give the server one with .state(…); it was given {:?}", states.names()));
            }
        }
        let needs_caller = parameters.needs_caller;
        let schema = match ArgumentSchema::compile(&mut parameters) {
            Ok(schema) => schema,
            Err(found) => return Err([problems, found].concat()),
        };
        let template = match kind {
            Kind::Tool | Kind::Prompt => {
                problems.extend(problem_with_name(&key));
                None
            }
            Kind::Resource => {
                problems.extend(problem_with_uri(&key));
                if !schema.listed().is_empty() {
                    problems.push("a resource without URI variables takes no arguments".to_owned());
                }
                None
            }
            Kind::ResourceTemplate => match UriTemplate::parse(&key) {
                Ok(template) => {
                    problems.extend(problem_with_uri(&key));
                    problems.extend(problem_with_variables(&template, &schema));
                    Some(template)
                }
                Err(problem) => return Err([problems, vec![problem]].concat()),
            },
        };
        let descriptor =
            describe(kind, &key, &about, &schema).map_err(|error| vec![error.to_string()])?;
        if !problems.is_empty() {
            return Err(problems);
        }
        let entry = Self { kind, key, about, checks, needs_caller, schema, template, handler };
        Ok((entry, descriptor))
    }

    /// Whether anything is required to see and use it.
    pub(crate) fn is_protected(&self) -> bool {
        self.needs_caller || !self.checks.is_empty()
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
    (!fine || !printable)
        .then(|| "a resource needs a URI with a scheme, such as `config://app`".to_owned())
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
    kind: Kind,
    key: &str,
    about: &About,
    schema: &ArgumentSchema,
) -> Result<Descriptor, serde_json::Error> {
    let name = about.name.clone().unwrap_or_else(|| key.to_owned());
    match kind {
        Kind::Tool => {
            let input = schema.schema().as_object().cloned().unwrap_or_default();
            let description = about.description.clone().map(Into::into);
            let mut tool = model::Tool::new_with_raw(key.to_owned(), description, input);
            tool.title.clone_from(&about.title);
            tool.output_schema = about.output_schema.clone().map(Arc::new);
            tool.annotations = about.annotations.model();
            Descriptor::new(&tool)
        }
        Kind::Resource => {
            let mut resource = model::Resource::new(key, name);
            resource.title.clone_from(&about.title);
            resource.description.clone_from(&about.description);
            resource.mime_type.clone_from(&about.mime_type);
            Descriptor::new(&resource)
        }
        Kind::ResourceTemplate => {
            let mut template = model::ResourceTemplate::new(key, name);
            template.title.clone_from(&about.title);
            template.description.clone_from(&about.description);
            template.mime_type.clone_from(&about.mime_type);
            Descriptor::new(&template)
        }
        Kind::Prompt => {
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
