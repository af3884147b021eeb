//! The official Rust client (rmcp) as a real peer of the server under test.
//!
//! ```text
//! portcullis-peer-rmcp --url URL [--token TOKEN | --sign-in PROGRAM [--refresh]] [--protocol VERSION]
//! portcullis-peer-rmcp [--protocol VERSION] --stdio COMMAND [ARGS...]
//! ```
//!
//! Connects, lists everything, tries a fixed set of operations and prints one
//! JSON object on stdout; of several --url one after the other, on a line each. A refused operation is reported in that object; only
//! a failed connection or listing makes the exit status non-zero.
//!
//! PROGRAM is node/sign_in.mjs, which is the browser of the person who signs in.
//!
//! With --refresh the tokens are refreshed and `whoami` called again: `refreshed` has the answer,
//! `refresh_tokens`, the one before and the one after, and `visits`, how often the browser was
//! opened, which is once.
//!
//! With --client-id the client was registered by its operator, under that id and, with
//! --client-secret, with that secret; with --document it is the website that publishes the metadata
//! document there. Else it registers.
//!
//! VERSION is `2026-07-28` (the default: `server/discover` must offer it), an
//! older version (`initialize` asks for it), `legacy` (the newest of those) or
//! `auto` (`server/discover`, then `initialize`).

use std::error::Error;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ContentBlock, GetPromptRequestParams,
    Implementation, JsonObject, ProtocolVersion, ReadResourceRequestParams, ResourceContents,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RunningService, ServiceError};
use rmcp::transport::auth::{AuthClient, AuthorizationManager, AuthorizationRequest, OAuthState};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{RoleClient, object};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Mutex;

type Client = RunningService<RoleClient, ClientConfig>;
type Manager = Arc<Mutex<AuthorizationManager>>;
type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let urls: Vec<_> = options.urls.iter().map(|url| Some(url.as_str())).collect();
    for url in if urls.is_empty() { vec![None] } else { urls } {
        let (client, manager) = connect(&options, url).await?;
        let mut report = explore(&client).await?;
        if let (true, Some(manager)) = (options.refresh, manager) {
            report["refreshed"] = refreshed(&client, &manager).await?;
        }
        println!("{report}");
        client.cancel().await?;
    }
    Ok(())
}

struct Options {
    urls: Vec<String>,
    token: Option<String>,
    sign_in: Option<String>,
    refresh: bool,
    client_id: Option<String>,
    client_secret: Option<String>,
    document: Option<String>,
    protocol: String,
    stdio: Vec<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            urls: Vec::new(),
            token: None,
            sign_in: None,
            refresh: false,
            client_id: None,
            client_secret: None,
            document: None,
            protocol: "2026-07-28".into(),
            stdio: Vec::new(),
        };
        while let Some(flag) = args.next() {
            match flag.as_str() {
                "--url" => options.urls.extend(args.next()),
                "--token" => options.token = args.next(),
                "--sign-in" => options.sign_in = args.next(),
                "--refresh" => options.refresh = true,
                "--client-id" => options.client_id = args.next(),
                "--client-secret" => options.client_secret = args.next(),
                "--document" => options.document = args.next(),
                "--protocol" => options.protocol = args.next().ok_or("--protocol needs a value")?,
                "--stdio" => options.stdio = args.by_ref().collect(),
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        if options.urls.is_empty() == options.stdio.is_empty() {
            return Err("give either --url or --stdio".into());
        }
        Ok(options)
    }
}

async fn connect(options: &Options, url: Option<&str>) -> Result<(Client, Option<Manager>)> {
    let mut signed_in_as = None;
    let handshake = ProtocolVersion::LATEST_WITH_INITIALIZE;
    let config = ClientConfig::new(
        ClientCapabilities::default(),
        Implementation::new("portcullis-peer-rmcp", "0.0.0"),
    );
    let (config, lifecycle) = match options.protocol.as_str() {
        "auto" => (
            config,
            ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::LATEST],
                legacy_version: Some(handshake),
            },
        ),
        "legacy" => (config.with_protocol_version(handshake), ClientLifecycleMode::Initialize),
        version => {
            let version: ProtocolVersion = serde_json::from_value(version.into())?;
            if version.has_initialize() {
                (config.with_protocol_version(version), ClientLifecycleMode::Initialize)
            } else {
                (config, ClientLifecycleMode::Discover { preferred_versions: vec![version] })
            }
        }
    };
    let client = match url {
        Some(url) => {
            let mut http = StreamableHttpClientTransportConfig::with_uri(url);
            http.auth_header.clone_from(&options.token);
            match &options.sign_in {
                Some(program) => {
                    let manager = signed_in(options, url, program).await?;
                    let client = AuthClient::new(reqwest::Client::new(), manager);
                    signed_in_as = Some(client.auth_manager.clone());
                    let transport = StreamableHttpClientTransport::with_client(client, http);
                    config.serve_with_lifecycle(transport, lifecycle).await?
                }
                None => {
                    let transport = StreamableHttpClientTransport::from_config(http);
                    config.serve_with_lifecycle(transport, lifecycle).await?
                }
            }
        }
        None => {
            let (command, args) = options.stdio.split_first().ok_or("--stdio needs a command")?;
            let mut command = Command::new(command);
            command.args(args);
            config.serve_with_lifecycle(TokioChildProcess::new(command)?, lifecycle).await?
        }
    };
    Ok((client, signed_in_as))
}

/// The library refreshes, as it does at the end of an access token.
async fn refreshed(client: &Client, manager: &Manager) -> Result<Value> {
    let before = refresh_token(manager).await?;
    manager.lock().await.refresh_token().await?;
    let whoami = call(client, "whoami", object!({})).await?;
    let whoami: Value = serde_json::from_str(whoami["ok"].as_str().unwrap_or_default())?;
    let tokens = [before, refresh_token(manager).await?];
    Ok(json!({"whoami": whoami, "refresh_tokens": tokens, "visits": 1}))
}

async fn refresh_token(manager: &Manager) -> Result<Value> {
    let (_, tokens) = manager.lock().await.get_credentials().await?;
    Ok(serde_json::to_value(tokens)?["refresh_token"].take())
}

/// The library's own OAuth, with the browser and the callback that a host has to add.
async fn signed_in(options: &Options, url: &str, program: &str) -> Result<AuthorizationManager> {
    let mut state = OAuthState::new(url, None).await?;
    let mut request = AuthorizationRequest::new("http://127.0.0.1:33418/callback")
        .with_client_name("portcullis-peer-rmcp");
    if let Some(id) = &options.client_id {
        request = request.with_preregistered_client(id);
    }
    if let Some(secret) = &options.client_secret {
        request = request.with_client_secret(secret);
    }
    if let Some(url) = &options.document {
        request = request.with_client_metadata_url(url);
    }
    state.start_authorization(request).await?;
    let link = state.get_authorization_url().await?;
    let browser = Command::new("node").args([program, &link]).output().await?;
    state.handle_callback_url(String::from_utf8(browser.stdout)?.trim()).await?;
    Ok(state.into_authorization_manager().ok_or("nobody is signed in")?)
}

async fn explore(client: &Client) -> Result<Value> {
    let tools = client.list_all_tools().await?;
    let resources = client.list_all_resources().await?;
    let templates = client.list_all_resource_templates().await?;
    let prompts = client.list_all_prompts().await?;
    let mut whoami = call(client, "whoami", object!({})).await?;
    if let Some(text) = whoami["ok"].as_str() {
        whoami = serde_json::from_str(text)?;
    }
    let mut echo = call(client, "echo", object!({"text": "hello"})).await?;
    if echo["ok"].is_string() {
        echo = echo["ok"].take();
    }
    Ok(json!({
        "protocol_version": client.peer_info().map(|info| info.protocol_version.clone()),
        "tools": sorted(tools.into_iter().map(|tool| tool.name.into_owned())),
        "resources": sorted(resources.into_iter().map(|resource| resource.uri)),
        "templates": sorted(templates.into_iter().map(|template| template.uri_template)),
        "prompts": sorted(prompts.into_iter().map(|prompt| prompt.name)),
        "whoami": whoami,
        "echo": echo,
        "get_profile": call(client, "get_profile", object!({})).await?,
        "delete_user": call(client, "delete_user", object!({"user_id": "u-404"})).await?,
        "secret_config": read(client, "secret://config").await?,
        "secret_keys": read(client, "secret://keys").await?,
        "item": read(client, "item://1").await?,
        "ledger": read(client, "ledger://1").await?,
        "financial_report": prompt(client, "financial_report", object!({"quarter": "Q1"})).await?,
        "fail_tool_error": call(client, "fail_tool_error", object!({})).await?,
    }))
}

async fn call(client: &Client, name: &'static str, arguments: JsonObject) -> Result<Value> {
    let params = CallToolRequestParams::new(name).with_arguments(arguments);
    outcome(client.call_tool(params).await.map(|result| {
        let face = if result.is_error == Some(true) { "error" } else { "ok" };
        json!({ face: join(result.content.iter().map(block_text)) })
    }))
}

async fn read(client: &Client, uri: &str) -> Result<Value> {
    let result = client.read_resource(ReadResourceRequestParams::new(uri)).await;
    outcome(result.map(|result| json!({"ok": join(result.contents.iter().map(contents_text))})))
}

async fn prompt(client: &Client, name: &str, arguments: JsonObject) -> Result<Value> {
    let params = GetPromptRequestParams::new(name).with_arguments(arguments);
    outcome(client.get_prompt(params).await.map(|result| {
        json!({"ok": join(result.messages.iter().map(|message| block_text(&message.content)))})
    }))
}

/// Turns a refusal by the peer into `{"error": message, "code": number}`; what else went wrong
/// ends the program.
fn outcome(result: std::result::Result<Value, ServiceError>) -> Result<Value> {
    match result {
        Ok(value) => Ok(value),
        Err(ServiceError::McpError(error)) => {
            Ok(json!({"error": error.message, "code": error.code.0}))
        }
        // An HTTP status without a JSON-RPC error that the transport could use.
        Err(error @ ServiceError::TransportSend(_)) => Ok(json!({"error": error.to_string()})),
        Err(error) => Err(error.into()),
    }
}

fn block_text(block: &ContentBlock) -> &str {
    block.as_text().map_or("", |text| &text.text)
}

fn contents_text(contents: &ResourceContents) -> &str {
    match contents {
        ResourceContents::TextResourceContents { text, .. } => text,
        _ => "",
    }
}

fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join("\n")
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
