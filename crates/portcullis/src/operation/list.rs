//! Lists: pages of what their caller may see.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_protocol::{Page, RpcError};

use crate::access::decision::{Asking, ListDecision, lists};
use crate::catalogue::Section;
use crate::component::ComponentKind;
use crate::component::context::Context;
use crate::component::verdict::RuleId;
use crate::middleware::Listed;
use crate::operation::audit::OperationRecord;
use crate::operation::engine::Engine;
use crate::operation::refusal::public_error;

/// One page of `section`, through the middleware.
pub(super) async fn page(
    engine: &Engine,
    kind: ComponentKind,
    cursor: Option<&str>,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'_>,
) -> Result<Page, RpcError> {
    let section = engine.catalogue.section(kind);
    let mut page = allowed_page(engine, kind, cursor, asking, record).await?;
    if engine.layers.middleware().is_empty() {
        return Ok(page);
    }
    loop {
        let more = page.next_cursor.take();
        let context = Context::new(record.exchange(), Arc::clone(&engine.facilities), record.id());
        let listed = Listed::new(section, page);
        let listed = engine.layers.list(context, kind, section, listed).await;
        page = listed.map(Listed::into_page).map_err(|error| {
            public_error(record.reveal(error), || RpcError::Internal("Not found".into()))
        })?;
        record.listed(page.visible.len());
        let Some(more) = more else { return Ok(page) };
        // A cursor names what its caller was shown: the last that middleware left in.
        if let Some(last) = page.visible.last().and_then(|last| section.at(*last)) {
            page.next_cursor = Some(URL_SAFE_NO_PAD.encode(&last.key));
            return Ok(page);
        }
        page = allowed_page(engine, kind, Some(&more), asking, record).await?;
    }
}

/// One page of what the caller may see of `kind`. A cursor names the last entry of the page
/// before: something that its caller was shown, so it tells nothing of what is hidden.
async fn allowed_page(
    engine: &Engine,
    kind: ComponentKind,
    cursor: Option<&str>,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'_>,
) -> Result<Page, RpcError> {
    let section = engine.catalogue.section(kind);
    let start = match cursor {
        None => 0,
        Some(cursor) => match after(section, cursor, asking).await {
            Some(start) => start,
            None => return Err(record.no_such_cursor()),
        },
    };
    let rest = section.entries.len() - start;
    let size = rest.min(engine.page_size);
    let mut decision = ListDecision::new(*asking, &engine.catalogue, kind);
    let mut filling = Filling { visible: Vec::with_capacity(size + 1), size, record };
    let mut position = start;
    while position < section.entries.len() && !filling.is_over() {
        position = filling.take_known(&decision, position);
        if position < section.entries.len() && !filling.is_over() {
            filling.take(position, decision.shows(position).await);
            position += 1;
        }
    }
    let is_over = filling.is_over();
    let listing = Arc::clone(&section.listing);
    let mut page = Page { listing, visible: filling.visible, next_cursor: None };
    if is_over {
        page.visible.pop();
        let last = page.visible.last().and_then(|last| section.at(*last));
        page.next_cursor = last.map(|last| URL_SAFE_NO_PAD.encode(&last.key));
    }
    record.listed(page.visible.len());
    Ok(page)
}

/// A page as it fills. It takes one entry more than it shows, which tells that there is a
/// further page.
struct Filling<'t, 'a> {
    visible: Vec<u32>,
    size: usize,
    record: &'t mut OperationRecord<'a>,
}

impl Filling<'_, '_> {
    fn is_over(&self) -> bool {
        self.visible.len() > self.size
    }

    fn take(&mut self, position: usize, shows: Result<(), RuleId>) {
        match (shows, u32::try_from(position)) {
            (Ok(()), Ok(position)) => self.visible.push(position),
            (Ok(()), Err(_)) => {}
            (Err(rule), _) => self.record.hidden(rule),
        }
    }

    /// Takes what is known from `position` on, and says where that ends.
    fn take_known(&mut self, decision: &ListDecision<'_>, mut position: usize) -> usize {
        for shows in decision.known(position) {
            self.take(position, shows);
            position += 1;
            if self.is_over() {
                break;
            }
        }
        position
    }
}

/// Where the page after `cursor` begins, if the caller may see what it names.
async fn after(section: &Section, cursor: &str, asking: &Asking<'_>) -> Option<usize> {
    let key = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let position = section.position(str::from_utf8(&key).ok()?)?;
    let entry = section.entries.get(position)?;
    lists(entry, asking).await.ok().map(|()| position + 1)
}
