//! rmcp's Streamable HTTP server with plain JSON answers, behind the same verification as an
//! axum layer. Scopes are asked for in its handler.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;
use bench_peers::options::{self, Options};
use bench_peers::tools;
use bench_peers::verify::{Claims, Verifier, unauthorized};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

fn main() -> ExitCode {
    options::serve(router)
}

fn router(options: &Options) -> Result<Router, Box<dyn Error>> {
    let verifier = Arc::new(Verifier::new(options)?);
    let tools = tools::declared(options.tools).into_iter().map(|tool| {
        let scope = tool.scope;
        (Tool::new(tool.name, tool.description, tool.input_schema), scope)
    });
    let tools = Adder(tools.collect());
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let service = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
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

/// The tools with the scopes that they need.
#[derive(Clone)]
struct Adder(Arc<[(Tool, &'static str)]>);

impl ServerHandler for Adder {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if request.name != "add" || !has_scope(&context, "read") {
            return Err(ErrorData::invalid_params("Unknown tool", None));
        }
        let arguments = request.arguments.unwrap_or_default();
        let number = |name: &str| arguments.get(name).and_then(Value::as_i64);
        let sum = number("a").zip(number("b")).and_then(|(a, b)| a.checked_add(b));
        let sum = sum.ok_or_else(|| ErrorData::invalid_params("Two integers are needed", None))?;
        Ok(CallToolResult::success(vec![ContentBlock::text(sum.to_string())]).into())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let visible = self.0.iter().filter(|(_, scope)| has_scope(&context, scope));
        Ok(ListToolsResult::with_all_items(visible.map(|(tool, _)| tool.clone()).collect()))
    }
}

fn has_scope(context: &RequestContext<RoleServer>, scope: &str) -> bool {
    let parts = context.extensions.get::<Parts>();
    parts
        .and_then(|parts| parts.extensions.get::<Arc<Claims>>())
        .is_some_and(|claims| claims.has_scope(scope))
}
