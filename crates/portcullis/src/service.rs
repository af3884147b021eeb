use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use portcullis_auth::Decision;
use portcullis_protocol::model::{
    CallToolResult, ContentBlock, GetPromptResult, ReadResourceResult, ResourceContents,
};
use portcullis_protocol::{
    Arguments, Exchange, Identity, Limits, Operation, Outcome, Page, RpcError, Service,
};

use crate::arguments::Values;
use crate::catalogue::{Catalogue, Entry, Section, mime_type};
use crate::component::{Erased, Handler};
use crate::context::{Context, States};
use crate::decision::{admits, decide, panic_text};
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
        let rest = match cursor {
            None => section.entries.as_slice(),
            Some(cursor) => {
                let invalid = || RpcError::InvalidArguments("Invalid cursor".to_owned());
                let key =
                    URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|key| String::from_utf8(key).ok());
                let (entry, rest) =
                    key.and_then(|key| section.split_after(&key)).ok_or_else(invalid)?;
                if !admits(entry, exchange).await {
                    return Err(invalid());
                }
                rest
            }
        };
        let mut page = Page::default();
        let mut last = None;
        for entry in rest {
            if decide(entry, exchange).await != Decision::Allow {
                continue;
            }
            if page.entries.len() == self.page_size {
                page.next_cursor = last.map(|key: &String| URL_SAFE_NO_PAD.encode(key));
                break;
            }
            page.entries.push(entry.descriptor.clone());
            last = Some(&entry.key);
        }
        Ok(page)
    }

    async fn call_tool(
        &self,
        name: &str,
        arguments: Arguments,
        exchange: Exchange,
    ) -> Result<Outcome, RpcError> {
        let unknown = || RpcError::Unknown { kind: "tool", name: name.to_owned() };
        let entry = self.catalogue.tools.find(name).ok_or_else(unknown)?;
        if !admits(entry, &exchange).await {
            return Err(unknown());
        }
        let Handler::Tool(handler) = &entry.handler else { return Err(unknown()) };
        let answer = self.run(handler, entry.schema.accept(arguments), exchange).await;
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

    /// Reads the resource at `uri`, or what the first template makes of it that matches
    /// and that the caller may use.
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

    async fn find_resource(&self, uri: &str, exchange: &Exchange) -> Option<(&Entry, Values)> {
        if let Some(entry) = self.catalogue.resources.find(uri)
            && admits(entry, exchange).await
        {
            return Some((entry, Values::new()));
        }
        for entry in &self.catalogue.templates.entries {
            let matched = entry.template.as_ref().and_then(|template| template.matches(uri));
            if let Some(arguments) = matched
                && admits(entry, exchange).await
            {
                return Some((entry, arguments));
            }
        }
        None
    }

    async fn prompt(
        &self,
        name: &str,
        arguments: Arguments,
        exchange: Exchange,
    ) -> Result<Outcome, RpcError> {
        let unknown = || RpcError::Unknown { kind: "prompt", name: name.to_owned() };
        let entry = self.catalogue.prompts.find(name).ok_or_else(unknown)?;
        if !admits(entry, &exchange).await {
            return Err(unknown());
        }
        let Handler::Prompt(handler) = &entry.handler else { return Err(unknown()) };
        let answer = self.run(handler, entry.schema.accept_strings(arguments), exchange).await;
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
        match tokio::time::timeout(self.limits.handler, answer).await {
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
