//! Redirect URIs of MCP clients that people use.

/// An MCP client whose redirect URIs are known: with
/// [`Registration::Known`](super::Registration::Known), these alone may register.
///
/// The list says where answers may go, not who asks: any program can claim an address of the user's own
/// device, or the scheme of an app.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_oauth as auth; }
/// use portcullis::auth::KnownClient;
///
/// let uris = KnownClient::Claude.redirect_uris();
/// assert!(uris.contains(&"https://claude.ai/api/mcp/auth_callback"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KnownClient {
    /// Claude on the web, on the desktop and on phones.
    Claude,
    /// Claude Code.
    ClaudeCode,
    /// ChatGPT.
    ChatGpt,
    /// Codex.
    Codex,
    /// Visual Studio Code, its Insiders edition, and its Copilot.
    VsCode,
    /// Cursor.
    Cursor,
    /// The MCP Inspector, in a browser and on the command line.
    Inspector,
    /// mcp-remote, the bridge of clients that know stdio alone.
    McpRemote,
    /// FastMCP's client and command line.
    FastMcp,
    /// mcporter.
    Mcporter,
    /// opencode.
    OpenCode,
    /// Gemini CLI.
    GeminiCli,
}

impl KnownClient {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Claude,
        Self::ClaudeCode,
        Self::ChatGpt,
        Self::Codex,
        Self::VsCode,
        Self::Cursor,
        Self::Inspector,
        Self::McpRemote,
        Self::FastMcp,
        Self::Mcporter,
        Self::OpenCode,
        Self::GeminiCli,
    ];

    /// Its redirect URIs, as
    /// [`allowed_client_redirect_uris`](super::ClientPolicy::allowed_client_redirect_uris) takes them:
    /// the port of a loopback address is free.
    #[must_use]
    pub fn redirect_uris(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &[
                "https://claude.ai/api/mcp/auth_callback",
                "https://claude.com/api/mcp/auth_callback",
            ],
            Self::ClaudeCode | Self::FastMcp => {
                &["http://localhost:*/callback", "http://127.0.0.1:*/callback"]
            }
            Self::ChatGpt => &[
                "https://chatgpt.com/connector_platform_oauth_redirect",
                "https://chatgpt.com/connector/oauth/*",
            ],
            Self::Codex | Self::Mcporter => &["http://127.0.0.1:*/callback"],
            Self::VsCode => &[
                "https://vscode.dev/redirect",
                "https://insiders.vscode.dev/redirect",
                "http://127.0.0.1:*/",
                "http://localhost:*/",
            ],
            // It registers all of them at once, and gives up when one is refused.
            Self::Cursor => &[
                "https://www.cursor.com/agents/mcp/oauth/callback",
                "https://www.cursor.com/bot/mcp/oauth/callback",
                "cursor://anysphere.cursor-mcp/oauth/callback",
                "cursor://anysphere.cursor-retrieval/oauth/callback",
                "grokbot://mcp/oauth/callback",
                "http://localhost:*/callback",
            ],
            Self::Inspector => &[
                "http://localhost:*/oauth/callback",
                "http://localhost:*/oauth/callback/debug",
                "http://127.0.0.1:*/oauth/callback",
                "http://127.0.0.1:*/oauth/callback/debug",
            ],
            Self::McpRemote => {
                &["http://localhost:*/oauth/callback", "http://127.0.0.1:*/oauth/callback"]
            }
            Self::OpenCode => &["http://127.0.0.1:*/mcp/oauth/callback"],
            Self::GeminiCli => &["http://localhost:*/oauth/callback"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::RedirectPattern;
    use super::super::redirect_uri::RedirectUri;
    use super::*;

    #[test]
    fn every_redirect_uri_of_the_list_is_a_pattern() {
        for client in KnownClient::ALL {
            for text in client.redirect_uris() {
                RedirectPattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            }
        }
    }

    #[test]
    fn what_real_clients_register_is_on_the_list() {
        for (client, uri) in [
            (KnownClient::Claude, "https://claude.ai/api/mcp/auth_callback"),
            (KnownClient::Claude, "https://claude.com/api/mcp/auth_callback"),
            (KnownClient::ClaudeCode, "http://localhost:54212/callback"),
            (KnownClient::ChatGpt, "https://chatgpt.com/connector/oauth/a1B2-c3"),
            (KnownClient::Codex, "http://127.0.0.1:41234/callback"),
            (KnownClient::VsCode, "http://127.0.0.1:33418/"),
            (KnownClient::VsCode, "https://vscode.dev/redirect"),
            (KnownClient::Cursor, "http://localhost:8787/callback"),
            (KnownClient::Cursor, "cursor://anysphere.cursor-mcp/oauth/callback"),
            (KnownClient::Cursor, "grokbot://mcp/oauth/callback"),
            (KnownClient::Inspector, "http://127.0.0.1:6276/oauth/callback"),
            (KnownClient::Inspector, "http://localhost:6274/oauth/callback"),
            (KnownClient::McpRemote, "http://localhost:17284/oauth/callback"),
            (KnownClient::FastMcp, "http://localhost:51999/callback"),
            (KnownClient::Mcporter, "http://127.0.0.1:60001/callback"),
            (KnownClient::OpenCode, "http://127.0.0.1:19876/mcp/oauth/callback"),
            (KnownClient::GeminiCli, "http://localhost:7777/oauth/callback"),
        ] {
            let uri = RedirectUri::parse(uri).unwrap();
            let mut patterns = client.redirect_uris().iter();
            assert!(patterns.any(|text| RedirectPattern::parse(text).unwrap().matches(&uri)));
        }
    }
}
