//! Every form of parameter and result that the manual names, for clients and hosts to take.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use portcullis::Tool;
use portcullis::component::{Component, ToolResult};
use portcullis::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::conformance::{PNG, WAV};

/// Everything that is served; it needs the [`Shelf`] as state.
#[must_use]
pub fn components() -> Components {
    components![
        texts,
        numbers,
        flags,
        lists,
        maps,
        nested,
        spread,
        formats,
        any_json,
        any_struct,
        given,
        returns_text,
        returns_nothing,
        returns_json,
        returns_list,
        returns_nan,
        returns_content,
        returns_tool_error,
        returns_internal_error,
        returns_result,
        text_resource,
        json_resource,
        bytes_resource,
        own_resource,
        note,
        page,
        found,
        json_template,
        simple_prompt,
        argued_prompt,
        json_prompt,
        messages_prompt,
    ]
    .with(written())
    .with(any_written())
}

/// What `given` is given.
#[derive(Debug, Default)]
pub struct Shelf {
    /// How many books there are.
    pub books: u32,
}

/// A size.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Fits into a pocket
    Small,
    /// Fits into a bag
    Large,
}

/// One of five without comments.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    Red,
    Green,
    Blue,
    Black,
    White,
}

/// Somebody's address.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// With the number
    street_line: String,
    city: String,
    /// Where there is one
    postcode: Option<String>,
    size: Size,
}

/// How something is paid, by the member `by`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Payment {
    /// By card
    Card {
        /// The last four digits
        digits: String,
    },
    /// By invoice
    Invoice { days: Option<u8> },
}

/// An order, as one struct.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Order {
    /// What is ordered
    title: String,
    /// How many
    #[serde(default = "one")]
    quantity: u16,
    /// The most that it may cost
    limit: Option<f64>,
    gift: Option<bool>,
    address: Address,
    payment: Option<Payment>,
    #[serde(default)]
    labels: Vec<String>,
}

fn one() -> u16 {
    1
}

/// Texts in the formats of JSON Schema.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Formats {
    #[schemars(extend("format" = "date"))]
    day: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    moment: Option<String>,
    #[schemars(extend("format" = "time"))]
    time: Option<String>,
    #[schemars(extend("format" = "duration"))]
    duration: Option<String>,
    #[schemars(extend("format" = "uuid"))]
    id: Option<String>,
    #[schemars(extend("format" = "uri"))]
    link: Option<String>,
    address: Option<IpAddr>,
}

/// Texts with each constraint that texts can have.
#[tool(title = "Texts", tags("arguments"), annotations(read_only, idempotent))]
pub async fn texts(
    /// Lower-case letters
    #[arg(pattern = "^[a-z]+$")]
    word: String,
    #[arg(min_length = 2, max_length = 4)] short: Option<String>,
    #[arg(one_of("red", "green"))] listed: Option<String>,
    #[arg(default = "plain")] style: String,
    #[arg(description = "A single letter")] letter: Option<char>,
) -> String {
    format!("{word} {short:?} {listed:?} {style} {letter:?}")
}

/// Numbers with each constraint that numbers can have.
#[tool]
#[expect(clippy::too_many_arguments, reason = "one for each constraint")]
pub async fn numbers(
    #[arg(ge = 1, le = 100, default = 20)] limit: u32,
    #[arg(gt = 0, lt = 10)] rate: Option<f64>,
    #[arg(ge = -5)] low: Option<i64>,
    byte: Option<u8>,
    long: Option<i64>,
    unsigned: Option<u64>,
    single: Option<f32>,
    #[arg(one_of(1, 2, 3))] level: Option<u8>,
) -> String {
    format!("{limit} {rate:?} {low:?} {byte:?} {long:?} {unsigned:?} {single:?} {level:?}")
}

/// Yes and no.
#[tool]
pub async fn flags(#[arg(default = false)] loud: bool, strict: Option<bool>) -> String {
    format!("{loud} {strict:?}")
}

/// Lists with each constraint that lists can have.
#[tool]
pub async fn lists(
    #[arg(min_items = 1, max_items = 3)] words: Vec<String>,
    numbers: Option<Vec<i32>>,
    addresses: Option<Vec<Address>>,
    pair: Option<(String, u8)>,
) -> String {
    let addresses = addresses.unwrap_or_default().len();
    format!("{words:?} {numbers:?} {addresses} {pair:?}")
}

/// Objects whose members have any name.
#[tool]
pub async fn maps(
    counts: HashMap<String, u32>,
    values: Option<BTreeMap<String, Value>>,
) -> Json<BTreeMap<String, u32>> {
    let values = u32::try_from(values.unwrap_or_default().len()).unwrap_or(u32::MAX);
    Json(counts.into_iter().chain([("values".to_owned(), values)]).collect())
}

/// A struct in a struct, and both kinds of enums.
#[tool]
pub async fn nested(
    /// Where it goes
    address: Address,
    size: Size,
    colour: Option<Colour>,
    payment: Option<Payment>,
) -> Json<Order> {
    let title = format!("{size:?} {colour:?}");
    let (limit, gift, labels) = (None, None, Vec::new());
    Json(Order { title, quantity: 1, limit, gift, address, payment, labels })
}

/// All arguments as one struct.
#[tool]
pub async fn spread(Args(order): Args<Order>) -> Json<Order> {
    Json(order)
}

/// Dates and other formats.
#[tool]
pub async fn formats(Args(formats): Args<Formats>) -> Json<Formats> {
    Json(formats)
}

/// A tool by a schema that is written out.
fn written() -> Component {
    Tool::new("written")
        .description("Takes one of two")
        .input_schema(json!({
            "type": "object",
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "email": {"type": "string", "minLength": 3},
                "anything": {},
            },
            "anyOf": [{"required": ["id"]}, {"required": ["email"]}],
        }))
        .handler(|arguments: Map<String, Value>, _context: Context| async move {
            canonical(&Value::Object(arguments))
        })
}

/// What the server gives, and no argument.
#[tool]
pub async fn given(
    shelf: State<Shelf>,
    context: Context,
    caller: Caller,
    MaybeCaller(maybe): MaybeCaller,
) -> String {
    let (books, version) = (shelf.books, context.protocol_version());
    format!("{books} {version:?} {:?} {}", caller.subject(), maybe.is_some())
}

/// Text.
#[tool]
pub async fn returns_text() -> &'static str {
    "A text."
}

/// Nothing.
#[tool]
pub async fn returns_nothing() -> Result<(), ToolError> {
    Ok(())
}

/// What `returns_json` says.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Report {
    /// Of whom
    name: String,
    mean: f64,
    least: Option<i64>,
    size: Size,
    addresses: Vec<Address>,
    extra: Value,
}

/// A struct.
#[tool]
pub async fn returns_json() -> Json<Report> {
    let (name, extra) = ("everything".to_owned(), json!({"free": [1, "two", null]}));
    Json(Report { name, mean: 1.5, least: None, size: Size::Small, addresses: Vec::new(), extra })
}

/// A struct with a number that JSON does not have.
#[tool]
pub async fn returns_nan() -> Json<Report> {
    let Json(report) = returns_json().await;
    Json(Report { mean: f64::NAN, ..report })
}

/// A list of numbers, structured.
#[tool]
pub async fn returns_list() -> Json<Vec<u8>> {
    Json(vec![1, 2, 3])
}

/// Every kind of content.
#[tool]
pub async fn returns_content() -> Vec<Content> {
    vec![
        Content::text("Everything:"),
        Content::image(PNG, "image/png"),
        Content::audio(WAV, "audio/wav"),
        Content::resource_text("everything://embedded", "a,b", "text/csv"),
        Content::resource_blob("everything://blob", [1, 2, 3], "application/octet-stream"),
    ]
}

/// An error that the caller is told.
#[tool]
pub async fn returns_tool_error() -> Result<String, ToolError> {
    Err(ToolError::new("This is told."))
}

/// An error that the caller is not told.
#[tool]
pub async fn returns_internal_error() -> Result<(), ToolError> {
    Err(ToolError::internal("hunter2"))
}

/// A result that was made by hand.
#[tool]
pub async fn returns_result() -> Result<ToolResult, ToolError> {
    portcullis::component::IntoToolResult::into_tool_result("By hand.")
}

/// Text that never changes.
#[resource("everything://text")]
async fn text_resource() -> &'static str {
    "Text."
}

/// A struct as JSON.
#[resource("everything://json", title = "JSON")]
async fn json_resource() -> Json<Size> {
    Json(Size::Large)
}

/// Bytes.
#[resource("everything://bytes", name = "bytes", mime_type = "image/png")]
async fn bytes_resource() -> Vec<u8> {
    PNG.to_vec()
}

/// The caller's own.
#[resource("everything://own")]
async fn own_resource(caller: Caller, shelf: State<Shelf>) -> Result<String, ToolError> {
    Ok(format!("{:?} has {} books.", caller.subject(), shelf.books))
}

/// A note by owner and name.
#[resource("everything://notes/{owner}/{name}")]
async fn note(owner: String, name: String) -> Json<Vec<String>> {
    Json(vec![owner, name])
}

/// A page by its number.
#[resource("everything://pages/{number}", mime_type = "text/markdown")]
async fn page(#[arg(ge = 1)] number: u32) -> Result<String, ToolError> {
    if number > 100 { Err(ToolError::not_found()) } else { Ok(format!("# Page {number}")) }
}

/// What a search finds.
#[resource("everything://search?q={query}")]
async fn found(query: String) -> String {
    query
}

/// A prompt without arguments.
#[prompt]
async fn simple_prompt() -> &'static str {
    "Say something."
}

/// A prompt with arguments, in this order.
#[prompt(title = "Report")]
async fn argued_prompt(
    /// Q1 to Q4
    #[arg(pattern = "^Q[1-4]$")]
    quarter: String,
    against: Option<String>,
    #[arg(ge = 1, le = 9)] pages: Option<u8>,
    colour: Option<Colour>,
) -> String {
    format!("Compare {quarter} with {against:?} on {pages:?} pages in {colour:?}.")
}

/// Messages of both sides, with content of every kind.
#[prompt]
async fn messages_prompt() -> Vec<Message> {
    vec![
        Message::user("Look at this."),
        Message::user(Content::image(PNG, "image/png")),
        Message::user(Content::resource_text("everything://embedded", "a,b", "text/csv")),
        Message::assistant("I did."),
    ]
}

// What follows answers with what was judged and what the function was given.

/// What the checks of the last call were asked about.
static JUDGED: Mutex<String> = Mutex::new(String::new());

fn noted(_: &AuthContext<'_>, arguments: &Map<String, Value>) -> Decision {
    let judged = canonical(&Value::Object(arguments.clone()));
    *JUDGED.lock().unwrap_or_else(PoisonError::into_inner) = judged;
    Decision::Allow
}

/// What was judged of the last call (nothing over stdio, where nothing is), and what came of it.
fn judged_and(received: &Value) -> String {
    let judged = std::mem::take(&mut *JUDGED.lock().unwrap_or_else(PoisonError::into_inner));
    json!({"judged": judged, "received": canonical(received)}).to_string()
}

/// Any JSON at all.
#[tool(auth = by_arguments(require_scopes(["read"]), noted))]
async fn any_json(payload: Value) -> String {
    judged_and(&json!({ "payload": payload }))
}

/// Any JSON, in a struct, in lists and in maps.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
struct Bag {
    payload: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    list: Vec<BTreeMap<String, Value>>,
}

/// Any JSON at all, in a struct.
#[tool(auth = by_arguments(require_scopes(["read"]), noted))]
async fn any_struct(Args(bag): Args<Bag>) -> String {
    judged_and(&json!(bag))
}

fn any_written() -> Component {
    Tool::new("any_written")
        .description("Any JSON at all")
        .auth(by_arguments(require_scopes(["read"]), noted))
        .input_schema(json!({"type": "object", "properties": {"payload": {}}}))
        .handler(|arguments: Map<String, Value>, _context: Context| async move {
            judged_and(&Value::Object(arguments))
        })
}

/// A list of JSON, as text.
#[prompt]
async fn json_prompt(text: String, items: Vec<Value>) -> String {
    judged_and(&json!({"text": text, "items": items}))
}

/// A list of JSON, as part of a URI.
#[resource("everything://json/{items}")]
async fn json_template(items: Vec<Value>) -> String {
    judged_and(&json!({ "items": items }))
}

/// JSON in one spelling: members by their names, whole numbers without a fraction.
#[must_use]
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members = sorted
                .into_iter()
                .map(|(name, value)| format!("{}:{}", json!(name), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}
