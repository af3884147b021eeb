//! The components that the official conformance suite expects of a server under test. Names,
//! URIs and texts are the suite's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis::Tool;
use portcullis::component::{Component, CreateMessage, Elicited, LogLevel};
use portcullis::prelude::*;
use portcullis::visibility::keys;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::conformance_tasks;

/// One red pixel.
pub(crate) const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\
    \0\0\0\x0cIDATx\xdac\xf8\xcf\xc0\0\0\x03\x01\x01\0\xf7\x03AC\0\0\0\0IEND\xaeB`\x82";

/// Two samples of silence.
pub(crate) const WAV: &[u8] =
    b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\
    \x01\0\x08\0data\x02\0\0\0\x80\x80";

/// Everything that the suite looks for. The first tool is called without arguments.
#[must_use]
pub fn components() -> Components {
    components![
        test_simple_text,
        test_image_content,
        test_audio_content,
        test_embedded_resource,
        test_multiple_content_types,
        test_error_handling,
        test_param_headers,
        test_tool_with_logging,
        test_logging_tool,
        test_tool_with_progress,
        test_reconnection,
        test_trigger_tool_change,
        test_trigger_prompt_change,
        test_changing_tool,
        test_sampling,
        test_elicitation,
        test_elicitation_sep1034_defaults,
        test_elicitation_sep1330_enums,
        test_input_required_result_elicitation,
        test_input_required_result_sampling,
        test_input_required_result_list_roots,
        test_input_required_result_request_state,
        test_input_required_result_multiple_inputs,
        test_input_required_result_multi_round,
        test_input_required_result_tampered_state,
        test_input_required_result_capabilities,
        test_missing_capability,
        test_streaming_elicitation,
        static_text,
        static_binary,
        watched_resource,
        test_touch_watched_resource,
        template,
        test_simple_prompt,
        test_prompt_with_arguments,
        test_prompt_with_embedded_resource,
        test_prompt_with_image,
        test_changing_prompt,
        test_input_required_result_prompt,
    ]
    .with(json_schema_2020_12_tool())
    .and(conformance_tasks::components())
}

/// Text.
#[tool]
async fn test_simple_text() -> &'static str {
    "This is a simple text response for testing."
}

/// An image.
#[tool]
async fn test_image_content() -> Content {
    Content::image(PNG, "image/png")
}

/// Sound.
#[tool]
async fn test_audio_content() -> Content {
    Content::audio(WAV, "audio/wav")
}

/// A resource in the answer.
#[tool]
async fn test_embedded_resource() -> Content {
    let text = "This is an embedded resource content.";
    Content::resource_text("test://embedded-resource", text, "text/plain")
}

/// Three kinds of content in one answer.
#[tool]
async fn test_multiple_content_types() -> Vec<Content> {
    let json = r#"{"test":"data","value":123}"#;
    vec![
        Content::text("Multiple content types test:"),
        Content::image(PNG, "image/png"),
        Content::resource_text("test://mixed-content-resource", json, "application/json"),
    ]
}

/// Always fails.
#[tool]
async fn test_error_handling() -> Result<String, ToolError> {
    Err(ToolError::new("This tool intentionally returns an error for testing"))
}

/// Time for a client to receive one message by itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Writes to the log of its client.
#[tool]
async fn test_tool_with_logging(ctx: Context) -> &'static str {
    ctx.log(LogLevel::Info, "Tool execution started");
    tokio::time::sleep(PAUSE).await;
    ctx.log(LogLevel::Info, "Tool processing data");
    tokio::time::sleep(PAUSE).await;
    ctx.log(LogLevel::Info, "Tool execution completed");
    "Logged."
}

/// Writes to the log of its client, if that asked for it.
#[tool]
async fn test_logging_tool(ctx: Context) -> &'static str {
    ctx.log(LogLevel::Info, "Logged");
    "Logged."
}

/// Says how far it is.
#[tool]
async fn test_tool_with_progress(ctx: Context) -> &'static str {
    ctx.progress(0, 100);
    tokio::time::sleep(PAUSE).await;
    ctx.progress(50, 100);
    tokio::time::sleep(PAUSE).await;
    ctx.progress(100, 100);
    "Done."
}

/// Sends its client away, which comes back for the answer.
#[tool]
async fn test_reconnection(ctx: Context) -> &'static str {
    ctx.send_client_away(PAUSE);
    tokio::time::sleep(PAUSE).await;
    "You came back."
}

/// Where it runs, which the client repeats in a header.
#[tool]
async fn test_param_headers(#[arg(header = "Region")] region: String) -> String {
    format!("It runs in {region}.")
}

/// Changes what `tools/list` shows.
#[tool]
async fn test_trigger_tool_change(ctx: Context) -> Result<String, ToolError> {
    static SHOWN: AtomicBool = AtomicBool::new(true);
    toggle(&ctx, &SHOWN, "tool:test_changing_tool")
}

/// Changes what `prompts/list` shows.
#[tool]
async fn test_trigger_prompt_change(ctx: Context) -> Result<String, ToolError> {
    static SHOWN: AtomicBool = AtomicBool::new(true);
    toggle(&ctx, &SHOWN, "prompt:test_changing_prompt")
}

fn toggle(ctx: &Context, shown: &AtomicBool, key: &str) -> Result<String, ToolError> {
    let visibility = ctx.server_visibility();
    match shown.fetch_not(Ordering::SeqCst) {
        true => visibility.disable(keys([key]))?,
        false => visibility.enable(keys([key]))?,
    }
    Ok("Changed.".to_owned())
}

/// Is shown at times.
#[tool]
async fn test_changing_tool() -> &'static str {
    "Here."
}

/// Is shown at times.
#[prompt]
async fn test_changing_prompt() -> &'static str {
    "Here."
}

#[derive(Debug, Deserialize, JsonSchema)]
struct UserName {
    name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Confirm {
    ok: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Color {
    color: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct UserContext {
    context: String,
}

async fn name(ctx: &Context, message: &str) -> Result<String, ToolError> {
    let asked = ctx.elicit::<UserName>(message).await?;
    Ok(asked.accepted().map_or_else(|| "whoever you are".to_owned(), |asked| asked.name))
}

async fn sampled(ctx: &Context, text: &str, tokens: u32) -> Result<String, ToolError> {
    let asked = ctx.sample(CreateMessage::new(tokens).message(Message::user(text))).await?;
    Ok(asked.text().unwrap_or_default().to_owned())
}

async fn roots(ctx: &Context) -> Result<String, ToolError> {
    let roots = ctx.roots().await?;
    Ok(roots.into_iter().map(|root| root.uri).collect::<Vec<_>>().join(", "))
}

async fn confirmed(ctx: &Context) -> Result<&'static str, ToolError> {
    match ctx.elicit::<Confirm>("Please confirm").await?.accepted() {
        Some(Confirm { ok: true }) => Ok("state-ok"),
        Some(_) | None => Ok("not confirmed"),
    }
}

/// Who somebody is.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
struct User {
    /// User's response
    username: String,
    /// User's email address
    email: String,
}

/// A field of each type, with what is there before anybody fills it in.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
struct Defaults {
    #[schemars(extend("default" = "John Doe"))]
    name: String,
    #[schemars(extend("default" = 30))]
    age: i64,
    #[schemars(extend("default" = 95.5))]
    score: f64,
    #[schemars(extend("enum" = ["active", "inactive", "pending"], "default" = "active"))]
    status: String,
    #[schemars(extend("default" = true))]
    verified: bool,
}

/// A choice of each form.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct Choices {
    #[schemars(extend("enum" = ["option1", "option2", "option3"]))]
    untitled_single: String,
    #[schemars(extend("oneOf" = [
        {"const": "value1", "title": "First Option"},
        {"const": "value2", "title": "Second Option"},
        {"const": "value3", "title": "Third Option"},
    ]))]
    titled_single: String,
    #[schemars(extend(
        "enum" = ["opt1", "opt2", "opt3"],
        "enumNames" = ["Option One", "Option Two", "Option Three"],
    ))]
    legacy_enum: String,
    #[schemars(extend("items" = {"type": "string", "enum": ["option1", "option2", "option3"]}))]
    untitled_multi: Vec<String>,
    #[schemars(extend("items" = {"anyOf": [
        {"const": "value1", "title": "First Choice"},
        {"const": "value2", "title": "Second Choice"},
        {"const": "value3", "title": "Third Choice"},
    ]}))]
    titled_multi: Vec<String>,
}

/// What somebody did with a form, in words.
async fn filled_in<T>(ctx: &Context, message: String) -> Result<String, ToolError>
where
    T: for<'de> Deserialize<'de> + JsonSchema + Serialize,
{
    Ok(match ctx.elicit::<T>(message).await? {
        Elicited::Accepted(content) => {
            let content = serde_json::to_string(&content).map_err(ToolError::internal)?;
            format!("action=accept, content={content}")
        }
        Elicited::Declined => "action=decline".to_owned(),
        Elicited::Cancelled => "action=cancel".to_owned(),
    })
}

/// Asks the model of the client.
#[tool]
async fn test_sampling(prompt: String, ctx: Context) -> Result<String, ToolError> {
    Ok(format!("LLM response: {}", sampled(&ctx, &prompt, 100).await?))
}

/// Asks who somebody is.
#[tool]
async fn test_elicitation(message: String, ctx: Context) -> Result<String, ToolError> {
    Ok(format!("User response: {}", filled_in::<User>(&ctx, message).await?))
}

/// Asks with defaults.
#[tool]
async fn test_elicitation_sep1034_defaults(ctx: Context) -> Result<String, ToolError> {
    let asked = filled_in::<Defaults>(&ctx, "Please review".to_owned()).await?;
    Ok(format!("Elicitation completed: {asked}"))
}

/// Asks for choices.
#[tool]
async fn test_elicitation_sep1330_enums(ctx: Context) -> Result<String, ToolError> {
    let asked = filled_in::<Choices>(&ctx, "Please choose".to_owned()).await?;
    Ok(format!("Elicitation completed: {asked}"))
}

/// Asks for a name.
#[tool]
async fn test_input_required_result_elicitation(ctx: Context) -> Result<String, ToolError> {
    // One scenario answers before it is asked.
    let asked = ctx.elicit_unless_answered::<UserName>("What is your name?").await?;
    Ok(format!("Hello, {}!", asked.accepted().map_or_else(String::new, |asked| asked.name)))
}

/// Asks the model of the client.
#[tool]
async fn test_input_required_result_sampling(ctx: Context) -> Result<String, ToolError> {
    sampled(&ctx, "What is the capital of France?", 100).await
}

/// Asks for the roots of the client.
#[tool]
async fn test_input_required_result_list_roots(ctx: Context) -> Result<String, ToolError> {
    roots(&ctx).await
}

/// Asks for a confirmation.
#[tool]
async fn test_input_required_result_request_state(ctx: Context) -> Result<String, ToolError> {
    confirmed(&ctx).await.map(str::to_owned)
}

/// Asks for everything at once.
#[tool]
async fn test_input_required_result_multiple_inputs(ctx: Context) -> Result<String, ToolError> {
    let (name, greeting, roots) = tokio::try_join!(
        name(&ctx, "What is your name?"),
        sampled(&ctx, "Generate a greeting", 50),
        roots(&ctx),
    )?;
    Ok(format!("{greeting} {name}, in {roots}"))
}

/// Asks one after the other.
#[tool]
async fn test_input_required_result_multi_round(ctx: Context) -> Result<String, ToolError> {
    let name = name(&ctx, "Step 1: What is your name?").await?;
    let color = ctx.elicit::<Color>("Step 2: What is your favorite color?").await?;
    let color = color.accepted().map_or_else(|| "no color".to_owned(), |asked| asked.color);
    Ok(format!("{name} likes {color}."))
}

/// Asks for a confirmation.
#[tool]
async fn test_input_required_result_tampered_state(ctx: Context) -> Result<String, ToolError> {
    confirmed(&ctx).await.map(str::to_owned)
}

/// Asks for what the client can be asked for.
#[tool]
async fn test_input_required_result_capabilities(ctx: Context) -> Result<String, ToolError> {
    let mut told = Vec::new();
    if ctx.can_elicit() {
        told.push(name(&ctx, "What is your name?").await?);
    }
    if ctx.can_sample() {
        told.push(sampled(&ctx, "Generate a greeting", 50).await?);
    }
    Ok(told.join(" "))
}

/// Needs a client that has a model.
#[tool]
async fn test_missing_capability(ctx: Context) -> Result<String, ToolError> {
    sampled(&ctx, "Hello", 10).await
}

/// Asks for a name.
#[tool]
async fn test_streaming_elicitation(ctx: Context) -> Result<String, ToolError> {
    Ok(format!("Hello, {}!", name(&ctx, "What is your name?").await?))
}

/// Asks for what it is about.
#[prompt]
async fn test_input_required_result_prompt(ctx: Context) -> Result<String, ToolError> {
    let asked = ctx.elicit::<UserContext>("What context should the prompt use?").await?;
    let context = asked.accepted().map_or_else(|| "none".to_owned(), |asked| asked.context);
    Ok(format!("Use this context: {context}"))
}

/// A tool whose schema has the keywords that a server is most tempted to leave out.
fn json_schema_2020_12_tool() -> Component {
    Tool::new("json_schema_2020_12_tool")
        .description("Tool with JSON Schema 2020-12 features")
        .input_schema(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
                },
            },
            "properties": {
                "name": {"type": "string"},
                "address": {"$ref": "#/$defs/address"},
                "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                "phone": {"type": "string"},
                "email": {"type": "string"},
            },
            "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
            "if": {
                "properties": {"contactMethod": {"const": "phone"}},
                "required": ["contactMethod"],
            },
            "then": {"required": ["phone"]},
            "else": {"required": ["email"]},
            "additionalProperties": false,
        }))
        .handler(|arguments: Map<String, Value>, _context: Context| async move {
            Value::Object(arguments).to_string()
        })
}

/// Text that never changes.
#[resource("test://static-text", mime_type = "text/plain")]
async fn static_text() -> &'static str {
    "This is the content of the static text resource."
}

/// Bytes that never change.
#[resource("test://static-binary", mime_type = "image/png")]
async fn static_binary() -> Vec<u8> {
    PNG.to_vec()
}

/// Text whose updates are asked for.
#[resource("test://watched-resource")]
async fn watched_resource() -> &'static str {
    "Watched."
}

/// Says that the watched resource was updated.
#[tool]
async fn test_touch_watched_resource(ctx: Context) -> Result<(), ToolError> {
    ctx.notify_resource_updated("test://watched-resource")
}

/// What the template is read as.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct Templated {
    id: String,
    template_test: bool,
    data: String,
}

/// Data by its id.
#[resource("test://template/{id}/data", mime_type = "application/json")]
async fn template(id: String) -> Json<Templated> {
    Json(Templated { data: format!("Data for ID: {id}"), id, template_test: true })
}

/// A message.
#[prompt]
async fn test_simple_prompt() -> &'static str {
    "This is a simple prompt for testing."
}

/// A message with what it was given.
#[prompt]
async fn test_prompt_with_arguments(
    /// First test argument
    #[arg(complete = arg1_values)]
    arg1: String,
    /// Second test argument
    arg2: String,
) -> String {
    format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")
}

async fn arg1_values(written: String) -> Vec<&'static str> {
    let values = ["paris", "park", "party"].into_iter();
    values.filter(|value| value.starts_with(&written)).collect()
}

/// A resource, and what to do with it.
#[prompt]
#[expect(non_snake_case, reason = "the suite's name")]
async fn test_prompt_with_embedded_resource(
    /// URI of the resource to embed
    resourceUri: String,
) -> Vec<Message> {
    let text = "Embedded resource content for testing.";
    vec![
        Message::user(Content::resource_text(resourceUri, text, "text/plain")),
        Message::user("Please process the embedded resource above."),
    ]
}

/// An image, and what to do with it.
#[prompt]
async fn test_prompt_with_image() -> Vec<Message> {
    vec![
        Message::user(Content::image(PNG, "image/png")),
        Message::user("Please analyze the image above."),
    ]
}
