//! What lists show in each version of the protocol: the members that its schema has, and no others.

use portcullis_auth::States;
use portcullis_protocol::ProtocolVersion;
use serde_json::{Value, json};

use crate::catalogue::{Catalogue, Everywhere};
use crate::component::{Annotations, Argument, ComponentKind, Hint, Icon, Role, Theme};
use crate::{Components, Json, Prompt, Resource, Tool};

/// One component of each kind, which says all that it can.
fn components() -> Components {
    let icon = || {
        let icon = Icon::new("https://example.com/a.png").mime_type("image/png");
        icon.size(48, 48).theme(Theme::Dark)
    };
    let annotations = || {
        let annotations = Annotations::new().audience([Role::User]).priority(0.5);
        annotations.last_modified("2026-07-28T12:34:56Z")
    };
    let resource = |uri: &str| {
        let resource = Resource::new(uri).name("n").title("T").description("D").icon(icon());
        resource.mime_type("text/plain").annotations(annotations()).meta("com.example/k", 1)
    };
    let tool = Tool::new("t").title("T").description("D").icon(icon()).hint(Hint::ReadOnly);
    let tool =
        tool.meta("com.example/k", 1).handler(|_call| async { Json([("a", 1)].map(|(_, n)| n)) });
    let with_object = Tool::new("o")
        .handler(|_call| async { Json(std::collections::BTreeMap::from([("a", 1)])) });
    let prompt = Prompt::new("p").title("T").description("D").icon(icon()).meta("com.example/k", 1);
    Components::new()
        .with(tool)
        .with(with_object)
        .with(resource("x://y").size(7).handler(|_call| async { "text" }))
        .with(
            resource("x://y/{id}")
                .parameter::<String>(Argument::new("id"))
                .handler(|_call| async { "text" }),
        )
        .with(
            prompt
                .parameter::<String>(Argument::new("a").description("D"))
                .handler(|_call| async { "text" }),
        )
}

/// The entries of a kind in a version, as lists show them.
fn entries(catalogue: &Catalogue, kind: ComponentKind, version: ProtocolVersion) -> Vec<Value> {
    let listing = std::sync::Arc::clone(&catalogue.section(kind).listing);
    let visible = (0..u32::try_from(listing.len()).unwrap()).collect();
    let page = portcullis_protocol::Page { listing, visible, next_cursor: None };
    page.entries(version).map(|json| serde_json::from_str(json).unwrap()).collect()
}

fn members(value: &Value) -> Vec<&str> {
    let mut members: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}

/// The members of an entry, from the schema of each version (`schema/VERSION/schema.json`), but for
/// `execution` of a tool in 2025-11-25, which is for tasks.
fn of_schema(kind: ComponentKind, version: ProtocolVersion) -> Vec<&'static str> {
    use ProtocolVersion as V;
    let mut members = match kind {
        ComponentKind::Tool => vec!["description", "inputSchema", "name"],
        ComponentKind::Resource => {
            vec!["annotations", "description", "mimeType", "name", "size", "uri"]
        }
        ComponentKind::ResourceTemplate => {
            vec!["annotations", "description", "mimeType", "name", "uriTemplate"]
        }
        ComponentKind::Prompt => vec!["arguments", "description", "name"],
    };
    if version >= V::V2025_03_26 && kind == ComponentKind::Tool {
        members.push("annotations");
    }
    if version >= V::V2025_06_18 {
        members.extend(["_meta", "title"]);
    }
    if version >= V::V2025_11_25 {
        members.push("icons");
    }
    if version >= V::V2026_07_28 && kind == ComponentKind::Tool {
        // Of an array: before that an output schema was one of an object.
        members.push("outputSchema");
    }
    members.sort_unstable();
    members
}

#[test]
fn lists_show_in_each_version_what_its_schema_has() {
    let components = components().0;
    let catalogue =
        Catalogue::compile(components, &States::default(), &Everywhere::default()).unwrap();
    for version in ProtocolVersion::ALL {
        for kind in ComponentKind::ALL {
            let entries = entries(&catalogue, kind, version);
            assert_eq!(members(&entries[0]), of_schema(kind, version), "{kind} {version}");
        }
        let tools = entries(&catalogue, ComponentKind::Tool, version);
        let has_output = tools[1].get("outputSchema").is_some();
        assert_eq!(has_output, version >= ProtocolVersion::V2025_06_18, "{version}");
        let hints = match version {
            ProtocolVersion::V2024_11_05 => Value::Null,
            // There the title is one of the hints.
            ProtocolVersion::V2025_03_26 => {
                json!({"readOnlyHint": true, "title": "T"})
            }
            _ => json!({"readOnlyHint": true}),
        };
        assert_eq!(tools[0]["annotations"], hints, "{version}");
        let mut annotations = json!({"audience": ["user"], "priority": 0.5});
        if version >= ProtocolVersion::V2025_06_18 {
            annotations["lastModified"] = json!("2026-07-28T12:34:56Z");
        }
        for kind in [ComponentKind::Resource, ComponentKind::ResourceTemplate] {
            let entries = entries(&catalogue, kind, version);
            assert_eq!(entries[0]["annotations"], annotations, "{version}");
        }
    }
    let newest = &entries(&catalogue, ComponentKind::Resource, ProtocolVersion::V2026_07_28)[0];
    assert_eq!(newest["_meta"], json!({"com.example/k": 1}));
    assert_eq!(newest["size"], 7);
    let icon = json!({"src": "https://example.com/a.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"});
    assert_eq!(newest["icons"], json!([icon]));
}
