//! The pages of the macros. They are here rather than beside the macros, so that their examples
//! run and their links lead somewhere.

/// Makes an async function a tool that clients can list and call.
///
/// The function stays as it is. Beside it stands a struct of the same name, which
/// [`components!`](crate::components) takes. [`Tool`](crate::Tool) declares the same without a
/// macro.
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name = "…"` | what clients call it | the function's name |
/// | `title = "…"` | what people read | none |
/// | `description = "…"` | what the model reads | the doc comment |
/// | `icons = icon`, `icons = [icon, …]` | [icons](crate::component::Icon), or their URLs | none |
/// | `meta("com.example/key" = value, …)` | what lists say in [`_meta`](crate::Tool::meta) | none |
/// | `tags("…", …)` | what [`restrict_tag`](crate::access::restrict_tag) and [`tags`](fn@crate::visibility::tags) select by; clients do not see them | none |
/// | `auth = check`, `auth = [check, …]` | who may see and call it; all [checks](crate::access::Check) must allow | everybody whom the server lets in |
/// | `validate = function`, `validate = [function, …]` | what [judges](crate::Tool::validate) arguments that meet the schema, such as a rule between several: `fn(&T) -> Result<(), ToolError>`, with the arguments as members of `T` | none |
/// | `deny = hide`, `deny = challenge` | what a caller gets who lacks scopes ([`Deny`](crate::component::Deny)): the answer for what does not exist, or an HTTP 403 that names the scopes | the server's [`deny`](crate::ServerBuilder::deny), which hides |
/// | `task`, `task = required`, `task = when_begun` | whether its calls go on as [tasks](crate::manual::tasks), which outlive their requests ([`TaskSupport`](crate::component::TaskSupport)) | they do not |
/// | `annotations(…)` | [hints](crate::component::Hint) for clients: `read_only`, `destructive`, `additive`, `idempotent`, `open_world`, `closed_world` | none |
/// | `crate = path` | where this crate is, if a program renames it or has it from another one | `::portcullis` |
///
/// # What it takes
///
/// Any number of parameters, in any order:
///
/// | type | what it is given |
/// |---|---|
/// | a type with `serde::Deserialize` and `schemars::JsonSchema` | the argument of the parameter's name, without leading underscores; `Option<T>` may be left out |
/// | [`Args<T>`](crate::component::Args) | all arguments, as one struct |
/// | [`Caller`](crate::Caller) | who calls; over HTTP without a token there is no such tool |
/// | [`MaybeCaller`](crate::MaybeCaller) | who calls, or nobody |
/// | [`Context`](crate::Context) | how it was called, and what can be unlocked for the caller |
/// | [`State<T>`](crate::State) | what [`state`](crate::ServerBuilder::state) was given |
/// | [`FormElicitation<T>`](crate::component::FormElicitation) | a form that the function may ask its user for |
///
/// A parameter's doc comment describes the argument. `#[arg(…)]` constrains it, and clients are
/// shown the constraints that are enforced:
///
/// | constraint | for |
/// |---|---|
/// | `description = "…"` | any argument, in place of a doc comment |
/// | `default = value` | what may be left out |
/// | `one_of(value, …)` | any of a few values |
/// | `ge`, `gt`, `le`, `lt` ` = number` | numbers |
/// | `min_length`, `max_length` ` = number` | strings, in characters |
/// | `pattern = "…"` | strings: a regular expression, found anywhere unless it has `^` and `$` |
/// | `format = "…"` | strings of a [format](crate::component::Argument::format): `"date"`, `"email"`, `"uri"`, `"uuid"` and others |
/// | `min_items`, `max_items` ` = number`, `unique_items` | arrays |
/// | `min_properties`, `max_properties` ` = number` | maps |
/// | `header = "…"` | strings, whole numbers and booleans: what clients repeat in a [header](crate::component::Argument::header) |
/// | `secret, reason = "…"` | what is named like a credential and has to be an argument all the same |
///
/// # What it returns
///
/// What [`IntoToolResult`](crate::component::IntoToolResult) takes: `String`, `&'static str`,
/// [`Json<T>`](crate::Json), [`Content`](crate::Content), `Vec<Content>`,
/// `(Vec<Content>, Json<T>)`, [`ToolResult`](crate::component::ToolResult) or `()`, or a `Result` of one of
/// them with a [`ToolError`](crate::ToolError).
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// struct Items(Vec<&'static str>);
///
/// /// Search for items by keyword.
/// #[tool(auth = require_scopes(["read"]), annotations(read_only))]
/// async fn search_items(
///     /// Search query
///     #[arg(min_length = 1)] query: String,
///     /// How many at most
///     #[arg(ge = 1, le = 100, default = 20)] limit: usize,
///     items: State<Items>,
/// ) -> Result<Json<Vec<String>>, ToolError> {
///     let found = items.0.iter().filter(|item| item.contains(&query)).take(limit);
///     Ok(Json(found.map(|item| item.to_string()).collect()))
/// }
/// ```
///
/// This one does not compile, since clients would be told nothing:
///
/// ```compile_fail
/// # use portcullis::prelude::*;
/// #[tool]
/// async fn silent(text: String) {
///     drop(text);
/// }
/// ```
///
/// ```text
/// error: a tool needs a return type: add `-> Result<String, ToolError>`
/// ```
pub use portcullis_macros::tool;

/// Makes an async function a resource, or a resource template if its URI has variables.
///
/// The function stays as it is. Beside it stands a struct of the same name, which
/// [`components!`](crate::components) takes. [`Resource`](crate::Resource) declares the same
/// without a macro.
///
/// # Options
///
/// The URI comes first: `#[resource("note://{owner}/{id}")]`.
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name = "…"` | what clients call it | the function's name |
/// | `title = "…"` | what people read | none |
/// | `description = "…"` | what the model reads | the doc comment |
/// | `mime_type = "…"` | what the content is | what the returned type says |
/// | `size = bytes` | [how many bytes](crate::Resource::size) it has; not for a template | none |
/// | `icons = icon`, `icons = [icon, …]` | [icons](crate::component::Icon), or their URLs | none |
/// | `meta("com.example/key" = value, …)` | what lists say in [`_meta`](crate::Resource::meta) | none |
/// | `tags("…", …)` | what [`restrict_tag`](crate::access::restrict_tag) and [`tags`](fn@crate::visibility::tags) select by; clients do not see them | none |
/// | `auth = check`, `auth = [check, …]` | who may see and read it; all [checks](crate::access::Check) must allow | everybody whom the server lets in |
/// | `validate = function`, `validate = [function, …]` | what [judges](crate::Resource::validate) arguments that meet the schema, such as a rule between several: `fn(&T) -> Result<(), ToolError>`, with the arguments as members of `T` | none |
/// | `deny = hide`, `deny = challenge` | what a caller gets who lacks scopes ([`Deny`](crate::component::Deny)) | the server's [`deny`](crate::ServerBuilder::deny), which hides |
/// | `annotations(audience(user, assistant), priority = 0.5, last_modified = "…")` | [hints](crate::component::Annotations) for clients, each if it is known | none |
/// | `crate = path` | where this crate is, if a program renames it or has it from another one | `::portcullis` |
///
/// # What it takes
///
/// A parameter for each variable of the URI, of the same name, whose type is read from the text;
/// and [`Caller`](crate::Caller), [`MaybeCaller`](crate::MaybeCaller),
/// [`Context`](crate::Context) and [`State<T>`](crate::State) as a [`tool`] does. `#[arg(…)]`
/// constrains a variable; `#[arg(complete = function)]` completes it while people write it
/// ([`complete`](crate::Resource::complete)). A URI with a value that looks like a path (`..`, `a%2Fb`, `C:`, encoded once
/// more or not) does not exist, unless `#[arg(path_like)]` is on its variable.
///
/// # What it returns
///
/// What [`IntoResourceResult`](crate::component::IntoResourceResult) takes: `String`, `&'static str`,
/// `Vec<u8>`, [`Json<T>`](crate::Json) or [`ResourceResult`](crate::component::ResourceResult), or a `Result`
/// of one of them with a [`ToolError`](crate::ToolError), which is
/// [`not_found`](crate::ToolError::not_found) where there is nothing under a URI.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// /// A note of one's own.
/// #[resource("note://{owner}/{id}", auth = require_scopes(["read"]))]
/// async fn note(owner: String, id: u32, caller: Caller) -> Result<String, ToolError> {
///     if caller.subject() != Some(&*owner) {
///         return Err(ToolError::not_found());
///     }
///     Ok(format!("Note {id} of {owner}."))
/// }
/// ```
///
/// This one does not compile, since nobody could ask for it:
///
/// ```compile_fail
/// # use portcullis::prelude::*;
/// #[resource]
/// async fn config() -> String {
///     String::new()
/// }
/// ```
///
/// ```text
/// error: the first option of a resource is its URI: #[resource("config://app")]
/// ```
pub use portcullis_macros::resource;

/// Makes an async function a prompt, which people choose in their client.
///
/// The function stays as it is. Beside it stands a struct of the same name, which
/// [`components!`](crate::components) takes. [`Prompt`](crate::Prompt) declares the same without a
/// macro.
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name = "…"` | what clients call it | the function's name |
/// | `title = "…"` | what people read | none |
/// | `description = "…"` | what it is for | the doc comment |
/// | `icons = icon`, `icons = [icon, …]` | [icons](crate::component::Icon), or their URLs | none |
/// | `meta("com.example/key" = value, …)` | what lists say in [`_meta`](crate::Prompt::meta) | none |
/// | `tags("…", …)` | what [`restrict_tag`](crate::access::restrict_tag) and [`tags`](fn@crate::visibility::tags) select by; clients do not see them | none |
/// | `auth = check`, `auth = [check, …]` | who may see and use it; all [checks](crate::access::Check) must allow | everybody whom the server lets in |
/// | `validate = function`, `validate = [function, …]` | what [judges](crate::Prompt::validate) arguments that meet the schema, such as a rule between several: `fn(&T) -> Result<(), ToolError>`, with the arguments as members of `T` | none |
/// | `deny = hide`, `deny = challenge` | what a caller gets who lacks scopes ([`Deny`](crate::component::Deny)) | the server's [`deny`](crate::ServerBuilder::deny), which hides |
/// | `crate = path` | where this crate is, if a program renames it or has it from another one | `::portcullis` |
///
/// # What it takes
///
/// Arguments, which clients send as text and whose types are read from it; and
/// [`Caller`](crate::Caller), [`MaybeCaller`](crate::MaybeCaller), [`Context`](crate::Context) and
/// [`State<T>`](crate::State) as a [`tool`] does. `#[arg(…)]` constrains an argument;
/// `#[arg(complete = function)]` completes it while people write it
/// ([`complete`](crate::Prompt::complete)).
///
/// # What it returns
///
/// What [`IntoPromptResult`](crate::component::IntoPromptResult) takes: `String` or `&'static str`, which is
/// one message of the user, [`Message`](crate::component::Message), `Vec<Message>` or
/// [`PromptResult`](crate::component::PromptResult), or a `Result` of one of them with a
/// [`ToolError`](crate::ToolError).
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// /// Financial report for a quarter.
/// #[prompt(auth = require_scopes(["analyst"]))]
/// async fn financial_report(#[arg(pattern = "^Q[1-4]$")] quarter: String) -> String {
///     format!("Generate a financial report for {quarter}.")
/// }
/// ```
///
/// This one does not compile, since hints are about tools:
///
/// ```compile_fail
/// # use portcullis::prelude::*;
/// #[prompt(annotations(read_only))]
/// async fn report() -> String {
///     String::new()
/// }
/// ```
///
/// ```text
/// error: unknown option: #[prompt] takes name, title, description, icons, meta(…), tags(…), auth, validate, deny and crate
/// ```
pub use portcullis_macros::prompt;

/// Reads a struct's fields from environment variables: [`FromEnv`](trait@crate::guard::FromEnv).
///
/// Every field names its variable, `#[env("NAME")]`. Its type is what [`FromStr`](std::str::FromStr)
/// makes of the text, or an `Option` of that for a variable that may be missing; or a
/// [`Secret`](crate::guard::Secret), or an `Option` of one, which is then
/// [known](crate::guard::redaction): removed from results, errors, logs and audit records. `Option`
/// and `Secret` are known by these names.
///
/// | option | meaning |
/// |---|---|
/// | `default = "…"` | the value of a variable that is missing or empty; secrets have none |
/// | `file` | where `NAME` is not set, `NAME_FILE` may name a file with the value, as Docker and Kubernetes mount secrets; one line end after it is not part of it |
/// | `crate = path`, on the struct | where this crate is, if a program renames it or has it from another one |
///
/// # Example
///
/// ```
/// use portcullis::guard::{Environment, FromEnv, Secret};
///
/// #[derive(FromEnv)]
/// struct Settings {
///     #[env("MY_API_KEY", file)]
///     key: Secret<String>,
///     #[env("MY_API_BASE", default = "https://api.example.com")]
///     base: String,
///     #[env("MY_API_RETRIES")]
///     retries: Option<u8>,
/// }
///
/// // `Environment::process()` has the process's own; `.with_file(path)` adds those of an `.env` file.
/// let environment = Environment::from_pairs([("MY_API_KEY", "k-12345678"), ("MY_API_RETRIES", "3")]);
/// let settings = Settings::from_env(&environment)?;
/// assert!(settings.key.matches("k-12345678"));
/// assert_eq!((settings.base.as_str(), settings.retries), ("https://api.example.com", Some(3)));
///
/// let environment = Environment::from_pairs([("MY_API_RETRIES", "many")]);
/// let refused = Settings::from_env(&environment).err().unwrap().to_string();
/// assert_eq!(
///     refused,
///     "set the variables MY_API_KEY: missing, empty or not UTF-8; MY_API_RETRIES is not of the type u8"
/// );
/// # Ok::<(), portcullis::guard::EnvironmentError>(())
/// ```
///
/// Whatever cannot be read is refused when the program is compiled:
///
/// ```compile_fail
/// # use portcullis::guard::{FromEnv, Secret};
/// #[derive(FromEnv)]
/// struct Settings {
///     #[env("MY_API_KEY", default = "hunter2")] // a secret in the source
///     key: Secret<String>,
/// }
/// ```
pub use portcullis_macros::FromEnv;

/// Collects functions that are marked with `#[tool]`, `#[resource]` or `#[prompt]`.
///
/// It takes their names, or paths to them, with commas between, and gives
/// [`Components`](crate::Components) for [`ServerBuilder::components`](crate::ServerBuilder::components).
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// mod diagnosis {
///     use portcullis::prelude::*;
///
///     #[tool]
///     pub async fn ping() -> &'static str {
///         "pong"
///     }
/// }
///
/// #[prompt]
/// async fn greet() -> &'static str {
///     "Say hello."
/// }
///
/// let components = components![diagnosis::ping, greet];
/// assert_eq!(components.len(), 2);
/// ```
///
/// This one does not compile, since the function lacks its attribute:
///
/// ```compile_fail
/// # use portcullis::prelude::*;
/// async fn ping() -> &'static str {
///     "pong"
/// }
///
/// let components = components![ping];
/// ```
///
/// ```text
/// error[E0574]: expected struct, variant or union type, found function `ping`
/// ```
#[macro_export]
macro_rules! components {
    ($($($segment:ident)::+),* $(,)?) => {
        $crate::Components::new()
            $(.with($crate::function_needs_attribute_tool_or_resource_or_prompt!($($segment)::+)))*
    };
}

/// The compiler names this macro in its error about a function without an attribute: no other text
/// of that error can be chosen.
#[doc(hidden)]
#[macro_export]
macro_rules! function_needs_attribute_tool_or_resource_or_prompt {
    ($($segment:ident)::+) => {
        $($segment)::+ {}
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{prompt, resource, tool};
    use crate::testing::TestClient;
    use crate::{Json, Server};

    mod re_exported {
        pub(super) use crate as mcp;
    }

    /// Adds.
    #[tool(crate = crate, auth = crate::access::require_scopes(["read"]), annotations(read_only))]
    async fn add(#[arg(ge = 0)] a: i64, #[arg(default = 1)] b: i64) -> Json<i64> {
        Json(a + b)
    }

    #[resource("note://{id}", crate = re_exported::mcp, deny = hide)]
    async fn note(id: u32) -> String {
        format!("Note {id}")
    }

    #[prompt(crate = self::re_exported::mcp)]
    async fn greet(name: String) -> String {
        format!("Greet {name}.")
    }

    // Inside this crate there is no `::portcullis`: with it in what they write, these would not
    // have compiled.
    #[tokio::test]
    async fn macros_find_this_crate_under_the_path_they_are_told() {
        let tokens = crate::danger::StaticTokenVerifier::new();
        let components = components![add, note, greet];
        let server =
            Server::builder("renamed").auth(tokens).components(components).build().unwrap();
        let alice = TestClient::new(&server).as_user("alice").scopes(["read"]);
        let sum = alice.call("add", json!({"a": 1})).await;
        assert_eq!(sum.structured(), Some(&json!(2)));
        assert!(alice.call("add", json!({"a": -1})).await.is_error());
        assert!(alice.as_user("bob").call("add", json!({"a": 1})).await.is_not_found());
        assert_eq!(alice.read("note://7").await.text(), Some("Note 7"));
        assert_eq!(alice.prompt("greet", json!({"name": "Ann"})).await.text(), Some("Greet Ann."));
    }
}
