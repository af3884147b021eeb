//! The room that a stream's answers take until they are read.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::http::budget::{Budget, Held, Of, SMALL, Whose};

/// What the answer of a stream counts for while its client has not taken it.
pub(crate) struct Account {
    pub(crate) budget: Arc<Budget>,
    pub(crate) whose: Whose,
    pub(crate) write_timeout: Duration,
}

/// There was no room in time.
#[derive(Debug)]
pub(crate) struct Full;

impl Account {
    /// Waits until there is room for an answer, as long as a client may leave one unread.
    pub(crate) async fn room_for(&self, bytes: usize) -> Result<Option<Held>, Full> {
        if bytes <= SMALL {
            return Ok(None);
        }
        let Self { budget, whose, write_timeout } = self;
        let room = async {
            loop {
                let mut room = pin!(budget.room());
                // From here on, this learns of all room that becomes free.
                room.as_mut().enable();
                if let Some(held) = budget.take(Of::Unread, whose.clone(), bytes) {
                    return held;
                }
                room.await;
            }
        };
        timeout(*write_timeout, room).await.map(Some).map_err(|_| Full)
    }
}
