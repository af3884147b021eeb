//! Every option, constraint, parameter and result there is.

use std::collections::HashMap;

use portcullis::component::{FormElicitation, Icon, Theme};
use portcullis::prelude::*;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Filter {
    words: Vec<String>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[expect(dead_code, reason = "nobody is asked")]
struct Sure {
    sure: bool,
}

struct Store;

mod inner {
    use portcullis::prelude::*;

    /// Public, in another module.
    #[tool]
    pub async fn outside() -> () {}
}

fn premium(context: &AuthContext) -> bool {
    context.claim("premium") == Ok(true)
}

async fn premium_later(context: &AuthContext<'_>) -> Result<Decision, AuthorizationError> {
    Ok(premium(context).into())
}

fn level(least: u64) -> impl Fn(&AuthContext) -> bool {
    move |context: &AuthContext| context.claim("level").is_ok_and(|level: u64| level >= least)
}

#[derive(serde::Deserialize)]
struct Bounds {
    number: Option<i64>,
    list: Vec<serde::de::IgnoredAny>,
}

fn fits(bounds: &Bounds) -> Result<(), ToolError> {
    match usize::try_from(bounds.number.unwrap_or_default()) {
        Ok(number) if number < bounds.list.len() => {
            Err(ToolError::new("argument `number`: too small"))
        }
        _ => Ok(()),
    }
}

/// Everything at once.
#[tool(
    name = "renamed",
    title = "Renamed",
    description = "Said here, not in the comment.",
    icons = ["https://example.com/a.png", Icon::new("https://example.com/b.svg").any_size()],
    meta("com.example/team" = "a", "com.example/rank" = 1),
    tags("a", "b"),
    auth = [
        require_scopes(["read"]),
        premium,
        premium_later,
        level(5),
        any_of((require_scopes(["write"]), |_: &AuthContext| async { true })),
    ],
    validate = [fits, |bounds: &Bounds| fits(bounds)],
    deny = challenge,
    annotations(read_only, destructive, additive, idempotent, open_world, closed_world)
)]
async fn everything(
    /// A comment
    #[arg(pattern = "^x$", min_length = 1, max_length = 2, one_of("x", "y"), default = "x")]
    text: String,
    #[arg(description = "A number", ge = -1, gt = -2, le = 10, lt = 11)] number: Option<i64>,
    #[arg(le = 18446744073709551615)] _large: Option<u64>,
    #[arg(min_items = 0, max_items = 3, unique_items)] list: Vec<Filter>,
    #[arg(min_properties = 0, max_properties = 3)] map: HashMap<String, u8>,
    #[arg(format = "date")] day: Option<String>,
    #[arg(secret, reason = "it is stored for the caller's own account")] api_key: Option<String>,
    mut r#type: f64,
    context: Context,
    caller: Caller,
    MaybeCaller(maybe): MaybeCaller,
    store: State<Store>,
    sure: FormElicitation<Sure>,
) -> Result<Json<String>, ToolError> {
    r#type += 1.0;
    let _ = (api_key, number, map, day, context, caller, maybe, store, sure, r#type);
    Ok(Json(format!("{text} {}", list.first().map_or(0, |filter| filter.words.len()))))
}

#[tool]
async fn spread(Args(filter): Args<Filter>) -> Vec<Content> {
    filter.words.into_iter().map(Content::text).collect()
}

#[resource("note://{owner}/{id}", name = "note", mime_type = "text/markdown")]
async fn note(owner: String, id: u32) -> String {
    format!("{owner} {id}")
}

#[resource("page://{site}", validate = |page: &HashMap<String, String>| no_port(page))]
async fn page(#[arg(path_like)] site: String) -> String {
    site
}

fn icon() -> Icon {
    Icon::data([0x89, b'P', b'N', b'G'], "image/png").size(48, 48).theme(Theme::Dark)
}

fn no_port(page: &HashMap<String, String>) -> Result<(), ToolError> {
    match page.values().any(|site| site.contains(':')) {
        true => Err(ToolError::new("argument `site`: has a port")),
        false => Ok(()),
    }
}

#[resource(
    "blob://app",
    size = 1,
    icons = "https://example.com/a.png",
    meta("ui" = serde_json::json!({"prefersBorder": true})),
    annotations(audience(user, assistant), priority = 0.5, last_modified = "2026-07-28T12:34:56Z")
)]
async fn blob() -> Vec<u8> {
    vec![1]
}

#[prompt(auth = require_scopes(["analyst"]), deny = hide, icons = icon(), meta("a" = true))]
async fn report(quarter: String, #[arg(ge = 1)] pages: Option<u8>) -> Vec<Message> {
    vec![Message::user(quarter), Message::assistant(format!("{pages:?}"))]
}

#[test]
fn every_option_constraint_parameter_and_result_is_accepted() {
    let all = components![everything, spread, inner::outside, note, page, blob, report,];
    Server::builder("everything").no_auth().state(Store).components(all).build().unwrap();
}
