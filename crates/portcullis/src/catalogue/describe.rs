//! The list entry of a component.

use portcullis_protocol::{Descriptor, model};
use serde_json::Map;

use crate::catalogue::input_schema::ArgumentSchema;
use crate::catalogue::output_schema::OutputSchema;
use crate::component::{About, Annotations, ComponentKind};

/// What lists show of a component.
pub(super) fn describe(
    kind: ComponentKind,
    key: &str,
    about: &About,
    schema: &ArgumentSchema,
    output: Option<&OutputSchema>,
) -> Result<Descriptor, serde_json::Error> {
    let name = about.name.as_deref().unwrap_or(key);
    let title = about.title.as_deref();
    let description = about.description.as_deref();
    let mime_type = about.mime_type.as_deref();
    let annotations = about.annotations.clone().map(Annotations::model);
    let annotations = annotations.as_ref();
    let icons: Vec<_> = about.icons.iter().map(|icon| icon.0.clone()).collect();
    let icons = icons.as_slice();
    let meta: model::Meta = about.meta.iter().cloned().collect();
    let meta = (!meta.is_empty()).then_some(&meta);
    match kind {
        ComponentKind::Tool => Descriptor::new(&model::Tool {
            name: key,
            title,
            description,
            input_schema: schema.schema().as_object().unwrap_or(&Map::new()),
            output_schema: output.map(OutputSchema::schema),
            annotations: about.hints.model(),
            icons,
            meta,
        }),
        ComponentKind::Resource => Descriptor::new(&model::Resource {
            uri: key,
            name,
            title,
            description,
            mime_type,
            size: about.size,
            annotations,
            icons,
            meta,
        }),
        ComponentKind::ResourceTemplate => Descriptor::new(&model::ResourceTemplate {
            uri_template: key,
            name,
            title,
            description,
            mime_type,
            annotations,
            icons,
            meta,
        }),
        ComponentKind::Prompt => {
            let arguments = schema.listed();
            Descriptor::new(&model::Prompt {
                name: key,
                title,
                description,
                arguments,
                icons,
                meta,
            })
        }
    }
}
