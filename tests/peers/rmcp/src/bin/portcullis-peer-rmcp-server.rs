//! The official Rust server (rmcp), as its users have it: Streamable HTTP with sessions, behind axum.
//!
//! ```text
//! portcullis-peer-rmcp-server PORT [TOKEN]
//! ```
//!
//! With TOKEN it lets in whoever has that one, and says to others where its metadata is, which names no
//! authorization server.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, object};
use serde_json::json;

const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().ok_or("name a port")?.parse()?;
    let origin = format!("http://127.0.0.1:{port}");
    let service = StreamableHttpService::new(
        || Ok(Greeter),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let mut router = Router::new().route_service("/mcp", service);
    if let Some(token) = arguments.next() {
        let guard = Arc::new(Guard {
            authorization: format!("Bearer {token}"),
            challenge: format!("Bearer resource_metadata=\"{origin}{METADATA}\""),
        });
        let document = json!({"resource": format!("{origin}/mcp")}).to_string();
        let metadata = [
            (header::CONTENT_TYPE, "application/json"),
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        ];
        router = router
            .layer(middleware::from_fn_with_state(guard, authenticate))
            .route(METADATA, get(move || async move { (metadata, document) }));
    }
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    Ok(axum::serve(listener, router).await?)
}

struct Guard {
    authorization: String,
    challenge: String,
}

async fn authenticate(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if given == Some(guard.authorization.as_bytes()) {
        return next.run(request).await;
    }
    // RFC 6750, section 3: an error is named where a token was sent.
    let error = if given.is_some() { ", error=\"invalid_token\"" } else { "" };
    let challenge = [(header::WWW_AUTHENTICATE, format!("{}{error}", guard.challenge))];
    (StatusCode::UNAUTHORIZED, challenge).into_response()
}

#[derive(Clone)]
struct Greeter;

impl ServerHandler for Greeter {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::success(vec![ContentBlock::text("hello")]).into())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let greet = Tool::new("greet", "Say hello.", object!({"type": "object"}));
        Ok(ListToolsResult::with_all_items(vec![greet]))
    }
}
