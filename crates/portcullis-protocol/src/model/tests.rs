//! The JSON of each type, member by member.

use serde::Serialize;
use serde_json::{Map, json};

use super::*;

fn is_written(value: &impl Serialize, expected: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), expected);
}

fn contents() -> [(ResourceContents, &'static str); 2] {
    let (uri, mime_type) = ("x://y".to_owned(), "text/csv".to_owned());
    [
        (
            ResourceContents::Text {
                uri: uri.clone(),
                mime_type: mime_type.clone(),
                text: "a,b".into(),
                meta: None,
            },
            r#"{"uri":"x://y","mimeType":"text/csv","text":"a,b"}"#,
        ),
        (
            ResourceContents::Blob { uri, mime_type, blob: "AQI=".into(), meta: None },
            r#"{"uri":"x://y","mimeType":"text/csv","blob":"AQI="}"#,
        ),
    ]
}

#[test]
fn content_is_written_with_its_type_first() {
    is_written(&ContentBlock::text("a \"b\"\n<é>"), r#"{"type":"text","text":"a \"b\"\n<é>"}"#);
    let (data, mime_type) = ("AQI=".to_owned(), "image/png".to_owned());
    is_written(
        &ContentBlock::Image { data: data.clone(), mime_type, annotations: None, meta: None },
        r#"{"type":"image","data":"AQI=","mimeType":"image/png"}"#,
    );
    is_written(
        &ContentBlock::Audio { data, mime_type: "audio/wav".into(), annotations: None, meta: None },
        r#"{"type":"audio","data":"AQI=","mimeType":"audio/wav"}"#,
    );
    for (resource, expected) in contents() {
        is_written(&resource, expected);
        let block = ContentBlock::Resource { resource, annotations: None, meta: None };
        is_written(&block, &format!(r#"{{"type":"resource","resource":{expected}}}"#));
    }
}

#[test]
fn messages_are_written_with_their_role() {
    for (role, expected) in [
        (Role::User, r#"{"role":"user","content":{"type":"text","text":"hello"}}"#),
        (Role::Assistant, r#"{"role":"assistant","content":{"type":"text","text":"hello"}}"#),
    ] {
        is_written(&PromptMessage { role, content: ContentBlock::text("hello") }, expected);
    }
}

#[test]
fn a_tool_is_written_with_its_schemas_in_order_and_the_hints_that_it_has() {
    let schema = json!({"type": "object", "properties": {"b": {}, "a": {}}});
    let schema = schema.as_object().unwrap();
    let empty = Map::new();
    let mut tool = Tool {
        name: "t",
        title: None,
        description: None,
        input_schema: &empty,
        output_schema: None,
        annotations: None,
        icons: &[],
        meta: None,
    };
    is_written(&tool, r#"{"name":"t","inputSchema":{}}"#);
    tool = Tool {
        title: Some("T"),
        description: Some("Does."),
        input_schema: schema,
        output_schema: Some(schema),
        ..tool
    };
    for (annotations, expected) in [
        (ToolAnnotations::default(), "{}"),
        (
            ToolAnnotations {
                read_only_hint: Some(true),
                open_world_hint: Some(false),
                ..ToolAnnotations::default()
            },
            r#"{"readOnlyHint":true,"openWorldHint":false}"#,
        ),
        (
            ToolAnnotations {
                read_only_hint: Some(false),
                destructive_hint: Some(true),
                idempotent_hint: Some(false),
                open_world_hint: Some(true),
            },
            r#"{"readOnlyHint":false,"destructiveHint":true,"idempotentHint":false,"openWorldHint":true}"#,
        ),
    ] {
        tool.annotations = Some(annotations);
        let schema = r#"{"type":"object","properties":{"b":{},"a":{}}}"#;
        is_written(
            &tool,
            &format!(
                r#"{{"name":"t","title":"T","description":"Does.","inputSchema":{schema},"outputSchema":{schema},"annotations":{expected}}}"#
            ),
        );
    }
}

#[test]
fn resources_and_templates_are_written_with_what_is_known_of_them() {
    let mut resource = Resource {
        uri: "x://y",
        name: "y",
        title: None,
        description: None,
        mime_type: None,
        size: None,
        annotations: None,
        icons: &[],
        meta: None,
    };
    is_written(&resource, r#"{"uri":"x://y","name":"y"}"#);
    let mut template = ResourceTemplate {
        uri_template: "x://{y}",
        name: "y",
        title: None,
        description: None,
        mime_type: None,
        annotations: None,
        icons: &[],
        meta: None,
    };
    is_written(&template, r#"{"uriTemplate":"x://{y}","name":"y"}"#);
    resource.title = Some("T");
    resource.description = Some("Is.");
    resource.mime_type = Some("text/plain");
    is_written(
        &resource,
        r#"{"uri":"x://y","name":"y","title":"T","description":"Is.","mimeType":"text/plain"}"#,
    );
    template.title = Some("T");
    template.description = Some("Is.");
    template.mime_type = Some("text/plain");
    is_written(
        &template,
        r#"{"uriTemplate":"x://{y}","name":"y","title":"T","description":"Is.","mimeType":"text/plain"}"#,
    );
}

#[test]
fn a_prompt_is_written_with_its_arguments_even_if_there_are_none() {
    let mut prompt = Prompt {
        name: "p",
        title: None,
        description: None,
        arguments: Vec::new(),
        icons: &[],
        meta: None,
    };
    is_written(&prompt, r#"{"name":"p","arguments":[]}"#);
    prompt.title = Some("T");
    prompt.description = Some("Says.");
    prompt.arguments = vec![
        PromptArgument { name: "a", description: Some("Which."), required: true },
        PromptArgument { name: "b", description: None, required: false },
    ];
    is_written(
        &prompt,
        r#"{"name":"p","title":"T","description":"Says.","arguments":[{"name":"a","description":"Which.","required":true},{"name":"b","required":false}]}"#,
    );
}

#[test]
fn what_is_said_for_display_is_written_after_the_rest() {
    let icons = [
        Icon {
            src: "data:image/png;base64,AQI=".into(),
            mime_type: None,
            sizes: Vec::new(),
            theme: None,
        },
        Icon {
            src: "https://example.com/dark.svg".into(),
            mime_type: Some("image/svg+xml".into()),
            sizes: vec!["any".into()],
            theme: Some(Theme::Dark),
        },
    ];
    let meta = json!({"com.example/team": "a"});
    let annotations = Annotations {
        audience: vec![Role::User, Role::Assistant],
        priority: serde_json::Number::from_f64(0.5),
        last_modified: Some("2026-07-28T00:00:00Z".into()),
    };
    let resource = Resource {
        uri: "x://y",
        name: "y",
        title: None,
        description: None,
        mime_type: None,
        size: Some(7),
        annotations: Some(&annotations),
        icons: &icons,
        meta: meta.as_object(),
    };
    is_written(
        &resource,
        r#"{"uri":"x://y","name":"y","size":7,"annotations":{"audience":["user","assistant"],"priority":0.5,"lastModified":"2026-07-28T00:00:00Z"},"icons":[{"src":"data:image/png;base64,AQI="},{"src":"https://example.com/dark.svg","mimeType":"image/svg+xml","sizes":["any"],"theme":"dark"}],"_meta":{"com.example/team":"a"}}"#,
    );
}
