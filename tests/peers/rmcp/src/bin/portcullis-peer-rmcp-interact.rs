//! What the official Rust client (rmcp) hears of a function that runs, and answers to it.
//!
//! ```text
//! portcullis-peer-rmcp-interact --url URL [--token TOKEN] [--protocol VERSION]
//! portcullis-peer-rmcp-interact [--protocol VERSION] --stdio COMMAND [ARGS...]
//! ```
//!
//! Against the fixtures called `interaction` it lists, calls, reads, prompts and completes; it hears
//! progress, the log and a changed list, answers an elicitation, and cancels a call. It prints one
//! JSON object on stdout.
//!
//! VERSION is `2026-07-28` (the default) or `legacy` (`initialize`).

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest,
    ElicitRequestParams, ElicitResult, ElicitationAction, GetPromptRequestParams, Implementation,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion,
    ReadResourceRequestParams, ResourceContents, SubscriptionFilter,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, PeerRequestOptions, RequestContext,
    RunningService,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ErrorData, RoleClient, object};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

type Client = RunningService<RoleClient, Listener>;
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the client was told, and asked.
#[derive(Default)]
struct Heard {
    progress: Mutex<Vec<Value>>,
    log: Mutex<Vec<Value>>,
    questions: Mutex<Vec<Value>>,
    told: Notify,
    changed: Notify,
}

#[derive(Clone)]
struct Listener {
    heard: Arc<Heard>,
    config: ClientConfig,
}

impl ClientHandler for Listener {
    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> std::result::Result<ElicitResult, ErrorData> {
        let request = serde_json::to_value(request).unwrap_or_default();
        let fields = request["requestedSchema"]["properties"].as_object();
        let fields: Vec<_> = fields.into_iter().flat_map(|fields| fields.keys()).collect();
        self.heard.questions.lock().unwrap().push(json!([request["message"], fields]));
        let mut answer = ElicitResult::new(ElicitationAction::Accept);
        answer.content = Some(json!({"name": "Ann"}));
        Ok(answer)
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.heard.progress.lock().unwrap().push(json!([params.progress, params.total]));
        self.heard.told.notify_one();
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.heard.log.lock().unwrap().push(json!([params.level, params.data]));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard.changed.notify_one();
    }

    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }
}

struct Options {
    url: Option<String>,
    token: Option<String>,
    stateless: bool,
    stdio: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut options = Options { url: None, token: None, stateless: true, stdio: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        match flag.as_str() {
            "--url" => options.url = args.next(),
            "--token" => options.token = args.next(),
            "--protocol" => options.stateless = args.next().as_deref() != Some("legacy"),
            "--stdio" => options.stdio = args.by_ref().collect(),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let heard = Arc::new(Heard::default());
    let client = connect(&options, &heard).await?;
    println!("{}", interact(&client, &heard, options.stateless).await?);
    client.cancel().await?;
    Ok(())
}

async fn connect(options: &Options, heard: &Arc<Heard>) -> Result<Client> {
    let capabilities = ClientCapabilities::builder().enable_elicitation().build();
    let name = Implementation::new("portcullis-peer-rmcp", "0.0.0");
    let mut config = ClientConfig::new(capabilities, name);
    let lifecycle = if options.stateless {
        ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] }
    } else {
        config = config.with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE);
        ClientLifecycleMode::Initialize
    };
    let listener = Listener { heard: Arc::clone(heard), config };
    Ok(match &options.url {
        Some(url) => {
            let mut http = StreamableHttpClientTransportConfig::with_uri(url.as_str());
            http.auth_header.clone_from(&options.token);
            let transport = StreamableHttpClientTransport::from_config(http);
            listener.serve_with_lifecycle(transport, lifecycle).await?
        }
        None => {
            let (command, args) = options.stdio.split_first().ok_or("--stdio needs a command")?;
            let mut command = Command::new(command);
            command.args(args);
            listener.serve_with_lifecycle(TokioChildProcess::new(command)?, lifecycle).await?
        }
    })
}

/// A call; in the stateless version a log is asked for with it.
fn params(name: &'static str, stateless: bool) -> Result<CallToolRequestParams> {
    let mut params = json!({"name": name, "arguments": {}});
    if stateless {
        params["_meta"] = json!({"io.modelcontextprotocol/logLevel": "info"});
    }
    Ok(serde_json::from_value(params)?)
}

async fn call(client: &Client, name: &'static str, stateless: bool) -> Result<String> {
    let result = client.call_tool(params(name, stateless)?).await?;
    let text = result.content.first().and_then(|block| block.as_text());
    Ok(text.ok_or("no text")?.text.clone())
}

async fn interact(client: &Client, heard: &Heard, stateless: bool) -> Result<Value> {
    let tools = client.list_all_tools().await?;
    let mut tools: Vec<_> = tools.into_iter().map(|tool| tool.name.into_owned()).collect();
    tools.sort();
    let read = client.read_resource(ReadResourceRequestParams::new("memo://1")).await?;
    let read = match read.contents.first() {
        Some(ResourceContents::TextResourceContents { text, .. }) => text.clone(),
        _ => return Err("no text".into()),
    };
    let prompt = GetPromptRequestParams::new("greet").with_arguments(object!({"name": "Ann"}));
    let prompt = client.get_prompt(prompt).await?;
    let prompt = prompt.messages.first().and_then(|message| message.content.as_text());
    let prompt = prompt.ok_or("no text")?.text.clone();
    let completed = client.complete_prompt_argument("greet", "name", "an", None).await?.values;
    let counted = call(client, "count", stateless).await?;
    // It hears of the last step at any time.
    while heard.progress.lock().unwrap().len() < 3 {
        timeout(PATIENCE, heard.told.notified()).await?;
    }
    let progress = heard.progress.lock().unwrap().clone();
    let noted = call(client, "note", stateless).await?;
    let asked = call(client, "ask", stateless).await?;
    let changed = changed(client, heard, stateless).await?;
    let cancelled = cancelled(client, heard, stateless).await?;
    Ok(json!({
        "protocol_version": client.peer_info().map(|info| info.protocol_version.clone()),
        "tools": tools,
        "read": read,
        "prompt": prompt,
        "completed": completed,
        "counted": counted,
        "progress": progress,
        "noted": noted,
        "log": *heard.log.lock().unwrap(),
        "asked": asked,
        "questions": *heard.questions.lock().unwrap(),
        "changed": changed,
        "cancelled": cancelled,
    }))
}

async fn changed(client: &Client, heard: &Heard, stateless: bool) -> Result<bool> {
    if !stateless {
        call(client, "toggle", stateless).await?;
        timeout(PATIENCE, heard.changed.notified()).await?;
        return Ok(true);
    }
    let filter: SubscriptionFilter = serde_json::from_value(json!({"toolsListChanged": true}))?;
    let mut subscription = client.listen(filter).await?;
    call(client, "toggle", stateless).await?;
    Ok(timeout(PATIENCE, subscription.next()).await??.is_some())
}

async fn cancelled(client: &Client, heard: &Heard, stateless: bool) -> Result<String> {
    let told = heard.progress.lock().unwrap().len();
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params("sleep", stateless)?));
    let options = PeerRequestOptions::no_options();
    let running = client.send_cancellable_request(request, options).await?;
    while heard.progress.lock().unwrap().len() == told {
        timeout(PATIENCE, heard.told.notified()).await?;
    }
    running.cancel(Some("no longer wanted".to_owned())).await?;
    timeout(PATIENCE, call(client, "dropped", stateless)).await?
}
