//! The clients: what is typed to sign in and to call, and where each keeps its tokens.

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_tests::driver::{root, run};
use serde_json::{Value, json};

use super::conversation::Conversation;
use super::desk::Desk;
use crate::node;

/// What a client printed, or why it failed.
pub(crate) type Outcome = Result<String, String>;

/// A client that people install.
pub(crate) struct Installed {
    pub(crate) name: &'static str,
    /// Writes its configuration.
    pub(crate) configure: fn(&Desk),
    /// Its command for signing in; without one, the first call signs in.
    pub(crate) sign_in: Option<fn(&Desk) -> Outcome>,
    /// Uses the server.
    pub(crate) call: fn(&Desk) -> Outcome,
    /// What `call` prints when it went well.
    pub(crate) says: &'static str,
    /// The folder in which it keeps its tokens; none where they end with the process.
    pub(crate) keeps: Option<&'static str>,
    /// It refreshes when the server refuses its access token; else it signs in again.
    pub(crate) refreshes: bool,
    /// What it says after its grant was revoked; without words it signs in again.
    pub(crate) told: Option<&'static str>,
    /// It can be told an id under which its operator registered it.
    pub(crate) takes_id: bool,
    pub(crate) document: Document,
}

/// Whether a client can have a metadata document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    Never,
    /// It is told where.
    Told,
    /// It knows where: at this host and path.
    Own(&'static str),
}

/// All of them.
pub(crate) const ALL: [&Installed; 7] =
    [&CLAUDE_CODE, &CODEX, &OPENCODE, &MCPORTER, &MCP_REMOTE, &INSPECTOR, &FASTMCP];

const SERVER: &str = "portcullis";
const WHOAMI: &str = "\"sub\":\"alice\"";

fn package(path: &str) -> PathBuf {
    root().join("target/peers/installed/node_modules").join(path)
}

fn ran(command: &mut Command) -> Outcome {
    run(command).map_err(|error| error.to_string())
}

/// A program in JavaScript.
fn script(desk: &Desk, script: &Path, arguments: &[&str]) -> Command {
    desk.command(&node(), &[&[script.to_str().unwrap()], arguments].concat())
}

pub(crate) const CLAUDE_CODE: Installed = Installed {
    name: "Claude Code",
    configure: |desk| {
        let arguments = ["mcp", "add", "--transport", "http", SERVER, &desk.url];
        let id = desk.identity.id().map_or(vec![], |id| vec!["--client-id", id]);
        let arguments = [&arguments[..], &id].concat();
        ran(&mut desk.command(&claude(), &arguments)).unwrap();
    },
    sign_in: Some(|desk| ran(&mut desk.in_terminal(&claude(), &["mcp", "login", SERVER]))),
    // It calls no tool without a model.
    call: |desk| {
        let listed = ran(&mut desk.command(&claude(), &["mcp", "list"]))?;
        if listed.contains("Connected") { Ok(listed) } else { Err(listed) }
    },
    says: "Connected",
    keeps: Some(".claude"),
    refreshes: true,
    told: Some("Needs authentication"),
    takes_id: true,
    document: Document::Own("claude.ai/oauth/claude-code-client-metadata"),
};

fn claude() -> PathBuf {
    package("@anthropic-ai/claude-code-linux-x64/claude")
}

pub(crate) const CODEX: Installed = Installed {
    name: "Codex",
    configure: |desk| {
        let server = format!("[mcp_servers.{SERVER}]\nurl = {:?}\n", desk.url);
        let mut config = format!("mcp_oauth_credentials_store = \"file\"\n{server}");
        if let Some(id) = desk.identity.id() {
            let callback = "callback_url = \"http://127.0.0.1/callback\"";
            config += &format!("[mcp_servers.{SERVER}.oauth]\nclient_id = {id:?}\n{callback}\n");
        }
        desk.write(".codex/config.toml", &config);
    },
    sign_in: Some(|desk| ran(&mut desk.command(&codex(), &["mcp", "login", SERVER]))),
    call: |desk| {
        let mut codex = Conversation::with(&mut desk.command(&codex(), &["app-server"]));
        let client = json!({"name": "peers", "version": "1"});
        let capabilities = json!({"experimentalApi": true});
        let hello = json!({"clientInfo": client, "capabilities": capabilities});
        codex.ask(1, "initialize", hello)?;
        codex.notify("initialized");
        let thread = codex.ask(2, "thread/start", json!({}))?["thread"]["id"].take();
        let call = json!({"threadId": thread, "server": SERVER, "tool": "whoami", "arguments": {}});
        let result = codex.ask(3, "mcpServer/tool/call", call)?;
        Ok(result["structuredContent"].to_string())
    },
    says: WHOAMI,
    keeps: Some(".codex"),
    refreshes: true,
    told: Some(""),
    takes_id: true,
    document: Document::Own("chatgpt.com/oauth/codex/client.json"),
};

fn codex() -> PathBuf {
    package("@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex")
}

pub(crate) const OPENCODE: Installed = Installed {
    name: "opencode",
    configure: |desk| {
        let mut server = json!({"type": "remote", "url": desk.url, "enabled": true});
        if let Some(id) = desk.identity.id() {
            server["oauth"] = json!({"clientId": id});
        }
        let config = json!({"mcp": {SERVER: server}, "autoupdate": false});
        desk.write(".config/opencode/opencode.json", &config.to_string());
    },
    sign_in: Some(|desk| ran(&mut desk.in_terminal(&opencode(), &["mcp", "auth", SERVER]))),
    call: |desk| {
        let listed = ran(&mut desk.in_terminal(&opencode(), &["mcp", "list"]))?;
        if listed.contains("✓") { Ok(listed) } else { Err(listed) }
    },
    says: "connected",
    keeps: Some(".local/share/opencode"),
    refreshes: true,
    told: Some("needs authentication"),
    takes_id: true,
    document: Document::Never,
};

fn opencode() -> PathBuf {
    package("opencode-linux-x64/bin/opencode")
}

pub(crate) const MCPORTER: Installed = Installed {
    name: "mcporter",
    configure: |desk| {
        let mut server = json!({"url": desk.url, "auth": "oauth"});
        if let Some(id) = desk.identity.id() {
            server["oauthClientId"] = json!(id);
            server["oauthTokenEndpointAuthMethod"] = json!("none");
        }
        let servers = json!({"mcpServers": {SERVER: server}});
        desk.write("config/mcporter.json", &servers.to_string());
    },
    sign_in: None,
    call: |desk| {
        let whoami = format!("{SERVER}.whoami");
        let arguments = ["--config", "config/mcporter.json", "call", &whoami, "--output", "json"];
        let said = ran(&mut script(desk, &package("mcporter/dist/cli.js"), &arguments))?;
        let said: Value = serde_json::from_str(&said).map_err(|_| said)?;
        Ok(said.to_string())
    },
    says: WHOAMI,
    keeps: Some(".mcporter"),
    // It registers again, and the refresh token is another client's then.
    refreshes: false,
    told: None,
    takes_id: true,
    document: Document::Never,
};

pub(crate) const MCP_REMOTE: Installed = Installed {
    name: "mcp-remote",
    configure: |_| {},
    sign_in: None,
    call: |desk| {
        let program = package("mcp-remote/dist/proxy.js");
        let id = desk.identity.id().map(|id| json!({"client_id": id}).to_string());
        let mut arguments = vec![desk.url.as_str(), "--allow-http"];
        match &id {
            Some(id) => arguments.extend(["--static-oauth-client-info", id]),
            None => {
                arguments.extend(desk.identity.arguments("--client-id", "--client-metadata-url"))
            }
        }
        let mut bridge = Conversation::with(&mut script(desk, &program, &arguments));
        let client = json!({"name": "peers", "version": "1"});
        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        bridge.ask(1, "initialize", hello)?;
        bridge.notify("notifications/initialized");
        let result = bridge.ask(2, "tools/call", json!({"name": "whoami", "arguments": {}}))?;
        Ok(result["structuredContent"].to_string())
    },
    says: WHOAMI,
    keeps: Some(".mcp-auth"),
    refreshes: true,
    told: None,
    takes_id: true,
    document: Document::Told,
};

pub(crate) const INSPECTOR: Installed = Installed {
    name: "Inspector",
    configure: |_| {},
    sign_in: None,
    call: |desk| {
        let launcher =
            "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
        let program = root().join("target/peers/hosts").join(launcher);
        let call = ["--method", "tools/call", "--tool-name", "whoami", "--format", "json"];
        let known = desk.identity.arguments("--client-id", "--client-metadata-url");
        let arguments = [&["--cli", &desk.url, "--transport", "http"], &call[..], &known].concat();
        let mut command = script(desk, &program, &arguments);
        // It has no terminal, and is told to open the browser all the same.
        command.env("MCP_AUTO_OPEN_ENABLED", "true").env("MCP_INSPECTOR_SECRET_STORE", "file");
        let said = ran(&mut command)?;
        let line = said.lines().last().unwrap_or_default();
        let said: Value = serde_json::from_str(line).map_err(|_| said.clone())?;
        Ok(said["result"]["structuredContent"].to_string())
    },
    says: WHOAMI,
    keeps: Some(".mcp-inspector"),
    refreshes: true,
    told: None,
    takes_id: true,
    document: Document::Told,
};

pub(crate) const FASTMCP: Installed = Installed {
    name: "FastMCP's command",
    configure: |_| {},
    sign_in: None,
    call: |desk| {
        let program = root().join("target/peers/python/bin/fastmcp");
        let arguments = ["call", &desk.url, "whoami", "--auth", "oauth", "--json"];
        let said = ran(desk.command(&program, &arguments).env("FASTMCP_LOG_LEVEL", "ERROR"))?;
        let json = said.find("{\n").map_or("", |start| &said[start..]);
        let said: Value = serde_json::from_str(json).map_err(|_| said.clone())?;
        Ok(said["structured_content"].to_string())
    },
    says: WHOAMI,
    keeps: None,
    refreshes: false,
    told: None,
    takes_id: false,
    document: Document::Never,
};
