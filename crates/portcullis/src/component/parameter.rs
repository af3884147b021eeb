//! What the parameters of a function may be, and how they are read.

use std::any::{Any, TypeId};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::component::argument::Argument;
use crate::component::caller::{Caller, MaybeCaller};
use crate::component::context::Context;
use crate::component::input::{FormElicitation, form_schema};
use crate::component::reading;
use crate::component::state::State;
use crate::component::tool_error::ToolError;
use crate::component::unfit::{Unfit, shown};
use crate::error::{Problem, ProblemKind};

/// What the function of a component may take.
///
/// Anything that implements `serde::Deserialize` and `schemars::JsonSchema` is an argument:
/// clients see it in the schema and send it. [`Context`], [`Caller`], [`MaybeCaller`],
/// [`State`] and [`FormElicitation`] are given by the server and are invisible outside. [`Args`]
/// takes all arguments as one struct.
///
/// A `serde_json::Value` is an argument that takes any JSON. Its schema is `{}`: strict
/// clients warn, and models learn nothing from it, so a type of one's own is better.
///
/// An argument whose type accepts `null`, as `Option<T>` does, may be left out, and so may one
/// with a default; `null` for it is another way to leave it out. Of an `Option<Option<T>>`,
/// `null` is `Some(None)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a tool, resource or prompt",
    label = "neither an argument nor something that the server gives",
    note = "for an argument, derive `serde::Deserialize` and `schemars::JsonSchema` for it",
    note = "for something of your own, add it with `.state(…)` and take a `State<T>`"
)]
pub trait Parameter: Sized + Send {
    /// Says what the parameter needs; called once, when the component is declared.
    fn declare(parameters: &mut Parameters, argument: Argument);

    /// Takes the parameter out of a call whose arguments were validated.
    ///
    /// # Errors
    ///
    /// When a value that meets the schema does not fit the type after all, as an integer
    /// beyond its range: the error names the argument, never the value.
    fn extract(call: &mut Call, name: &str) -> Result<Self, ToolError>;
}

impl<T: DeserializeOwned + JsonSchema + Send> Parameter for T {
    fn declare(parameters: &mut Parameters, argument: Argument) {
        parameters.argument::<T>(argument);
    }

    fn extract(call: &mut Call, name: &str) -> Result<Self, ToolError> {
        let read = match call.argument(name) {
            None => reading::absent(),
            // A handle is a text: nothing to open is in these.
            Some(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => reading::read(value),
            Some(value) => call.context.reading(|| reading::read(value)),
        };
        read.map_err(|unfit| refused(Some(name), &unfit))
    }
}

/// Says which argument does not fit its type, and what would. serde's own message repeats the
/// value.
pub(crate) fn refused(argument: Option<&str>, unfit: &Unfit) -> ToolError {
    let within = unfit.path();
    let path: Vec<&str> =
        argument.into_iter().chain([within.as_str()]).filter(|part| !part.is_empty()).collect();
    let named = match path.is_empty() {
        true => "an argument".to_owned(),
        false => format!("argument `{}`", shown(&path.join("/"))),
    };
    ToolError::refused_argument(format!("{named}: {unfit} (type)"))
}

impl Parameter for Context {
    fn declare(parameters: &mut Parameters, argument: Argument) {
        parameters.given("Context", &argument);
        parameters.sees_caller = true;
        parameters.sees_context = true;
    }

    fn extract(call: &mut Call, _: &str) -> Result<Self, ToolError> {
        Ok(call.context.clone())
    }
}

impl Parameter for Caller {
    fn declare(parameters: &mut Parameters, argument: Argument) {
        parameters.given("Caller", &argument);
        parameters.needs_caller = true;
        parameters.sees_caller = true;
    }

    fn extract(call: &mut Call, _: &str) -> Result<Self, ToolError> {
        call.context.caller().ok_or_else(|| {
            ToolError::internal("the function takes a Caller, but the request has no caller")
        })
    }
}

impl Parameter for MaybeCaller {
    fn declare(parameters: &mut Parameters, argument: Argument) {
        parameters.given("MaybeCaller", &argument);
        parameters.sees_caller = true;
    }

    fn extract(call: &mut Call, _: &str) -> Result<Self, ToolError> {
        Ok(call.context.maybe_caller())
    }
}

impl<T: Any + Send + Sync> Parameter for State<T> {
    fn declare(parameters: &mut Parameters, argument: Argument) {
        parameters.given("State", &argument);
        parameters.states.push((TypeId::of::<T>(), std::any::type_name::<T>()));
    }

    fn extract(call: &mut Call, _: &str) -> Result<Self, ToolError> {
        call.context.state().ok_or_else(|| {
            ToolError::internal("the function takes a State that the server does not have")
        })
    }
}

impl<T: DeserializeOwned + JsonSchema> Parameter for FormElicitation<T> {
    fn declare(parameters: &mut Parameters, argument: Argument) {
        parameters.given("FormElicitation", &argument);
        parameters.forms.push((argument.name, form_schema::<T>()));
    }

    fn extract(call: &mut Call, _: &str) -> Result<Self, ToolError> {
        Ok(Self::new(call.context.input().clone()))
    }
}

/// All arguments as one struct: its fields are the arguments.
///
/// `null` for a field that may be left out leaves it out. Where it is a value of its own (to
/// clear what is stored, say), the field says so:
/// `#[schemars(extend("x-null-is-a-value" = true))]`.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Search {
///     /// What to look for
///     query: String,
///     #[serde(default)]
///     exact: bool,
/// }
///
/// #[tool]
/// async fn search(Args(search): Args<Search>) -> String {
///     format!("{} ({})", search.query, search.exact)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Args<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + Send> Parameter for Args<T> {
    fn declare(parameters: &mut Parameters, argument: Argument) {
        parameters.given("Args", &argument);
        parameters.spread::<T>();
    }

    fn extract(call: &mut Call, _: &str) -> Result<Self, ToolError> {
        let arguments = call.rest();
        let read = call.context.reading(|| reading::read_all(arguments));
        read.map(Self).map_err(|unfit| refused(None, &unfit))
    }
}

/// One call of a component: its validated arguments, and what surrounds it.
#[derive(Debug)]
pub struct Call {
    pub(crate) arguments: Map<String, Value>,
    /// Of the first 64 those that were taken, a bit for each, which leave a null behind: to take one out
    /// would cost a digest of its name.
    taken: u64,
    pub(crate) context: Context,
}

impl Call {
    pub(crate) fn new(arguments: Map<String, Value>, context: Context) -> Self {
        Self { arguments, taken: 0, context }
    }

    /// Takes one argument.
    fn argument(&mut self, name: &str) -> Option<Value> {
        let mut all = self.arguments.iter_mut().enumerate();
        let (at, value) =
            all.find_map(|(at, (own, value))| (own == name).then_some((at, value)))?;
        match bit(at) {
            Some(bit) if self.taken & bit == 0 => {
                self.taken |= bit;
                Some(std::mem::take(value))
            }
            Some(_) => None,
            None => self.arguments.remove(name),
        }
    }

    /// Takes all that are left.
    fn rest(&mut self) -> Map<String, Value> {
        let (all, taken) = (std::mem::take(&mut self.arguments), std::mem::take(&mut self.taken));
        if taken == 0 {
            return all;
        }
        let is_left = |at| bit(at).is_none_or(|bit| taken & bit == 0);
        let left = all.into_iter().enumerate().filter(|(at, _)| is_left(*at));
        left.map(|(_, argument)| argument).collect()
    }

    /// Takes the parameter `name` out of the call.
    ///
    /// # Errors
    ///
    /// As [`Parameter::extract`].
    pub fn take<P: Parameter>(&mut self, name: &str) -> Result<P, ToolError> {
        P::extract(self, name)
    }

    /// The context of the call. A type that takes it, and declares a parameter of ours as well, has to
    /// declare [`Context`] too: whose parameters do not need it cannot ask the client.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }
}

/// The bit of an argument by its place.
fn bit(at: usize) -> Option<u64> {
    1_u64.checked_shl(u32::try_from(at).ok()?)
}

/// What the parameters of a component need, collected while it is declared.
#[derive(Debug)]
pub struct Parameters {
    generator: SchemaGenerator,
    pub(crate) arguments: Vec<Declared>,
    pub(crate) spread: Option<Spread>,
    pub(crate) needs_caller: bool,
    /// Whether the function can find out what its caller was granted.
    pub(crate) sees_caller: bool,
    /// Whether the function may be given a [`Context`], by which it can change visibility.
    pub(crate) sees_context: bool,
    /// Whether the function takes its parameters out of the call by itself, and so may look at
    /// all of it.
    pub(crate) sees_call: bool,
    /// How many were declared by parameters of ours.
    pub(crate) declared: usize,
    pub(crate) states: Vec<(TypeId, &'static str)>,
    /// The schemas of the forms that the function may ask for, by the names of its parameters.
    pub(crate) forms: Vec<(String, Map<String, Value>)>,
    pub(crate) problems: Vec<Problem>,
}

/// An argument with the schema of its type.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) argument: Argument,
    pub(crate) schema: Map<String, Value>,
    pub(crate) absence: Absence,
}

/// Whether an argument may be left out, apart from a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    Refused,
    /// It may be left out, and null means the same.
    Allowed,
    /// It may be left out, but null is a value of its own.
    AllowedAsNullIs,
}

/// A schema that takes all arguments.
#[derive(Debug)]
pub(crate) struct Spread {
    pub(crate) schema: Map<String, Value>,
    /// Whether it was written out, rather than made from a type.
    pub(crate) written: bool,
}

impl Parameters {
    pub(crate) fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.meta_schema = None;
        settings.inline_subschemas = true;
        Self {
            generator: settings.into_generator(),
            arguments: Vec::new(),
            spread: None,
            needs_caller: false,
            sees_caller: false,
            sees_context: false,
            sees_call: true,
            declared: 0,
            states: Vec::new(),
            forms: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Adds a parameter of a function.
    pub(crate) fn add<P: Parameter>(&mut self, argument: Argument) {
        let before = self.declared;
        P::declare(self, argument);
        // One that declares nothing of ours may take anything out of the call.
        self.sees_context |= self.declared == before;
    }

    /// The names of the arguments that may look like paths.
    pub(crate) fn path_like(&self) -> Vec<String> {
        let path_like = self.arguments.iter().filter(|declared| declared.argument.path_like);
        path_like.map(|declared| declared.argument.name.clone()).collect()
    }

    pub(crate) fn definitions(&mut self) -> Map<String, Value> {
        self.generator.take_definitions(true)
    }

    fn argument<T: DeserializeOwned + JsonSchema>(&mut self, argument: Argument) {
        self.declared += 1;
        let schema = as_object(self.generator.subschema_for::<T>());
        // What the schema library calls an `Option`.
        const OPTION: &str = "Nullable_";
        let name = T::schema_name();
        let inner = name.strip_prefix(OPTION);
        let optional = (inner.is_some() || accepts_null(&schema)) && reading::absent::<T>().is_ok();
        let absence = match inner {
            _ if !optional => Absence::Refused,
            Some(inner) if inner.starts_with(OPTION) => Absence::AllowedAsNullIs,
            _ => Absence::Allowed,
        };
        self.arguments.push(Declared { argument, schema, absence });
    }

    fn spread<T: JsonSchema>(&mut self) {
        let schema = as_object(self.generator.subschema_for::<T>());
        if schema.get("type") != Some(&Value::from("object")) {
            let text = "`Args<T>` needs a struct with named fields";
            self.problems.push(Problem::new(ProblemKind::InvalidParameter, text));
        }
        self.spread = Some(Spread { schema, written: false });
    }

    /// Takes all arguments by a schema that is written out.
    pub(crate) fn written(&mut self, schema: Value) {
        const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
        match schema {
            Value::Object(schema) if schema.get("type") == Some(&Value::from("object")) => {
                // It is validated as that, whatever it says.
                if schema.get("$schema").is_some_and(|dialect| dialect != DIALECT) {
                    let text = format!("a schema must use the dialect {DIALECT}");
                    self.problems.push(Problem::new(ProblemKind::InvalidInputSchema, text));
                }
                self.spread = Some(Spread { schema, written: true });
            }
            _ => self.problems.push(Problem::new(
                ProblemKind::InvalidInputSchema,
                "an input schema needs `\"type\": \"object\"`",
            )),
        }
    }

    fn given(&mut self, kind: &str, argument: &Argument) {
        self.declared += 1;
        if !argument.is_bare() {
            let text = format!("the server provides the `{kind}`: remove #[arg(…)]");
            let problem = Problem::new(ProblemKind::InvalidParameter, text);
            self.problems.push(problem.within(format_args!("parameter `{}`", argument.name)));
        }
    }
}

fn as_object(schema: schemars::Schema) -> Map<String, Value> {
    match schema.to_value() {
        Value::Object(schema) => schema,
        // `true`, the schema of anything: an object without keywords says the same.
        _ => Map::new(),
    }
}

fn accepts_null(schema: &Map<String, Value>) -> bool {
    let is_null = |kind: &Value| kind == "null";
    schema.get("type").is_some_and(|kind| {
        is_null(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(is_null))
    }) || ["anyOf", "oneOf"].into_iter().any(|keyword| {
        let branches = schema.get(keyword).and_then(Value::as_array).into_iter().flatten();
        branches.into_iter().any(|branch| branch.as_object().is_some_and(accepts_null))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::testing::TestClient;
    use crate::{Server, Tool};

    #[tokio::test]
    async fn an_argument_is_taken_once_and_the_rest_is_all_others() {
        let many = (0..70).map(|number| (format!("a{number}"), json!(number)));
        let arguments = Value::Object(many.collect());
        let declare =
            |tool: Tool, number| tool.parameter::<u64>(Argument::new(format!("a{number}")));
        let tool = (0..70).fold(Tool::new("take").description("Takes some."), declare);
        let tool = tool.handler(|mut call: Call| async move {
            let mut taken = Vec::new();
            for name in ["a69", "a0", "a63", "a64", "a0", "a69", "b"] {
                taken.push(call.take::<Option<u64>>(name)?);
            }
            let Args(rest) = call.take::<Args<BTreeMap<String, u64>>>("rest")?;
            let is_left = ["a69", "a0", "a63", "a64"].map(|name| rest.contains_key(name));
            let Args(again) = call.take::<Args<BTreeMap<String, u64>>>("rest")?;
            let sum: u64 = rest.values().sum();
            Ok::<_, ToolError>(format!("{taken:?} {is_left:?} {sum} {}", again.len()))
        });
        let server = Server::builder("taking").no_auth().component(tool).build().unwrap();
        let answer = TestClient::new(&server).call("take", arguments).await;
        let sum = (0..70).sum::<u64>() - (69 + 63 + 64);
        let expected = format!(
            "[Some(69), Some(0), Some(63), Some(64), None, None, None] [false, false, false, false] {sum} 0"
        );
        assert_eq!(answer.text(), Some(&*expected), "{answer:?}");
    }
}
