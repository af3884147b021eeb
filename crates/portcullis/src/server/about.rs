//! What a server says of itself.

use portcullis_protocol::{Identity, model};

use crate::catalogue::credential_lint;
use crate::catalogue::metadata::{invalid, problems_with_icons};
use crate::component::Icon;
use crate::error::Problem;
use crate::server::builder::ServerBuilder;

/// What a server says of itself beside its name.
#[derive(Default)]
pub(crate) struct About {
    title: Option<String>,
    description: Option<String>,
    website_url: Option<String>,
    icons: Vec<Icon>,
}

impl<A> ServerBuilder<A> {
    /// A name of the server for people. Clients are told since 2025-06-18, and everybody may read it.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.parts.about.title = Some(title.into());
        self
    }

    /// Says to people what the server is for; models read the [`instructions`](Self::instructions).
    /// Clients are told since 2025-11-25.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.parts.about.description = Some(text.into());
        self
    }

    /// The https URL of a page for people about the server. Clients are told since 2025-11-25.
    pub fn website_url(mut self, url: impl Into<String>) -> Self {
        self.parts.about.website_url = Some(url.into());
        self
    }

    /// Adds an icon of the server. Clients are told since 2025-11-25, when they begin and not in every
    /// result.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::component::Icon;
    /// use portcullis::prelude::*;
    ///
    /// let server = Server::builder("orders")
    ///     .title("Orders")
    ///     .description("Orders and invoices of the shop.")
    ///     .website_url("https://example.com/orders")
    ///     .icon(Icon::new("https://example.com/orders.png").mime_type("image/png").size(48, 48))
    ///     .no_auth()
    ///     .build()?;
    /// # Ok::<(), portcullis::Error>(())
    /// ```
    pub fn icon(mut self, icon: impl Into<Icon>) -> Self {
        self.parts.about.icons.push(icon.into());
        self
    }
}

impl About {
    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = problems_with_icons(&self.icons);
        let texts = [
            ("title", &self.title),
            ("description", &self.description),
            ("website_url", &self.website_url),
        ];
        for (what, text) in texts {
            if text.as_deref().is_some_and(credential_lint::holds_secret) {
                problems.push(credential_lint::exposed().within(what));
            }
        }
        if self.website_url.as_deref().is_some_and(|url| !is_page(url)) {
            let text = "the page is at an https URL, such as https://example.com/orders";
            problems.push(invalid(text).within("website_url"));
        }
        problems
    }

    /// With its name and version, as clients are told.
    pub(super) fn identity(
        &self,
        name: &str,
        version: &str,
        instructions: Option<String>,
    ) -> Identity {
        let implementation = model::Implementation {
            title: self.title.clone(),
            description: self.description.clone(),
            website_url: self.website_url.clone(),
            icons: self.icons.iter().map(|icon| icon.0.clone()).collect(),
            ..model::Implementation::new(name, version)
        };
        Identity::of(implementation, instructions)
    }
}

/// As the URL of an icon, which is one that people's clients open, too.
fn is_page(url: &str) -> bool {
    url.starts_with("https:") && Icon::new(url).problem().is_none()
}

#[cfg(test)]
mod tests {
    use crate::Server;
    use crate::error::{Error, ProblemKind};

    #[test]
    fn what_a_server_says_of_itself_holds_no_secret_and_leads_to_https() {
        let kinds = |server: crate::ServerBuilder<_>| {
            let Err(Error::Build(error)) = server.no_auth().build() else { panic!("it was built") };
            error.problems().iter().map(|problem| problem.kind()).collect::<Vec<_>>()
        };
        let server = || Server::builder("test");
        let secret = "postgres://app:hunter2@db/app";
        for (broken, kind) in [
            (server().website_url("http://example.com"), ProblemKind::InvalidMetadata),
            (server().website_url("javascript:alert(1)"), ProblemKind::InvalidMetadata),
            (server().website_url("data:image/png;base64,aWNvbg=="), ProblemKind::InvalidMetadata),
            (server().icon("http://example.com/a.png"), ProblemKind::InvalidMetadata),
            (server().title(secret), ProblemKind::ExposedSecret),
            (server().description(secret), ProblemKind::ExposedSecret),
        ] {
            assert_eq!(kinds(broken), [kind]);
        }
    }
}
