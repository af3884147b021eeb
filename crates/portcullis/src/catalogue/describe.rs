use std::sync::Arc;

use portcullis_protocol::{Descriptor, model};

use crate::catalogue::input_schema::ArgumentSchema;
use crate::catalogue::output_schema::OutputSchema;
use crate::component::{About, ComponentKind};

/// What lists show of a component.
pub(super) fn describe(
    kind: ComponentKind,
    key: &str,
    about: &About,
    schema: &ArgumentSchema,
    output: Option<&OutputSchema>,
) -> Result<Descriptor, serde_json::Error> {
    let name = about.name.clone().unwrap_or_else(|| key.to_owned());
    match kind {
        ComponentKind::Tool => {
            let input = schema.schema().as_object().cloned().unwrap_or_default();
            let description = about.description.clone().map(Into::into);
            let mut tool = model::Tool::new_with_raw(key.to_owned(), description, input);
            tool.title.clone_from(&about.title);
            tool.output_schema = output.map(|output| Arc::new(output.schema().clone()));
            tool.annotations = about.annotations.model();
            Descriptor::new(&tool)
        }
        ComponentKind::Resource => {
            let mut resource = model::Resource::new(key, name);
            resource.title.clone_from(&about.title);
            resource.description.clone_from(&about.description);
            resource.mime_type.clone_from(&about.mime_type);
            Descriptor::new(&resource)
        }
        ComponentKind::ResourceTemplate => {
            let mut template = model::ResourceTemplate::new(key, name);
            template.title.clone_from(&about.title);
            template.description.clone_from(&about.description);
            template.mime_type.clone_from(&about.mime_type);
            Descriptor::new(&template)
        }
        ComponentKind::Prompt => {
            let arguments = schema.listed().into_iter().map(|listed| {
                let mut argument =
                    model::PromptArgument::new(listed.name).with_required(listed.required);
                argument.description = listed.description;
                argument
            });
            let mut prompt =
                model::Prompt::new(key, about.description.clone(), Some(arguments.collect()));
            prompt.title.clone_from(&about.title);
            Descriptor::new(&prompt)
        }
    }
}
