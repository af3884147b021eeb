//! What a function asks its client, and how its call goes on as a task.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::component::context::Context;
use crate::component::input::{self, CreateMessage, CreateMessageResult, Elicited, Page, Root};
use crate::component::tool_error::ToolError;

impl Context {
    /// Asks the user for a form that `T` describes, and gives what they filled in.
    ///
    /// **The function runs again from its start.** In 2026-07-28 a server cannot wait for an answer: the
    /// first time, this is an error that `?` carries out of the function, and the client sends the whole
    /// request again together with the answer. So ask before you change anything, and decide by arguments
    /// and answers what to ask: an answer is given to the same question alone. Questions that are asked at
    /// once, as by `tokio::join!`, go out together. Whatever a function returns, its operation is answered
    /// with its question as long as that has no answer.
    ///
    /// `T` is a struct of strings, numbers, booleans, enums without fields and lists of such enums, or
    /// options of them: more is in no form. **A form asks for no secret**: where a member's name or title is that
    /// of a credential, nothing is sent. The answer is validated by the schema of `T`. A function that takes
    /// a [`FormElicitation<T>`](crate::component::FormElicitation) has all this of `T` judged when the server
    /// is built.
    ///
    /// # Errors
    ///
    /// The one that carries the question out. A client that did not declare that it can show forms is told
    /// so (-32021; in a session by a text): see [`can_elicit`](Self::can_elicit). In a session, one that does
    /// not answer within [`Limits::input_timeout`](crate::server::Limits::input_timeout) ends the call with
    /// a text that says so. The error is internal for a type that no form may have, for a function
    /// that asks something else than it asked before, and for one that asks in more rounds than
    /// [`Limits::input_rounds`](crate::server::Limits::input_rounds).
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::component::Elicited;
    /// use portcullis::prelude::*;
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Shipping {
    ///     /// Where to?
    ///     #[schemars(length(min = 1, max = 200))]
    ///     address: String,
    ///     /// As a gift?
    ///     gift: Option<bool>,
    /// }
    ///
    /// /// Orders an item.
    /// #[tool]
    /// async fn order(item: String, ctx: Context) -> Result<String, ToolError> {
    ///     match ctx.elicit::<Shipping>(format!("Where shall {item} go?")).await? {
    ///         Elicited::Accepted(shipping) => Ok(format!("{item} goes to {}.", shipping.address)),
    ///         Elicited::Declined | Elicited::Cancelled => Ok("Nothing is ordered.".to_owned()),
    ///     }
    /// }
    /// ```
    pub async fn elicit<T: DeserializeOwned + JsonSchema>(
        &self,
        message: impl Into<String> + Send,
    ) -> Result<Elicited<T>, ToolError> {
        input::elicit(&self.input, message.into(), false).await
    }

    /// As [`elicit`](Self::elicit), unless the client has sent the answer along before it was asked: a
    /// script that knows the question saves itself a round, in 2026-07-28.
    ///
    /// Such an answer is in `inputResponses` under the name of `T` in `snake_case`, without a `requestState`,
    /// and is validated as any other. **No user needs to have seen the question**: ask by
    /// [`elicit`](Self::elicit) for what somebody has to agree to. Other members of `inputResponses` are
    /// ignored. A version with sessions, and a task that has begun, ask as ever.
    ///
    /// # Errors
    ///
    /// As [`elicit`](Self::elicit).
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct PaperSize {
    ///     width_mm: u32,
    /// }
    ///
    /// /// Prints a page. `{"paper_size": {"action": "accept", "content": {"width_mm": 210}}}` may be sent along.
    /// #[tool]
    /// async fn print_page(ctx: Context) -> Result<String, ToolError> {
    ///     let size = ctx.elicit_unless_answered::<PaperSize>("How wide is the paper?").await?;
    ///     Ok(match size.accepted() {
    ///         Some(PaperSize { width_mm }) => format!("printed on {width_mm} mm"),
    ///         None => "not printed".to_owned(),
    ///     })
    /// }
    /// ```
    pub async fn elicit_unless_answered<T: DeserializeOwned + JsonSchema>(
        &self,
        message: impl Into<String> + Send,
    ) -> Result<Elicited<T>, ToolError> {
        input::elicit(&self.input, message.into(), true).await
    }

    /// Has the user open a page of this server in their browser, for what must not pass through the client
    /// or its model: a password, an API key, a payment, or signing in at another service.
    ///
    /// `path` is that of a [page](crate::route::Route::page) among the server's routes, and `message` says
    /// what it is for. The user is accepted once **the page has said so**
    /// ([`UrlElicitation::complete`](crate::route::UrlElicitation::complete)): that they agreed to open it
    /// says nothing. The URL holds 128 random bits and nothing else of the caller, and lets nobody in: the
    /// page finds out for itself who opens it, and only the user who was asked can complete it, within
    /// [`Limits::input_timeout`](crate::server::Limits::input_timeout).
    ///
    /// The function runs again from its start, as [`elicit`](Self::elicit) says. Where the user is not done
    /// yet when the client sends its answer, they are waited for, for half of
    /// [`Limits::handler_timeout`](crate::server::Limits::handler_timeout), and are then asked again for the
    /// same page. In a session the function waits, and its client is told when the page is completed.
    ///
    /// # Errors
    ///
    /// As [`elicit`](Self::elicit), for a client that did not declare that it opens URLs. A caller without
    /// an access token is told that one is needed; one for whom 16 pages wait, to complete them; and one who
    /// is not done in time, so. Internal for a path that is no page.
    ///
    /// # Example
    ///
    /// The page is shown at [`UrlElicitation`](crate::route::UrlElicitation).
    ///
    /// ```
    /// use portcullis::component::Elicited;
    /// use portcullis::prelude::*;
    ///
    /// /// Connects your calendar.
    /// #[tool]
    /// async fn connect_calendar(ctx: Context) -> Result<&'static str, ToolError> {
    ///     match ctx.elicit_url("/calendar", "Enter the key of your calendar.").await? {
    ///         // The page has kept the key, for the user who entered it.
    ///         Elicited::Accepted(()) => Ok("Your calendar is connected."),
    ///         Elicited::Declined | Elicited::Cancelled => Ok("Nothing is connected."),
    ///     }
    /// }
    /// ```
    pub async fn elicit_url(
        &self,
        path: &'static str,
        message: impl Into<String> + Send,
    ) -> Result<Elicited<()>, ToolError> {
        input::elicit_url(&self.input, Page { path, message: message.into() }).await
    }

    /// Asks the model of the client; see [`elicit`](Self::elicit) for how a function asks.
    ///
    /// # Errors
    ///
    /// As [`elicit`](Self::elicit); internal for a question without a message, or with a resource in it.
    pub async fn sample(&self, request: CreateMessage) -> Result<CreateMessageResult, ToolError> {
        input::sample(&self.input, request).await
    }

    /// Asks the client for the folders that it works in; see [`elicit`](Self::elicit) for how a function
    /// asks.
    ///
    /// # Errors
    ///
    /// As [`elicit`](Self::elicit).
    pub async fn roots(&self) -> Result<Vec<Root>, ToolError> {
        input::roots(&self.input).await
    }

    /// Lets the call go on as a task, which outlives its request, from here on: in a tool with
    /// [`TaskSupport::WhenBegun`](crate::component::TaskSupport::WhenBegun), whose client takes tasks.
    /// Otherwise, and the second time, nothing happens.
    ///
    /// Ask the client before, where the answer decides whether there is something to do: the function
    /// then runs again from its start, and what comes after this runs once.
    ///
    /// # Errors
    ///
    /// When the caller has as many tasks as are kept for them, or as many run as may: the caller is told
    /// so. Internal when the store cannot be asked.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    ///
    /// /// Builds a report, if it has changed.
    /// #[tool(task = when_begun)]
    /// async fn report(changed: bool, ctx: Context) -> Result<&'static str, ToolError> {
    ///     if !changed {
    ///         return Ok("the report of yesterday");
    ///     }
    ///     ctx.begin_task().await?;
    ///     // … builds it
    ///     Ok("the report of today")
    /// }
    /// ```
    pub async fn begin_task(&self) -> Result<(), ToolError> {
        match &self.input {
            Some(input) => input.begin_task().await,
            None => Ok(()),
        }
    }

    /// Whether the client declared that it can show a form.
    #[must_use]
    pub fn can_elicit(&self) -> bool {
        input::can_show_forms(&self.input)
    }

    /// Whether the client declared that it lets its user open URLs.
    #[must_use]
    pub fn can_elicit_url(&self) -> bool {
        self.input.as_deref().is_some_and(|input| input.capabilities().url)
    }

    /// Whether the client declared that it can ask a model.
    #[must_use]
    pub fn can_sample(&self) -> bool {
        self.input.as_deref().is_some_and(|input| input.capabilities().sampling)
    }

    /// Whether the client declared that it lists the folders that it works in.
    #[must_use]
    pub fn can_list_roots(&self) -> bool {
        self.input.as_deref().is_some_and(|input| input.capabilities().roots)
    }
}
