//! A compiled component, and what is refused when it is compiled.

use std::any::TypeId;
use std::sync::atomic::AtomicBool;

use portcullis_auth::{States, Target};
use portcullis_protocol::{Descriptor, MAX_URI_BYTES};
use serde_json::Value;

use crate::catalogue::compiled_checks::{CompiledChecks, Need, Rules};
use crate::catalogue::completions::Completions;
use crate::catalogue::credential_lint;
use crate::catalogue::describe::describe;
use crate::catalogue::everywhere::Everywhere;
use crate::catalogue::form;
use crate::catalogue::input_schema::ArgumentSchema;
use crate::catalogue::metadata;
use crate::catalogue::output_schema::OutputSchema;
use crate::component::resource_uri::ResourceUri;
use crate::component::selector::Selected;
use crate::component::uri_template::UriTemplate;
use crate::component::validation::Validation;
use crate::component::{About, Component, ComponentKind, Deny, Handler, Parameters};
use crate::error::{Problem, ProblemKind};

/// One component, compiled: its schema, its list entry, its URI template.
pub(crate) struct Entry {
    pub(crate) kind: ComponentKind,
    pub(crate) key: String,
    /// Where it is in its section.
    pub(crate) index: usize,
    pub(crate) about: About,
    pub(crate) checks: CompiledChecks,
    /// Whether its function can find out what its caller was granted.
    pub(crate) sees_caller: bool,
    /// Whether its function is given a [`Context`](crate::Context).
    pub(crate) sees_context: bool,
    /// Whether its function can ask the client for something.
    pub(crate) asks_client: bool,
    /// Its arguments that ask for credentials on purpose.
    pub(crate) credentials: Vec<String>,
    /// What of the server's state its function is given.
    pub(crate) states: Vec<TypeId>,
    pub(crate) deny: Deny,
    /// Whether its own `deny` says challenge.
    pub(crate) asks_to_challenge: bool,
    pub(crate) schema: ArgumentSchema,
    pub(crate) output: Option<OutputSchema>,
    pub(crate) template: Option<UriTemplate>,
    /// What arguments that meet the schema have to pass.
    pub(crate) validations: Vec<Validation>,
    pub(crate) completions: Completions,
    pub(crate) handler: Handler,
    /// Whether a check that hides it was once late.
    pub(crate) was_late: AtomicBool,
    /// Whether a result of it once looked as if it held a credential.
    pub(crate) held_credential: AtomicBool,
}

impl Entry {
    pub(super) fn compile(
        component: Component,
        states: &States,
        everywhere: &Everywhere,
        rules: &mut Rules,
    ) -> Result<(Self, Descriptor), Vec<Problem>> {
        let Component {
            kind,
            key,
            about,
            checks,
            deny,
            mut parameters,
            validations,
            completers,
            handler,
        } = component;
        let invalid = |text| Problem::new(ProblemKind::InvalidCheck, text);
        let mut problems: Vec<Problem> =
            checks.iter().filter_map(|check| check.validate().err().map(invalid)).collect();
        problems.extend(credential_lint::problems(&about, &parameters));
        problems.extend(metadata::problems(kind, &about));
        if about.tags.iter().any(|tag| tag.trim().is_empty()) {
            let text = "a tag is empty: give it a name";
            problems.push(Problem::new(ProblemKind::EmptyTag, text));
        }
        problems.extend(missing_states(&parameters, states));
        problems.extend(form::problems(&parameters.forms));
        let credentials = credential_lint::on_purpose(&parameters);
        // What completes its arguments is a function of the component, too.
        let functions = || completers.iter().map(|(_, own)| &own.parameters).chain([&parameters]);
        let given = functions().flat_map(|own| &own.states).map(|(id, _)| *id).collect();
        let needs_caller = functions().any(|own| own.needs_caller);
        let sees_caller = functions().any(|own| own.sees_caller);
        let sees_context = parameters.sees_call || functions().any(|own| own.sees_context);
        let asks_client = sees_context || !parameters.forms.is_empty();
        let path_like = parameters.path_like();
        if kind != ComponentKind::ResourceTemplate {
            problems.extend(path_like.iter().map(|name| path_like_elsewhere(name)));
        }
        let schema = match ArgumentSchema::compile(&mut parameters) {
            Ok(schema) => schema,
            Err(found) => return Err([problems, found].concat()),
        };
        let completions = match Completions::compile(completers, &schema, states) {
            Ok(completions) => completions,
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
                    problems.push(Problem::new(
                        ProblemKind::UnmatchedVariable,
                        "a resource without URI variables takes no arguments",
                    ));
                }
                None
            }
            ComponentKind::ResourceTemplate => match UriTemplate::parse(&key) {
                Ok(template) => {
                    problems.extend(problem_with_uri(&key));
                    problems.extend(problem_with_variables(&template, &schema));
                    Some(template.with_path_like(path_like))
                }
                Err(problem) => return Err([problems, vec![problem]].concat()),
            },
        };
        let descriptor = describe(kind, &key, &about, &schema, output.as_ref())
            .map_err(|error| vec![Problem::new(ProblemKind::Unwritable, error.to_string())])?;
        let target = Target { kind: kind.as_str(), name: &key, tags: &about.tags };
        let asks_to_challenge = deny == Some(Deny::Challenge);
        let deny = deny.unwrap_or_else(|| everywhere.deny_of(&about.tags));
        let checks =
            CompiledChecks::compile(target, needs_caller, &everywhere.checks, &checks, deny, rules);
        if kind != ComponentKind::Tool && !schema.repeated.is_empty() {
            let text = "only arguments of tools are repeated in headers";
            problems.push(Problem::new(ProblemKind::InvalidConstraint, text));
        }
        if kind != ComponentKind::Tool && checks.reads_arguments {
            let text = "only tools can have a check that reads arguments";
            problems.push(invalid(text.to_owned()));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let entry = Self {
            kind,
            key,
            index: 0,
            about,
            checks,
            sees_caller,
            sees_context,
            asks_client,
            credentials,
            states: given,
            deny,
            asks_to_challenge,
            schema,
            output,
            template,
            validations,
            completions,
            handler,
            was_late: AtomicBool::new(false),
            held_credential: AtomicBool::new(false),
        };
        Ok((entry, descriptor))
    }

    /// Whether anything is required to see and use it.
    pub(crate) fn is_protected(&self) -> bool {
        !self.checks.all.is_empty()
    }

    /// Whether one of its checks may find scopes missing.
    pub(crate) fn can_challenge(&self) -> bool {
        self.checks.all.iter().any(|check| !matches!(check.need, Need::Caller))
    }

    /// Whether nothing says what it is for.
    pub(crate) fn is_undescribed(&self) -> bool {
        self.about.description.as_deref().is_none_or(|text| text.trim().is_empty())
    }

    /// The names of its arguments with their schemas.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = (&str, &Value)> {
        let properties = self.schema.schema().get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema))
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

    /// The media type that a resource was declared with.
    pub(crate) fn mime_type<'a>(&'a self, default: &'a str) -> &'a str {
        self.about.mime_type.as_deref().unwrap_or(default)
    }
}

/// What of the state that a function takes was not added.
pub(super) fn missing_states(parameters: &Parameters, states: &States) -> Vec<Problem> {
    let missing = parameters.states.iter().filter(|(id, _)| !states.contains(*id));
    missing
        .map(|(_, name)| {
            let added = states.names();
            let text = format!(
                "State<{name}> is missing: add it with .state(…) (added so far: {added:?})"
            );
            Problem::new(ProblemKind::MissingState, text)
        })
        .collect()
}

/// Names that every client takes (MCP tools §Tool Names).
fn problem_with_name(name: &str) -> Option<Problem> {
    let fine = (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let text = "a name is 1 to 128 letters, digits, `_`, `-` or `.`";
    (!fine).then(|| Problem::new(ProblemKind::InvalidName, text))
}

fn path_like_elsewhere(name: &str) -> Problem {
    let text =
        "`path_like` is for a variable of a URI template: others may look like a path anyway";
    Problem::new(ProblemKind::InvalidConstraint, text).within(format_args!("argument `{name}`"))
}

fn problem_with_uri(uri: &str) -> Option<Problem> {
    let invalid = |text: &str| Some(Problem::new(ProblemKind::InvalidUri, text));
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    let fine = scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    let printable = uri.chars().all(|c| c.is_ascii_graphic());
    if !fine || !printable {
        return invalid("a resource needs a URI with a scheme, such as `config://app`");
    }
    if uri.len() > MAX_URI_BYTES {
        return invalid(&format!("a URI is at most {MAX_URI_BYTES} bytes long"));
    }
    match ResourceUri::parse(uri) {
        Some(_) => None,
        None => invalid("a `%` in a URI needs two hexadecimal digits that encode UTF-8"),
    }
}

fn problem_with_variables(template: &UriTemplate, schema: &ArgumentSchema) -> Vec<Problem> {
    let arguments: Vec<&str> = schema.listed().into_iter().map(|argument| argument.name).collect();
    let unused =
        template.variables().iter().filter(|variable| !arguments.contains(&variable.as_str()));
    let unknown = arguments
        .iter()
        .filter(|argument| !template.variables().iter().any(|variable| variable == *argument));
    unused
        .map(|variable| format!("the variable `{{{variable}}}` needs a parameter of that name"))
        .chain(unknown.map(|argument| {
            format!("the parameter `{argument}` needs a variable `{{{argument}}}`")
        }))
        .map(|text| Problem::new(ProblemKind::UnmatchedVariable, text))
        .collect()
}
