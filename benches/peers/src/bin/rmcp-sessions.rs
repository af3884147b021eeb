//! rmcp's Streamable HTTP server with sessions in memory, behind the same verification as an axum layer.

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;
use bench_peers::options::{self, Options};
use bench_peers::verify::{Claims, Verifier, unauthorized};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
    ProgressNotificationParam, ServerCapabilities, ServerConfig,
};
use rmcp::service::{NotificationContext, Peer, RequestContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

fn main() -> ExitCode {
    options::serve(router)
}

fn router(options: &Options) -> Result<Router, Box<dyn Error>> {
    let verifier = Arc::new(Verifier::new(options)?);
    let tools = Tools::default();
    let service = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default().with_legacy_session_mode(true),
    );
    Ok(Router::new()
        .route_service("/mcp", service)
        .layer(middleware::from_fn_with_state(verifier, authenticate)))
}

async fn authenticate(
    State(verifier): State<Arc<Verifier>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(claims) = verifier.verify(request.headers()) else { return unauthorized() };
    request.extensions_mut().insert(claims);
    next.run(request).await
}

/// `add`, `count` and `announce`, and the clients that `announce` tells.
#[derive(Clone, Default)]
struct Tools {
    clients: Arc<Mutex<Vec<Peer<RoleServer>>>>,
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed();
        ServerConfig::new(capabilities.build())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if let Ok(mut clients) = self.clients.lock() {
            clients.push(context.peer);
        }
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !has_scope(&context, "read") {
            return Err(ErrorData::invalid_params("Unknown tool", None));
        }
        let text = match &*request.name {
            "add" => {
                let arguments = request.arguments.unwrap_or_default();
                let number = |name: &str| arguments.get(name).and_then(Value::as_i64);
                let sum = number("a").zip(number("b")).and_then(|(a, b)| a.checked_add(b));
                sum.ok_or_else(|| ErrorData::invalid_params("Two integers are needed", None))?
                    .to_string()
            }
            "count" => {
                let token = context.meta.get_progress_token();
                for step in 1..=3 {
                    if let Some(token) = &token {
                        let told = ProgressNotificationParam::new(token.clone(), f64::from(step));
                        // Whoever has left is told nothing.
                        let _ = context.peer.notify_progress(told.with_total(3.0)).await;
                    }
                }
                "counted".to_owned()
            }
            "announce" => {
                let clients = self.clients.lock().map(|clients| clients.clone());
                for client in clients.unwrap_or_default() {
                    tokio::spawn(async move { client.notify_tool_list_changed().await });
                }
                "announced".to_owned()
            }
            _ => return Err(ErrorData::invalid_params("Unknown tool", None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

fn has_scope(context: &RequestContext<RoleServer>, scope: &str) -> bool {
    let parts = context.extensions.get::<Parts>();
    parts
        .and_then(|parts| parts.extensions.get::<Arc<Claims>>())
        .is_some_and(|claims| claims.has_scope(scope))
}
