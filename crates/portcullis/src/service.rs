use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use futures_util::stream::{self, Stream};
use portcullis_auth::Decision;
use portcullis_protocol::model::{
    CallToolResult, ContentBlock, GetPromptResult, ReadResourceResult, ResourceContents,
};
use portcullis_protocol::{
    Arguments, Changed, Exchange, Identity, Limits, Operation, Outcome, Page, RpcError, Service,
    within,
};

use tokio::time::Instant;

use crate::arguments::Values;
use crate::catalogue::{Catalogue, Entry, Section, mime_type};
use crate::component::{Erased, Handler};
use crate::context::{Context, States};
use crate::decision::{admits, decide, log_denied, panic_text};
use crate::parameter::Call;
use crate::resource::{Body, ResourceResult};
use crate::tool_error::{Crashed, Revealed, ToolError};

/// What answers operations, over whichever transport.
pub(crate) struct Core {
    pub(crate) identity: Identity,
    pub(crate) catalogue: Catalogue,
    pub(crate) states: Arc<States>,
    pub(crate) limits: Limits,
    pub(crate) page_size: usize,
    pub(crate) show_internal_errors: bool,
}

impl Service for Core {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn serve(
        &self,
        operation: Operation<'_>,
        exchange: Exchange,
    ) -> Result<Outcome, RpcError> {
        let catalogue = &self.catalogue;
        match operation {
            Operation::ListTools { cursor } => {
                self.list(&catalogue.tools, cursor.as_deref(), &exchange).await.map(Outcome::Tools)
            }
            Operation::ListResources { cursor } => self
                .list(&catalogue.resources, cursor.as_deref(), &exchange)
                .await
                .map(Outcome::Resources),
            Operation::ListResourceTemplates { cursor } => self
                .list(&catalogue.templates, cursor.as_deref(), &exchange)
                .await
                .map(Outcome::ResourceTemplates),
            Operation::ListPrompts { cursor } => self
                .list(&catalogue.prompts, cursor.as_deref(), &exchange)
                .await
                .map(Outcome::Prompts),
            Operation::CallTool { name, arguments } => {
                self.call_tool(&name, arguments, exchange).await
            }
            Operation::ReadResource { uri } => self.read_resource(&uri, exchange).await,
            Operation::GetPrompt { name, arguments } => {
                self.prompt(&name, arguments, exchange).await
            }
            _ => Err(RpcError::MethodNotFound),
        }
    }

    fn changes(self: &Arc<Self>, _: &Exchange) -> impl Stream<Item = Changed> + Send + 'static {
        stream::pending()
    }
}

impl Core {
    /// One page of what the caller may see. A cursor names the last entry of the page
    /// before: something that its caller was shown, so it tells nothing of what is hidden.
    async fn list(
        &self,
        section: &Section,
        cursor: Option<&str>,
        exchange: &Exchange,
    ) -> Result<Page, RpcError> {
        let deadline = self.deadline();
        let start = match cursor {
            None => 0,
            Some(cursor) => {
                let invalid = || RpcError::InvalidArguments("Invalid cursor".to_owned());
                let key =
                    URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|key| String::from_utf8(key).ok());
                let position = key.and_then(|key| section.position(&key)).ok_or_else(invalid)?;
                let entry = section.entries.get(position).ok_or_else(invalid)?;
                if !admits(entry, exchange, deadline).await {
                    return Err(invalid());
                }
                position + 1
            }
        };
        let mut page = Page { listing: Arc::clone(&section.listing), ..Page::default() };
        let mut last = None;
        for (position, entry) in (0..).zip(&section.entries).skip(start) {
            if decide(entry, exchange, deadline).await != Decision::Allow {
                continue;
            }
            if page.visible.len() == self.page_size {
                page.next_cursor = last.map(|key: &String| URL_SAFE_NO_PAD.encode(key));
                break;
            }
            page.visible.push(position);
            last = Some(&entry.key);
        }
        Ok(page)
    }

    /// When everything that one operation asks has to be decided.
    fn deadline(&self) -> Instant {
        Instant::now() + self.limits.decision
    }

    /// The component called `name`, if it is there for the caller.
    async fn find<'a>(
        &self,
        section: &'a Section,
        name: &str,
        exchange: &Exchange,
    ) -> Option<&'a Entry> {
        let Some(entry) = section.find(name) else {
            log_denied(name, exchange, "there is none of this name");
            return None;
        };
        admits(entry, exchange, self.deadline()).await.then_some(entry)
    }

    async fn call_tool(
        &self,
        name: &str,
        arguments: Arguments<'_>,
        exchange: Exchange,
    ) -> Result<Outcome, RpcError> {
        let unknown = || RpcError::Unknown { kind: "tool", name: name.to_owned() };
        let found = self.find(&self.catalogue.tools, name, &exchange).await;
        let entry = found.ok_or_else(unknown)?;
        let Handler::Tool(handler) = &entry.handler else { return Err(unknown()) };
        let answer = self
            .run(
                handler,
                arguments.read().and_then(|arguments| entry.schema.accept(arguments)),
                exchange,
            )
            .await;
        let result = answer.map(|result| result.0).unwrap_or_else(|error| {
            let text = match error.reveal(&entry.key, self.show_internal_errors) {
                Revealed::Message(text) => text.into_owned(),
                Revealed::RefusedArgument(text) => text,
                Revealed::NotFound => "Not found".to_owned(),
            };
            CallToolResult::error(vec![ContentBlock::text(text)])
        });
        Ok(Outcome::ToolCalled(result))
    }

    /// Reads the resource at `uri`.
    async fn read_resource(&self, uri: &str, exchange: Exchange) -> Result<Outcome, RpcError> {
        let not_found = || RpcError::ResourceNotFound { uri: uri.to_owned() };
        let (entry, arguments) = self.find_resource(uri, &exchange).await.ok_or_else(not_found)?;
        let Handler::Resource(handler) = &entry.handler else { return Err(not_found()) };
        let answer = self.run(handler, entry.schema.accept_strings(arguments), exchange).await;
        match answer {
            Ok(ResourceResult { body, mime_type: default }) => {
                let contents = match body {
                    Body::Text(text) => ResourceContents::text(text, uri),
                    Body::Blob(blob) => ResourceContents::blob(blob, uri),
                };
                let contents = contents.with_mime_type(mime_type(entry, default));
                Ok(Outcome::ResourceRead(ReadResourceResult::new(vec![contents])))
            }
            Err(error) => Err(match error.reveal(&entry.key, self.show_internal_errors) {
                Revealed::Message(text) => RpcError::Internal(text),
                Revealed::RefusedArgument(text) => RpcError::InvalidArguments(text),
                Revealed::NotFound => not_found(),
            }),
        }
    }

    /// What answers for `uri`: the resource of that URI, or else the first template.
    ///
    /// Everything that matches has to allow: a resource that is stricter than a template
    /// around it is not read through that template.
    async fn find_resource(&self, uri: &str, exchange: &Exchange) -> Option<(&Entry, Values)> {
        let deadline = self.deadline();
        let fixed = self.catalogue.resources.find(uri).map(|entry| (entry, Values::new()));
        let templates = self.catalogue.templates.entries.iter().filter_map(|entry| {
            let arguments = entry.template.as_ref()?.matches(uri)?;
            Some((entry, arguments))
        });
        let mut answering = None;
        for (entry, arguments) in fixed.into_iter().chain(templates) {
            if !admits(entry, exchange, deadline).await {
                return None;
            }
            answering.get_or_insert((entry, arguments));
        }
        if answering.is_none() {
            log_denied(uri, exchange, "there is none of this URI");
        }
        answering
    }

    async fn prompt(
        &self,
        name: &str,
        arguments: Arguments<'_>,
        exchange: Exchange,
    ) -> Result<Outcome, RpcError> {
        let unknown = || RpcError::Unknown { kind: "prompt", name: name.to_owned() };
        let found = self.find(&self.catalogue.prompts, name, &exchange).await;
        let entry = found.ok_or_else(unknown)?;
        let Handler::Prompt(handler) = &entry.handler else { return Err(unknown()) };
        let answer = self
            .run(
                handler,
                arguments.read().and_then(|arguments| entry.schema.accept_strings(arguments)),
                exchange,
            )
            .await;
        match answer {
            Ok(messages) => {
                let mut result = GetPromptResult::new(messages.0);
                result.description.clone_from(&entry.about.description);
                Ok(Outcome::PromptGot(result))
            }
            Err(error) => Err(match error.reveal(&entry.key, self.show_internal_errors) {
                Revealed::Message(text) => RpcError::Internal(text),
                Revealed::RefusedArgument(text) => RpcError::InvalidArguments(text),
                Revealed::NotFound => RpcError::Internal("Not found".into()),
            }),
        }
    }

    /// Runs a handler within its time, if the arguments were accepted. A panic is an
    /// internal error like any other.
    async fn run<R>(
        &self,
        handler: &Erased<R>,
        accepted: Result<Values, String>,
        exchange: Exchange,
    ) -> Result<R, ToolError> {
        let arguments = accepted.map_err(ToolError::refused_argument)?;
        let call = Call { arguments, context: Context::new(exchange, Arc::clone(&self.states)) };
        let answer = AssertUnwindSafe(async { handler(call).await }).catch_unwind();
        match within(self.limits.handler, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(ToolError::internal(Crashed(format!(
                "the handler panicked: {}",
                panic_text(&*panic)
            )))),
            Err(_) => {
                let crashed =
                    Crashed(format!("the handler ran longer than {:?}", self.limits.handler));
                Err(ToolError::new("It took too long, and was stopped.").with_cause(crashed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_auth::{Answer, AuthContext, Check, Principal, Scopes, require_scopes};
    use portcullis_protocol::{ProtocolVersion, Transport};

    use super::*;
    use crate::argument::Argument;
    use crate::caller::Caller;
    use crate::component::Components;
    use crate::resource::Resource;
    use crate::server::Server;
    use crate::tool::Tool;
    use crate::tool_error::ToolError;

    fn core(components: Components, page_size: usize) -> Arc<Core> {
        let server = Server::builder("test").no_auth().components(components).page_size(page_size);
        server
            .limits(|limits| {
                limits.handler = Duration::from_millis(50);
                limits.decision = Duration::from_millis(50);
            })
            .build()
            .unwrap()
            .core
    }

    fn over_http(scopes: Option<&[&str]>) -> Exchange {
        let principal = scopes.map(|scopes| {
            let scopes: Scopes = scopes.iter().copied().collect();
            Arc::new(Principal::new("alice").with_scopes(scopes))
        });
        let version = ProtocolVersion::V2026_07_28;
        let (client, remote, session) = (None, None, None);
        Exchange { transport: Transport::Http, version, principal, client, remote, session }
    }

    fn over_stdio() -> Exchange {
        Exchange { transport: Transport::Stdio, ..over_http(None) }
    }

    fn plain(name: &str) -> crate::Component {
        Tool::new(name).handler(|_call| async { "done" })
    }

    async fn tools(core: &Core, exchange: Exchange) -> Vec<String> {
        let (mut names, mut cursor) = (Vec::new(), None);
        loop {
            let operation = Operation::ListTools { cursor: cursor.map(Into::into) };
            let Ok(Outcome::Tools(page)) = core.serve(operation, exchange.clone()).await else {
                panic!("no page")
            };
            names.extend(page.entries(exchange.version).map(|entry| {
                let json: serde_json::Value = serde_json::from_str(entry).unwrap();
                json["name"].as_str().unwrap().to_owned()
            }));
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return names,
            }
        }
    }

    async fn call(core: &Core, name: &str, exchange: Exchange) -> Result<CallToolResult, RpcError> {
        let operation = Operation::CallTool { name: name.into(), arguments: Arguments::none() };
        core.serve(operation, exchange).await.map(|outcome| match outcome {
            Outcome::ToolCalled(result) => result,
            other => panic!("{other:?}"),
        })
    }

    #[tokio::test]
    async fn a_tool_that_takes_a_caller_does_not_exist_without_one_over_http() {
        let whoami = Tool::new("whoami").parameter::<Caller>(Argument::new("caller")).handler(
            |mut call: Call| async move {
                let caller: Caller = call.take("caller")?;
                Ok::<_, ToolError>(caller.authenticated().to_string())
            },
        );
        let core = core(Components::new().with(whoami), 10);
        assert_eq!(tools(&core, over_http(None)).await, Vec::<String>::new());
        assert!(call(&core, "whoami", over_http(None)).await.is_err());
        assert!(call(&core, "whoami", over_http(Some(&[]))).await.is_ok());
        assert!(call(&core, "whoami", over_stdio()).await.is_ok());
    }

    #[tokio::test]
    async fn pages_hold_what_is_visible_and_nothing_marks_what_is_not() {
        let hidden = |name: &str| {
            Tool::new(name).auth(require_scopes(["admin"])).handler(|_call| async { "done" })
        };
        let components =
            Components::new().with(plain("a")).with(hidden("b")).with(plain("c")).with(hidden("d"));
        let core = core(components, 1);
        assert_eq!(tools(&core, over_http(Some(&["admin"]))).await, ["a", "b", "c", "d"]);
        assert_eq!(tools(&core, over_http(None)).await, ["a", "c"]);
        let cursor = Some(URL_SAFE_NO_PAD.encode("a").into());
        let page = core.serve(Operation::ListTools { cursor }, over_http(None)).await;
        let Ok(Outcome::Tools(page)) = page else { panic!("no page") };
        assert_eq!(page.next_cursor, None, "a cursor to what is hidden says that it is there");
    }

    #[derive(Debug)]
    enum Odd {
        Pending(bool),
        Panics,
        PanicsLater,
        NeverEnds,
    }

    impl Check for Odd {
        fn check<'a>(&'a self, _: AuthContext<'a>) -> Answer<'a, Decision> {
            match self {
                Self::Pending(allow) => Answer::pending(async move {
                    tokio::task::yield_now().await;
                    if *allow { Decision::Allow } else { Decision::deny("no") }
                }),
                Self::Panics => panic!("secret-check-detail"),
                Self::NeverEnds => Answer::pending(std::future::pending()),
                Self::PanicsLater => Answer::pending(async { panic!("secret-check-detail") }),
            }
        }

        fn requirement(&self) -> String {
            format!("{self:?}")
        }
    }

    #[tokio::test]
    async fn a07_h14_checks_are_waited_for_and_a_panic_is_a_denial() {
        let with = |check: Odd| {
            let name = format!("{check:?}").replace(['(', ')'], "_");
            Tool::new(name).auth(check).handler(|_call| async { "done" })
        };
        let components = Components::new()
            .with(with(Odd::Pending(true)))
            .with(with(Odd::Pending(false)))
            .with(with(Odd::Panics))
            .with(with(Odd::PanicsLater))
            .with(with(Odd::NeverEnds));
        let core = core(components, 10);
        assert_eq!(tools(&core, over_http(None)).await, ["Pending_true_"]);
        let denied = call(&core, "Panics", over_http(None)).await.unwrap_err();
        assert!(!denied.to_string().contains("secret-check-detail"));
        assert_eq!(tools(&core, over_stdio()).await.len(), 5, "checks are skipped over stdio");
    }

    #[tokio::test]
    async fn a_handler_that_takes_too_long_is_stopped_and_says_so() {
        let slow = Tool::new("slow").handler(|_call| std::future::pending::<String>());
        let core = core(Components::new().with(slow), 10);
        let result = call(&core, "slow", over_http(None)).await.unwrap();
        assert_eq!(result.is_error, Some(true));
        let json = serde_json::to_value(&result.content).unwrap();
        assert_eq!(json[0]["text"], "It took too long, and was stopped.");
    }

    #[tokio::test]
    async fn a04_a_hidden_resource_is_not_read_through_a_template_around_it() {
        let read = |text: &'static str| move |_call: Call| async move { text };
        let hidden = Resource::new("item://1").auth(require_scopes(["admin"])).handler(read("one"));
        let template = Resource::new("item://{id}")
            .parameter::<String>(Argument::new("id"))
            .handler(read("any"));
        let core = core(Components::new().with(hidden).with(template), 10);
        let text = async |exchange: Exchange| {
            let operation = Operation::ReadResource { uri: "item://1".into() };
            match core.serve(operation, exchange).await {
                Ok(Outcome::ResourceRead(result)) => {
                    let json = serde_json::to_value(&result.contents).unwrap();
                    json[0]["text"].as_str().unwrap().to_owned()
                }
                Err(RpcError::ResourceNotFound { .. }) => "nothing".to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(text(over_http(None)).await, "nothing");
        assert_eq!(text(over_http(Some(&["admin"]))).await, "one");
    }

    #[test]
    fn what_does_not_fit_together_does_not_build() {
        let template = Resource::new("item://{id}").handler(|_call| async { "x" });
        let components = Components::new()
            .with(plain("a"))
            .with(plain("a"))
            .with(plain("not a name"))
            .with(template)
            .with(
                Tool::new("empty")
                    .auth(require_scopes(Vec::<&str>::new()))
                    .handler(|_call| async {}),
            )
            .with(
                Tool::new("state")
                    .parameter::<crate::State<u8>>(Argument::new("s"))
                    .handler(|_call| async {}),
            );
        let error =
            Server::builder(" ").no_auth().components(components).path("x").build().unwrap_err();
        let text = error.to_string();
        for problem in [
            "two components have this name",
            "a name is 1 to 128",
            "`{id}` needs a parameter",
            "requires nothing",
            "State<u8>",
            "the server needs a name",
            "begins with `/`",
        ] {
            assert!(text.contains(problem), "{problem}: {text}");
        }
    }
}
