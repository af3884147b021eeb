//! Operations and their answers, as middleware sees them.

use std::fmt;

use portcullis_auth::Target;
use portcullis_protocol::Page;

use crate::catalogue::Section;
use crate::catalogue::arguments::Values;
use crate::component::ComponentKind;
use crate::component::completion::Completion;
use crate::component::context::Context;
use crate::component::result::PromptResult;
use crate::component::result::ResourceResult;
use crate::component::result::ToolResult;

/// One operation, on its way to a component or a list.
#[derive(Debug)]
pub struct Request<'a> {
    /// The context of the operation: its caller, transport and protocol version.
    pub context: Context,
    /// The operation.
    pub operation: Operation<'a>,
}

/// An operation that a client requests. Its arguments are not validated yet.
#[non_exhaustive]
pub enum Operation<'a> {
    /// A list of the components of a kind.
    List(ComponentKind),
    /// A call of a tool.
    CallTool {
        /// The tool.
        component: Target<'a>,
        /// Its arguments.
        arguments: Values,
    },
    /// A read of a resource.
    ReadResource {
        /// The resource, or the template that answers for it.
        component: Target<'a>,
        /// The URI as its caller wrote it: to tell resources apart, use `component`.
        uri: &'a str,
        /// The values of a template's variables, as strings.
        arguments: Values,
    },
    /// A prompt.
    GetPrompt {
        /// The prompt.
        component: Target<'a>,
        /// Its arguments, as strings.
        arguments: Values,
    },
    /// A subscription of a session to the updates of a resource.
    Subscribe {
        /// The resource, or the template that answers for it.
        component: Target<'a>,
        /// The URI as its caller wrote it: to tell resources apart, use `component`.
        uri: &'a str,
    },
    /// A completion of an argument that is being written.
    Complete {
        /// The prompt or resource template.
        component: Target<'a>,
        /// The name of the argument, as its caller wrote it: there may be none of this name.
        argument: &'a str,
        /// What is written of it so far.
        value: String,
        /// The arguments that are known already, as strings.
        arguments: Values,
    },
}

impl<'a> Operation<'a> {
    /// The component that is used, unless it is a list.
    #[must_use]
    pub fn component(&self) -> Option<Target<'a>> {
        match self {
            Self::List(_) => None,
            Self::CallTool { component, .. }
            | Self::ReadResource { component, .. }
            | Self::GetPrompt { component, .. }
            | Self::Subscribe { component, .. }
            | Self::Complete { component, .. } => Some(*component),
        }
    }

    pub(crate) fn arguments(&self) -> Option<&Values> {
        match self {
            Self::List(_) | Self::Subscribe { .. } => None,
            Self::CallTool { arguments, .. }
            | Self::ReadResource { arguments, .. }
            | Self::GetPrompt { arguments, .. }
            | Self::Complete { arguments, .. } => Some(arguments),
        }
    }

    pub(crate) fn into_arguments(self) -> (Values, Spelling) {
        match self {
            Self::List(_) | Self::Subscribe { .. } => (Values::new(), Spelling::Json),
            Self::CallTool { arguments, .. } => (arguments, Spelling::Json),
            Self::ReadResource { arguments, .. }
            | Self::GetPrompt { arguments, .. }
            | Self::Complete { arguments, .. } => (arguments, Spelling::Strings),
        }
    }
}

/// How the arguments of a component arrive.
#[derive(Clone, Copy)]
pub(crate) enum Spelling {
    /// As JSON.
    Json,
    /// As strings; each is read as its argument's type.
    Strings,
}

/// Without the arguments, which may hold secrets.
impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(kind) => write!(f, "List({kind})"),
            Self::CallTool { component, .. } => write!(f, "CallTool({})", component.name),
            Self::ReadResource { component, .. } => write!(f, "ReadResource({})", component.name),
            Self::GetPrompt { component, .. } => write!(f, "GetPrompt({})", component.name),
            Self::Subscribe { component, .. } => write!(f, "Subscribe({})", component.name),
            Self::Complete { component, .. } => write!(f, "Complete({})", component.name),
        }
    }
}

/// The answer to an operation, of the kind that fits the [`Operation`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Response<'a> {
    /// A page of a list.
    List(Listed<'a>),
    /// The answer of a tool.
    Tool(ToolResult),
    /// The answer of a resource.
    Resource(ResourceResult),
    /// The answer of a prompt.
    Prompt(PromptResult),
    /// The session is told of updates from now on.
    Subscribed,
    /// The values that an argument may become.
    Completion(Completion),
}

/// One page of a list: the components that its caller may see.
pub struct Listed<'a> {
    section: &'a Section,
    page: Page,
}

impl<'a> Listed<'a> {
    pub(crate) fn new(section: &'a Section, page: Page) -> Self {
        Self { section, page }
    }

    pub(crate) fn into_page(self) -> Page {
        self.page
    }

    pub(crate) fn is_of(&self, section: &Section) -> bool {
        std::ptr::eq(self.section, section)
    }

    /// The components, in the order of the list.
    pub fn components(&self) -> impl Iterator<Item = Target<'a>> {
        let section = self.section;
        self.page.visible.iter().filter_map(|&at| section.at(at)).map(|entry| entry.target())
    }

    /// Leaves out the components for which `keep` says no. It hides them from this list alone:
    /// whoever knows their names can use them.
    pub fn retain(&mut self, mut keep: impl FnMut(Target<'a>) -> bool) {
        let section = self.section;
        self.page.visible.retain(|&at| section.at(at).is_some_and(|entry| keep(entry.target())));
    }
}

impl fmt::Debug for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listed({} components)", self.page.visible.len())
    }
}
