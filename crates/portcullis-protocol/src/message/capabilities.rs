//! What a client says that it can be asked for.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::message::json_object;

/// What a client can be asked for (MCP 2026-07-28 schema, `ClientCapabilities`): as it says of itself
/// in each request of that version.
///
/// What cannot be read counts as not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCapabilities {
    /// It shows its user a form (`elicitation.form`, or an `elicitation` that names no mode).
    pub form: bool,
    /// It lets its user open a URL (`elicitation.url`).
    pub url: bool,
    /// It asks a model (`sampling`).
    pub sampling: bool,
    /// It lists the folders that it works in (`roots`).
    pub roots: bool,
    /// It takes a task for the answer to a call, and asks for what becomes of it
    /// (`extensions.io.modelcontextprotocol/tasks`, SEP-2663).
    pub tasks: bool,
}

/// The name of the extension for tasks (SEP-2663).
pub(crate) const TASKS: &str = "io.modelcontextprotocol/tasks";

#[derive(Deserialize)]
struct Declared<'a> {
    #[serde(borrow)]
    elicitation: Option<&'a RawValue>,
    #[serde(borrow)]
    sampling: Option<&'a RawValue>,
    #[serde(borrow)]
    roots: Option<&'a RawValue>,
    #[serde(borrow)]
    extensions: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Extensions<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/tasks")]
    tasks: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Modes<'a> {
    #[serde(borrow)]
    form: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
}

impl ClientCapabilities {
    /// The client can be asked for nothing.
    pub const NONE: Self =
        Self { form: false, url: false, sampling: false, roots: false, tasks: false };
    /// Forms alone.
    pub const FORM: Self = Self { form: true, ..Self::NONE };
    /// URLs alone.
    pub const URL: Self = Self { url: true, ..Self::NONE };
    /// Sampling alone.
    pub const SAMPLING: Self = Self { sampling: true, ..Self::NONE };
    /// Roots alone.
    pub const ROOTS: Self = Self { roots: true, ..Self::NONE };
    /// Tasks alone.
    pub const TASKS: Self = Self { tasks: true, ..Self::NONE };

    /// Those that an object of the specification's schema declares.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate portcullis_protocol as portcullis;
    /// use portcullis::ClientCapabilities;
    ///
    /// let declared = ClientCapabilities::read(r#"{"elicitation": {}, "tasks": {}}"#);
    /// assert_eq!(declared, ClientCapabilities::FORM);
    /// ```
    #[must_use]
    pub fn read(json: &str) -> Self {
        if json == "{}" {
            return Self::NONE;
        }
        let Ok(Declared { elicitation, sampling, roots, extensions }) = json_object::read(json)
        else {
            return Self::NONE;
        };
        let modes = elicitation.and_then(json_object::read_raw::<Modes<'_>>).map(|modes| {
            let (form, url) = (modes.form.is_some_and(is_object), modes.url.is_some_and(is_object));
            // Without a mode it is form mode (MCP 2026-07-28 elicitation, §Capabilities).
            (form || modes.form.is_none() && modes.url.is_none(), url)
        });
        let (form, url) = modes.unwrap_or_default();
        let (sampling, roots) = (sampling.is_some_and(is_object), roots.is_some_and(is_object));
        let extensions = extensions.and_then(json_object::read_raw::<Extensions<'_>>);
        let tasks = extensions.and_then(|extensions| extensions.tasks).is_some_and(is_object);
        Self { form, url, sampling, roots, tasks }
    }

    /// Whether all of `needed` are declared.
    #[must_use]
    pub fn include(self, needed: Self) -> bool {
        (self.form || !needed.form)
            && (self.url || !needed.url)
            && (self.sampling || !needed.sampling)
            && (self.roots || !needed.roots)
            && (self.tasks || !needed.tasks)
    }
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// As the specification's schema has them.
impl Serialize for ClientCapabilities {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Empty {}

        #[derive(Serialize)]
        struct Elicitation {
            #[serde(skip_serializing_if = "Option::is_none")]
            form: Option<Empty>,
            #[serde(skip_serializing_if = "Option::is_none")]
            url: Option<Empty>,
        }

        #[derive(Serialize)]
        struct Shape {
            #[serde(skip_serializing_if = "Option::is_none")]
            elicitation: Option<Elicitation>,
            #[serde(skip_serializing_if = "Option::is_none")]
            sampling: Option<Empty>,
            #[serde(skip_serializing_if = "Option::is_none")]
            roots: Option<Empty>,
            #[serde(skip_serializing_if = "Option::is_none")]
            extensions: Option<Extensions>,
        }

        #[derive(Serialize)]
        struct Extensions {
            #[serde(rename = "io.modelcontextprotocol/tasks")]
            tasks: Empty,
        }

        let declared = |is: bool| is.then_some(Empty {});
        let modes = Elicitation { form: declared(self.form), url: declared(self.url) };
        let shape = Shape {
            elicitation: (self.form || self.url).then_some(modes),
            sampling: declared(self.sampling),
            roots: declared(self.roots),
            extensions: self.tasks.then_some(Extensions { tasks: Empty {} }),
        };
        shape.serialize(serializer)
    }
}

/// Their names, for people.
impl fmt::Display for ClientCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.form, "elicitation.form"),
            (self.url, "elicitation.url"),
            (self.sampling, "sampling"),
            (self.roots, "roots"),
            (self.tasks, TASKS),
        ];
        let names: Vec<&str> =
            all.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_declared_is_read_and_nothing_else() {
        let none = ClientCapabilities::NONE;
        let both = ClientCapabilities { form: true, url: true, ..none };
        for (json, expected) in [
            ("{}", none),
            (r#"{"elicitation":{}}"#, ClientCapabilities::FORM),
            (r#"{"elicitation":{"form":{}}}"#, ClientCapabilities::FORM),
            (r#"{"elicitation":{"url":{}}}"#, ClientCapabilities::URL),
            (r#"{"elicitation":{"form":{"x":1},"url":{}}}"#, both),
            (r#"{"sampling":{"tools":{}}}"#, ClientCapabilities::SAMPLING),
            (r#"{"roots":{"listChanged":true},"x":[1]}"#, ClientCapabilities::ROOTS),
            (
                r#"{"extensions":{"io.modelcontextprotocol/tasks":{"x":1},"y":{}}}"#,
                ClientCapabilities::TASKS,
            ),
            (r#"{"extensions":{"io.modelcontextprotocol/tasks":true},"tasks":{}}"#, none),
            (r#"{"elicitation":true,"sampling":null,"roots":[]}"#, none),
            (r#"{"elicitation":{"form":true}}"#, none),
            (r#"{"sampling":{},"sampling":{}}"#, none),
            ("[]", none),
        ] {
            assert_eq!(ClientCapabilities::read(json), expected, "{json}");
        }
    }

    #[test]
    fn they_are_written_as_the_schema_has_them() {
        let all =
            ClientCapabilities { form: true, url: true, sampling: true, roots: true, tasks: true };
        let json = json!({
            "elicitation": {"form": {}, "url": {}},
            "sampling": {},
            "roots": {},
            "extensions": {"io.modelcontextprotocol/tasks": {}},
        });
        assert_eq!(serde_json::to_value(all).unwrap(), json);
        assert_eq!(ClientCapabilities::read(&json.to_string()), all);
        assert_eq!(
            serde_json::to_value(ClientCapabilities::SAMPLING).unwrap(),
            json!({"sampling": {}})
        );
        let names =
            "elicitation.form, elicitation.url, sampling, roots, io.modelcontextprotocol/tasks";
        assert_eq!(all.to_string(), names);
    }

    #[test]
    fn one_that_is_missing_is_missing() {
        assert!(ClientCapabilities::FORM.include(ClientCapabilities::NONE));
        assert!(ClientCapabilities::FORM.include(ClientCapabilities::FORM));
        for needed in [
            ClientCapabilities::URL,
            ClientCapabilities::SAMPLING,
            ClientCapabilities::ROOTS,
            ClientCapabilities::TASKS,
        ] {
            assert!(!ClientCapabilities::FORM.include(needed), "{needed}");
        }
        assert!(!ClientCapabilities::URL.include(ClientCapabilities::FORM));
    }
}
