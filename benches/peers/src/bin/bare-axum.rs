//! The least that an axum handler can do for the same requests.
//!
//! It verifies the token, reads the message with serde, asks for the scope `read`, adds, and
//! writes the same answer. It checks no header, no version and no schema, has no limits, no
//! timeouts and no log. For `tools/list` it copies the JSON of each visible tool, which was
//! chosen and written at the start, into the answer: the cost of writing the visible bytes.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bench_peers::options::{self, Options};
use bench_peers::tools;
use bench_peers::verify::{Claims, Verifier, unauthorized};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

fn main() -> ExitCode {
    options::serve(router)
}

struct App {
    verifier: Verifier,
    visible: Vec<Box<RawValue>>,
    meta: Box<RawValue>,
}

fn router(options: &Options) -> Result<Router, Box<dyn Error>> {
    let visible = tools::declared(options.tools).into_iter().filter(|tool| tool.scope == "read");
    let visible = visible.map(|tool| {
        to_raw_value(&json!({
            "name": tool.name,
            "description": tool.description,
            "inputSchema": tool.input_schema,
        }))
    });
    let server = json!({"name": "bench-server", "version": "0"});
    let app = App {
        verifier: Verifier::new(options)?,
        visible: visible.collect::<Result<_, _>>()?,
        meta: to_raw_value(&json!({"io.modelcontextprotocol/serverInfo": server}))?,
    };
    Ok(Router::new().route("/mcp", post(mcp)).with_state(Arc::new(app)))
}

#[derive(Deserialize)]
struct Request<'a> {
    id: i64,
    method: &'a str,
    #[serde(borrow)]
    params: Params<'a>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<&'a str>,
    arguments: Option<Add>,
}

#[derive(Deserialize)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Serialize)]
struct Answer<R> {
    jsonrpc: &'static str,
    id: i64,
    result: R,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Called<'a> {
    result_type: &'static str,
    content: [Text; 1],
    is_error: bool,
    #[serde(rename = "_meta")]
    meta: &'a RawValue,
}

#[derive(Serialize)]
struct Text {
    r#type: &'static str,
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    result_type: &'static str,
    tools: &'a [Box<RawValue>],
    ttl_ms: u64,
    cache_scope: &'static str,
    #[serde(rename = "_meta")]
    meta: &'a RawValue,
}

async fn mcp(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(claims) = app.verifier.verify(&headers) else { return unauthorized() };
    answer(&app, &claims, &body).unwrap_or_else(|| StatusCode::BAD_REQUEST.into_response())
}

fn answer(app: &App, claims: &Claims, body: &[u8]) -> Option<Response> {
    let Request { id, method, params } = serde_json::from_slice(body).ok()?;
    let meta = &*app.meta;
    let body = match (method, params) {
        ("tools/call", Params { name: Some("add"), arguments: Some(Add { a, b }) })
            if claims.has_scope("read") =>
        {
            let content = [Text { r#type: "text", text: a.checked_add(b)?.to_string() }];
            let result = Called { result_type: "complete", content, is_error: false, meta };
            serde_json::to_vec(&Answer { jsonrpc: "2.0", id, result })
        }
        ("tools/list", _) if claims.has_scope("read") => {
            let tools = &app.visible;
            let result =
                Listed { result_type: "complete", tools, ttl_ms: 0, cache_scope: "private", meta };
            serde_json::to_vec(&Answer { jsonrpc: "2.0", id, result })
        }
        _ => return None,
    };
    let mut response = Response::new(Body::from(body.ok()?));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(response)
}
