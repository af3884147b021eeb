//! The name, description and constraints of one argument.

use serde_json::{Map, Value, json};

use crate::component::format::{FORMATS, unknown};
use crate::error::{Problem, ProblemKind};

/// The name, description and constraints of one argument.
///
/// The constraints become part of the JSON Schema that clients are shown, and that very
/// schema is what arguments are validated by; only tuples are shown as lists of any of their
/// items, since many clients have no word for their places. One that cannot apply to the argument's type
/// is refused when the server is built.
///
/// # Example
///
/// ```
/// use portcullis::component::Argument;
///
/// let limit = Argument::new("limit").description("How many at most").ge(1).le(100).default(20);
/// ```
#[derive(Clone, Debug)]
pub struct Argument {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) default: Option<Value>,
    pub(crate) constraints: Vec<Constraint>,
    /// Why it asks for a secret, if it does.
    pub(crate) secret: Option<String>,
    /// Whether it may look like a path.
    pub(crate) path_like: bool,
    /// The header that repeats it.
    pub(crate) header: Option<String>,
}

/// What [`Argument::ge`], [`gt`](Argument::gt), [`le`](Argument::le) and [`lt`](Argument::lt)
/// take: a number.
///
/// ```compile_fail,E0277
/// # use portcullis::prelude::*;
/// #[tool]
/// async fn search(#[arg(ge = "one")] limit: u32) -> String {
///     limit.to_string()
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot bound a number",
    label = "not a number",
    note = "`ge`, `gt`, `le` and `lt` take a number: `#[arg(ge = 1)]`"
)]
pub trait Bound: Into<Value> {}

macro_rules! bounds {
    ($($number:ty)*) => {
        $(impl Bound for $number {})*
    };
}

bounds! { i8 i16 i32 i64 isize u8 u16 u32 u64 usize f32 f64 serde_json::Number }

/// One keyword of JSON Schema, and the type that it constrains.
#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    /// What the user wrote, such as `ge`.
    pub(crate) option: &'static str,
    pub(crate) keyword: &'static str,
    pub(crate) value: Value,
    pub(crate) applies_to: &'static [&'static str],
}

/// What asks clients to repeat an argument in a header (MCP 2026-07-28, SEP-2243).
pub(crate) const KEYWORD_OF_HEADERS: &str = "x-mcp-header";

const NUMBERS: &[&str] = &["integer", "number"];
const STRINGS: &[&str] = &["string"];
const ARRAYS: &[&str] = &["array"];
const OBJECTS: &[&str] = &["object"];
const ANYTHING: &[&str] = &[];

/// Lower bounds with their upper ones.
const BOUNDS: [(&str, &str); 5] = [
    ("minimum", "maximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
];

impl Argument {
    /// An argument called `name`, without constraints.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let (description, default, secret) = (None, None, None);
        let (constraints, path_like, header) = (Vec::new(), false, None);
        Self { name: name.into(), description, default, constraints, secret, path_like, header }
    }

    /// Says what the argument is for.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// The value of an argument that was left out. It has to meet the constraints too.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// A regular expression that has to match somewhere in the string: write `^…$` for the
    /// whole of it. Matching takes linear time; look-around and back-references do not
    /// build.
    #[must_use]
    pub fn pattern(self, regex: impl Into<String>) -> Self {
        self.constrain("pattern", "pattern", json!(regex.into()), STRINGS)
    }

    /// At least `bound`.
    #[must_use]
    pub fn ge(self, bound: impl Bound) -> Self {
        self.constrain("ge", "minimum", bound.into(), NUMBERS)
    }

    /// More than `bound`.
    #[must_use]
    pub fn gt(self, bound: impl Bound) -> Self {
        self.constrain("gt", "exclusiveMinimum", bound.into(), NUMBERS)
    }

    /// At most `bound`.
    #[must_use]
    pub fn le(self, bound: impl Bound) -> Self {
        self.constrain("le", "maximum", bound.into(), NUMBERS)
    }

    /// Less than `bound`.
    #[must_use]
    pub fn lt(self, bound: impl Bound) -> Self {
        self.constrain("lt", "exclusiveMaximum", bound.into(), NUMBERS)
    }

    /// At least `characters` long.
    #[must_use]
    pub fn min_length(self, characters: u64) -> Self {
        self.constrain("min_length", "minLength", json!(characters), STRINGS)
    }

    /// At most `characters` long.
    #[must_use]
    pub fn max_length(self, characters: u64) -> Self {
        self.constrain("max_length", "maxLength", json!(characters), STRINGS)
    }

    /// At least `items` items.
    #[must_use]
    pub fn min_items(self, items: u64) -> Self {
        self.constrain("min_items", "minItems", json!(items), ARRAYS)
    }

    /// At most `items` items.
    #[must_use]
    pub fn max_items(self, items: u64) -> Self {
        self.constrain("max_items", "maxItems", json!(items), ARRAYS)
    }

    /// No two items are the same: `1` and `1.0` are.
    #[must_use]
    pub fn unique_items(self) -> Self {
        self.constrain("unique_items", "uniqueItems", json!(true), ARRAYS)
    }

    /// At least `members` members of a map.
    #[must_use]
    pub fn min_properties(self, members: u64) -> Self {
        self.constrain("min_properties", "minProperties", json!(members), OBJECTS)
    }

    /// At most `members` members of a map.
    #[must_use]
    pub fn max_properties(self, members: u64) -> Self {
        self.constrain("max_properties", "maxProperties", json!(members), OBJECTS)
    }

    /// A text of a format of JSON Schema (2020-12 Validation §7.3), which is enforced: `date-time`,
    /// `date`, `time`, `duration` (RFC 3339), `email`, `hostname`, `ipv4`, `ipv6`, `uri` and
    /// `uri-reference` (RFC 3986), `iri` and `iri-reference`, `uuid`, `uri-template`,
    /// `json-pointer` and `relative-json-pointer`, or `regex`. No other one builds.
    ///
    /// A format says how a text is written, not what it leads to: `javascript:x` is a `uri`.
    #[must_use]
    pub fn format(self, name: impl Into<String>) -> Self {
        self.constrain("format", "format", json!(name.into()), STRINGS)
    }

    /// One of `values`.
    #[must_use]
    pub fn one_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Self {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        self.constrain("one_of", "enum", Value::Array(values), ANYTHING)
    }

    /// Asks for a secret on purpose: an argument that is named like a credential does not build
    /// without a `reason`. Clients see `writeOnly`, and not the reason.
    #[must_use]
    pub fn secret(mut self, reason: impl Into<String>) -> Self {
        self.secret = Some(reason.into());
        self
    }

    /// Takes values that look like paths, for a variable of a URI template: `..`, `a/b` (which a URI
    /// says as `a%2Fb`), a drive. Without it, such a URI does not exist. Give the value to a
    /// [`Workspace`](crate::guard::Workspace), or to nothing that opens files.
    #[must_use]
    pub fn path_like(mut self) -> Self {
        self.path_like = true;
        self
    }

    /// Has clients of 2026-07-28 repeat it over HTTP, in the header `Mcp-Param-{name}`, for proxies that route
    /// by it (`x-mcp-header`). It is a string, a whole number or a boolean of a tool; a header that differs
    /// from the arguments is refused with -32020.
    ///
    /// A proxy must not take the header for more than the caller's word: other versions send none, and
    /// anybody can send any.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.header = Some(name.into());
        self
    }

    fn constrain(
        mut self,
        option: &'static str,
        keyword: &'static str,
        value: Value,
        applies_to: &'static [&'static str],
    ) -> Self {
        self.constraints.push(Constraint { option, keyword, value, applies_to });
        self
    }

    /// Whether anything but the name was said.
    pub(crate) fn is_bare(&self) -> bool {
        self.constraints.is_empty()
            && self.default.is_none()
            && self.secret.is_none()
            && !self.path_like
            && self.header.is_none()
    }

    /// Writes description, default and constraints into the `schema` of the argument's type.
    pub(crate) fn apply(
        &self,
        schema: &mut Map<String, Value>,
        is_f32: bool,
    ) -> Result<(), Problem> {
        let types = types_of(schema);
        if is_f32 && self.constraints.iter().any(|constraint| constraint.applies_to == NUMBERS) {
            return Err(self.invalid("use f64: an f32 is rounded after its bounds are checked"));
        }
        for Constraint { option, keyword, value, applies_to } in &self.constraints {
            let fits = types.is_empty()
                || applies_to.is_empty()
                || applies_to.iter().any(|t| types.iter().any(|own| own == t));
            if !fits {
                return Err(self.invalid(format!(
                    "`{option}` applies to {}, but the argument has type {}",
                    applies_to.join(" or "),
                    types.join(" or ")
                )));
            }
            if let (Value::Array(values), [kind]) = (value, types.as_slice())
                && values.iter().any(|value| !is_of(kind, value))
            {
                return Err(
                    self.invalid(format!("`{option}` lists a value that is not of type {kind}"))
                );
            }
            if let ("format", Some(format)) = (*keyword, value.as_str())
                && !FORMATS.contains(&format)
            {
                return Err(self.invalid(unknown(format)));
            }
            let value = match (*keyword, schema.get(*keyword)) {
                // What the type allows stays the outer bound: `ge = -5` on a u32 is `ge = 0`.
                ("minimum", Some(own)) if own.as_f64() > value.as_f64() => own.clone(),
                ("maximum", Some(own)) if own.as_f64() < value.as_f64() => own.clone(),
                _ => value.clone(),
            };
            schema.insert((*keyword).to_owned(), value);
        }
        for (lower, upper) in BOUNDS {
            let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
            if let (Some(lowest), Some(highest)) = (bound(lower), bound(upper))
                && lowest > highest
            {
                return Err(
                    self.invalid(format!("the minimum {lowest} is above the maximum {highest}"))
                );
            }
        }
        if let Some(description) = &self.description {
            schema.insert("description".to_owned(), json!(description));
        }
        if let Some(default) = &self.default {
            schema.insert("default".to_owned(), default.clone());
        }
        if let Some(header) = &self.header {
            schema.insert(KEYWORD_OF_HEADERS.to_owned(), json!(header));
        }
        if self.secret.is_some() {
            schema.insert("writeOnly".to_owned(), Value::Bool(true));
        }
        Ok(())
    }

    fn invalid(&self, text: impl Into<String>) -> Problem {
        let problem = Problem::new(ProblemKind::InvalidConstraint, text);
        problem.within(format_args!("argument `{}`", self.name))
    }
}

/// The JSON types that a schema allows, if it says so itself.
fn types_of(schema: &Map<String, Value>) -> Vec<String> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}

/// Whether a value is of a type, by the name that JSON Schema has for it.
pub(crate) fn is_of(kind: &str, value: &Value) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(_) => matches!(kind, "integer" | "number"),
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(argument: &Argument, schema: Value) -> Result<Value, Problem> {
        let Value::Object(mut schema) = schema else { panic!("not an object") };
        argument.apply(&mut schema, false).map(|()| Value::Object(schema))
    }

    #[test]
    fn a_constraint_for_another_type_is_refused() {
        let error =
            apply(&Argument::new("limit").min_length(1), json!({"type": "integer"})).unwrap_err();
        assert_eq!(error.kind(), ProblemKind::InvalidConstraint);
        assert_eq!(
            error.to_string(),
            "argument `limit`: `min_length` applies to string, but the argument has type integer"
        );
    }

    #[test]
    fn trial_d10_values_that_the_type_never_has_are_refused() {
        let error = apply(&Argument::new("n").one_of(["one"]), json!({"type": "integer"}));
        assert_eq!(
            error.unwrap_err().to_string(),
            "argument `n`: `one_of` lists a value that is not of type integer"
        );
        assert!(apply(&Argument::new("n").one_of([1, 2]), json!({"type": "number"})).is_ok());
    }

    #[test]
    fn bounds_that_nothing_meets_are_refused() {
        let error = apply(&Argument::new("n").ge(5).le(1), json!({"type": "integer"})).unwrap_err();
        assert_eq!(error.to_string(), "argument `n`: the minimum 5 is above the maximum 1");
        let text = Argument::new("s").min_length(3).max_length(2);
        assert!(apply(&text, json!({"type": "string"})).is_err());
    }

    #[test]
    fn an_f32_is_bounded_by_its_type_alone() {
        let Value::Object(mut schema) = json!({"type": "number"}) else { panic!("not an object") };
        assert!(Argument::new("f").apply(&mut schema, true).is_ok());
        assert!(Argument::new("f").lt(1).apply(&mut schema, true).is_err());
    }

    #[test]
    fn the_bounds_of_the_type_stay() {
        let schema = apply(
            &Argument::new("n").ge(-5).le(300),
            json!({"type": "integer", "minimum": 0, "maximum": 255}),
        )
        .unwrap();
        assert_eq!((&schema["minimum"], &schema["maximum"]), (&json!(0), &json!(255)));
    }
}
