//! Pages that users are asked to open (URL mode elicitation): who was asked, and whether they are done.
//!
//! What it decides:
//!
//! 1. A page is asked for by a random number of 128 bits, which is all that its URL holds.
//! 2. A record says that a user was asked, until it expires. It is found by the user's issuer and subject
//!    together with the number: for anybody else it is not there.
//! 3. It is completed once, and by that user.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use portcullis_auth::Principal;
use portcullis_guard::{Clock, random};
#[cfg(feature = "http")]
use portcullis_store::CasOutcome;
use portcullis_store::{RecordKey, RecordOwner, RecordValue, Store, StoreError};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::component::tool_error::ToolError;

/// How many of one user's pages may be waited for, and be kept with those that are completed.
const MOST: usize = 16;
const MOST_KEPT: usize = 64;
/// How often the store is asked whether a user is done.
const INTERVAL: Duration = Duration::from_millis(500);

const ASKED: &[u8] = b"asked";
const DONE: &[u8] = b"done";

const TOO_MANY: &str = "Too many pages wait for you: complete them, or try again in some minutes.";

/// The pages of one server, and who was asked to open them.
pub(crate) struct Pages {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    server: String,
    /// How long a user may take.
    lasting: Duration,
    /// Those that there are.
    paths: Vec<String>,
    /// Where browsers find the server, once that is known.
    origin: Mutex<Option<String>>,
}

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The user was asked, and is not done.
    Asked,
    Done,
    /// Nobody was asked, or it is too late.
    Gone,
}

impl Pages {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        server: &str,
        lasting: Duration,
        paths: Vec<String>,
    ) -> Self {
        let (server, origin) = (server.to_owned(), Mutex::default());
        Self { store, clock, server, lasting, paths, origin }
    }

    /// Browsers find the server below this URL, without a slash at its end, from now on.
    #[cfg(feature = "http")]
    pub(crate) fn serve_at(&self, origin: &str) {
        *self.origin() = Some(origin.to_owned());
    }

    /// As [`serve_at`](Self::serve_at), unless they find it already.
    #[cfg(all(feature = "http", feature = "testing"))]
    pub(crate) fn serve_tests_at(&self, origin: &str) {
        self.origin().get_or_insert_with(|| origin.to_owned());
    }

    /// The URL of the page at `path` without what a user is asked by.
    ///
    /// # Errors
    ///
    /// Internal for a path that is no page, and where browsers find no server.
    pub(super) fn url(&self, path: &str) -> Result<String, ToolError> {
        if !self.paths.iter().any(|own| own == path) {
            let text = format!("there is no page at {path:?}: add a route for GET with .page()");
            return Err(ToolError::internal(text));
        }
        let nowhere = "browsers do not reach the server: it does not serve HTTP";
        let origin = self.origin().clone().ok_or_else(|| ToolError::internal(nowhere))?;
        Ok(format!("{origin}{path}"))
    }

    /// Notes that `user` is asked to open a page, and gives the number by which it knows that.
    ///
    /// # Errors
    ///
    /// For a user with too many pages; internal when the store or randomness cannot be had.
    pub(super) async fn begin(&self, user: &Principal) -> Result<String, ToolError> {
        let owner = self.owner(user);
        let number = u128::from_be_bytes(random::bytes()?);
        let number = format!("{number:032x}");
        let asked = RecordValue::new(ASKED)?;
        self.store.put(&key(&owner, &number), asked, self.end()?).await?;
        // Counted once it is kept: of those that begin at once, each counts the others.
        let refused = match self.store.list(&owner, MOST_KEPT + 1).await {
            Ok(kept) => {
                let waiting = kept.iter().filter(|(_, value)| value.as_bytes() == ASKED).count();
                (waiting > MOST || kept.len() > MOST_KEPT).then(|| ToolError::new(TOO_MANY))
            }
            Err(error) => Some(error.into()),
        };
        let Some(refused) = refused else { return Ok(number) };
        self.forget(user, &number).await;
        Err(refused)
    }

    /// As [`begin`](Self::begin), until what this gives is dropped.
    pub(super) async fn ask(
        self: &Arc<Self>,
        user: &Arc<Principal>,
    ) -> Result<AskedUser, ToolError> {
        let number = self.begin(user).await?;
        Ok(AskedUser { pages: Arc::clone(self), user: Arc::clone(user), number, is_over: false })
    }

    /// What became of the page that `user` was asked to open, within `patience` at the latest.
    pub(super) async fn outcome(
        &self,
        user: &Principal,
        number: &str,
        patience: Duration,
    ) -> Result<Standing, ToolError> {
        let begun = Instant::now();
        loop {
            let standing = self.standing(user, number).await?;
            if standing != Standing::Asked || begun.elapsed() >= patience {
                return Ok(standing);
            }
            sleep(INTERVAL).await;
        }
    }

    /// As it is now.
    pub(crate) async fn standing(
        &self,
        user: &Principal,
        number: &str,
    ) -> Result<Standing, StoreError> {
        let record = self.store.get(&key(&self.owner(user), number)).await?;
        Ok(match record.as_ref().map(RecordValue::as_bytes) {
            Some(ASKED) => Standing::Asked,
            Some(DONE) => Standing::Done,
            Some(_) | None => Standing::Gone,
        })
    }

    /// Nobody is asked to open it any more.
    pub(super) async fn forget(&self, user: &Principal, number: &str) {
        if let Err(error) = self.store.take(&key(&self.owner(user), number)).await {
            tracing::debug!(%error, "what a user was asked is forgotten once it expires");
        }
    }

    /// Whether `user` was asked, and had not completed it before.
    #[cfg(feature = "http")]
    pub(crate) async fn complete(
        &self,
        user: &Principal,
        number: &str,
    ) -> Result<bool, StoreError> {
        let (asked, done) = (RecordValue::new(ASKED)?, RecordValue::new(DONE)?);
        let end = self.end().map_err(|_| StoreError::unavailable("the clock is out of range"))?;
        let key = key(&self.owner(user), number);
        let swap = self.store.compare_and_swap(&key, Some(&asked), Some(done), end).await?;
        Ok(swap == CasOutcome::Done)
    }

    /// The user who is asked: issuer and subject, since their browser is no client.
    fn owner(&self, user: &Principal) -> RecordOwner {
        RecordOwner::new("page", [self.server.as_bytes(), &user.id().holder()])
    }

    fn end(&self) -> Result<SystemTime, ToolError> {
        let end = self.clock.now().checked_add(self.lasting);
        end.ok_or_else(|| ToolError::internal("`Limits::input_timeout` is too long"))
    }

    fn origin(&self) -> MutexGuard<'_, Option<String>> {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A user who is asked to open a page, until this is dropped: then nobody is, whatever has ended the call
/// that asks.
pub(super) struct AskedUser {
    pages: Arc<Pages>,
    pub(super) user: Arc<Principal>,
    pub(super) number: String,
    is_over: bool,
}

impl AskedUser {
    pub(super) async fn forget(mut self) {
        self.pages.forget(&self.user, &self.number).await;
        self.is_over = true;
    }
}

impl Drop for AskedUser {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (pages, user) = (Arc::clone(&self.pages), Arc::clone(&self.user));
        let number = std::mem::take(&mut self.number);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { pages.forget(&user, &number).await });
        }
    }
}

fn key(owner: &RecordOwner, number: &str) -> RecordKey {
    owner.key([number.as_bytes()])
}
