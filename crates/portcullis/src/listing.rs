//! Lists: pages of what their caller may see.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_protocol::{Page, RpcError};

use crate::catalogue::Section;
use crate::component::ComponentKind;
use crate::decision::{Asking, ListDecision, Purpose, Verdict, decide};
use crate::middleware::Listed;
use crate::service::Core;
use crate::trail::Trail;

impl Core {
    /// One page of `section`, through the middleware.
    pub(crate) async fn list(
        self: &Arc<Self>,
        kind: ComponentKind,
        cursor: Option<&str>,
        asking: &Asking<'_>,
        trail: &mut Trail<'_>,
    ) -> Result<Page, RpcError> {
        let section = self.catalogue.section(kind);
        let page = self.page(section, cursor, asking, trail).await?;
        if self.layers.middleware().is_empty() {
            return Ok(page);
        }
        let listed = Listed::new(section, page);
        let listed = self.layers.list(self, trail.exchange(), kind, section, listed).await;
        listed.map(Listed::into_page).map_err(|error| {
            trail.reveal(error).into_error(|| RpcError::Internal("Not found".into()))
        })
    }

    /// One page of what the caller may see. A cursor names the last entry of the page before:
    /// something that its caller was shown, so it tells nothing of what is hidden.
    async fn page(
        &self,
        section: &Section,
        cursor: Option<&str>,
        asking: &Asking<'_>,
        trail: &mut Trail<'_>,
    ) -> Result<Page, RpcError> {
        let start = match cursor {
            None => 0,
            Some(cursor) => match after(section, cursor, asking).await {
                Some(start) => start,
                None => return Err(trail.no_such_cursor()),
            },
        };
        let mut page = Page { listing: Arc::clone(&section.listing), ..Page::default() };
        page.visible.reserve((section.entries.len() - start).min(self.page_size));
        let mut decision = ListDecision::new(*asking, &self.catalogue.rules);
        let mut last = None;
        for (position, entry) in (0..).zip(&section.entries).skip(start) {
            // Most are known: a list of thousands makes no future for them.
            let shows = match decision.known(entry) {
                Some(known) => known,
                None => decision.shows(entry).await,
            };
            if let Err(rule) = shows {
                trail.hidden(rule);
                continue;
            }
            if page.visible.len() == self.page_size {
                page.next_cursor = last.map(|key: &String| URL_SAFE_NO_PAD.encode(key));
                break;
            }
            page.visible.push(position);
            last = Some(&entry.key);
        }
        trail.listed(page.visible.len());
        Ok(page)
    }
}

/// Where the page after `cursor` begins, if the caller may see what it names.
async fn after(section: &Section, cursor: &str, asking: &Asking<'_>) -> Option<usize> {
    let key = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let position = section.position(str::from_utf8(&key).ok()?)?;
    let entry = section.entries.get(position)?;
    match decide(entry, asking, Purpose::List).await {
        Verdict::Allowed => Some(position + 1),
        Verdict::Denied(_) => None,
    }
}
