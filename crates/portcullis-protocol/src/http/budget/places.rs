//! Places for running requests, for all and for each principal.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::HttpBody;
use axum::response::Response;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use crate::http::budget::party::Party;
use crate::http::budget::{Budget, Held, Of, SMALL, Whose};
use crate::http::rejection::Rejection;
use crate::{Limits, RpcError};

/// Places of requests: a number for all, and a smaller one for each principal.
///
/// A principal with more requests waits for its own places, and holds none of the others' places
/// meanwhile.
pub(crate) struct Places {
    all: Arc<All>,
    pub(crate) budget: Arc<Budget>,
    longest: Duration,
    pub(crate) write_timeout: Duration,
    /// When the log last said that a request waits.
    told: Mutex<Option<Instant>>,
}

/// The shortest time between two log messages that a request waits.
const TELLING: Duration = Duration::from_secs(60);

impl Places {
    pub(crate) fn new(limits: &Limits, budget: &Arc<Budget>) -> Self {
        let all = Arc::new(All(AtomicUsize::new(limits.concurrent_requests)));
        let budget = Arc::clone(budget);
        let (longest, write_timeout) = (limits.handler_timeout, limits.write_timeout);
        Self { all, budget, longest, write_timeout, told: Mutex::default() }
    }

    /// A place for a request until it has been read.
    pub(crate) fn enter(&self) -> Result<OfAll<&All>, Rejection> {
        OfAll::take(&*self.all).ok_or_else(Rejection::busy)
    }

    /// A place for an operation that runs, if there is one that needs no waiting.
    pub(crate) fn free(&self, whose: &Whose) -> Option<Place> {
        let own = match whose.runs() {
            Some(own) => Some(OfParty::take(own)?),
            None => None,
        };
        self.among_all(own).ok()
    }

    /// A place for an operation that runs, once those of `whose` leave one.
    pub(crate) async fn run(&self, whose: &Whose) -> Result<Place, RpcError> {
        let own = match whose.runs() {
            Some(own) => Some(self.own(own, whose).await?),
            None => None,
        };
        self.among_all(own)
    }

    fn among_all(&self, own: Option<OfParty>) -> Result<Place, RpcError> {
        let all = OfAll::take(Arc::clone(&self.all)).ok_or(RpcError::Busy)?;
        Ok(Place { _own: own, all })
    }

    async fn own(&self, own: &Arc<Party>, whose: &Whose) -> Result<OfParty, RpcError> {
        if let Some(place) = OfParty::take(own) {
            return Ok(place);
        }
        self.tell();
        let _queued = self.budget.take(Of::Queued, whose.clone(), 1).ok_or(RpcError::Busy)?;
        let permit = tokio::time::timeout(self.longest, own.running.acquire()).await;
        let permit = permit.map_err(|_| RpcError::Busy)?.map_err(|_| RpcError::Busy)?;
        Ok(OfParty::of(own, permit))
    }

    /// Says, once in a while, what makes calls slow.
    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELLING) {
            *told = Some(Instant::now());
            tracing::warn!(
                "requests wait for others of the same principal: more come at once than \
                 Limits::requests_per_principal"
            );
        }
    }
}

/// How many places are left of all: nobody waits for one of these.
pub(crate) struct All(AtomicUsize);

/// One of the places of all, until this is dropped.
pub(crate) struct OfAll<A: Deref<Target = All>>(A);

impl<A: Deref<Target = All>> OfAll<A> {
    fn take(all: A) -> Option<Self> {
        let one_less = |left: usize| left.checked_sub(1);
        all.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_less).ok()?;
        Some(Self(all))
    }
}

impl<A: Deref<Target = All>> Drop for OfAll<A> {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Release);
    }
}

/// One of the places of a party, which is known for as long, until this is dropped.
struct OfParty(Arc<Party>);

impl OfParty {
    fn take(party: &Arc<Party>) -> Option<Self> {
        party.running.try_acquire().ok().map(|permit| Self::of(party, permit))
    }

    fn of(party: &Arc<Party>, permit: SemaphorePermit<'_>) -> Self {
        permit.forget();
        Self(Arc::clone(party))
    }
}

impl Drop for OfParty {
    fn drop(&mut self) {
        self.0.running.add_permits(1);
    }
}

/// The place of an operation, until this is dropped.
pub(crate) struct Place {
    _own: Option<OfParty>,
    all: OfAll<Arc<All>>,
}

/// What the answer to an operation holds until the budget has room for the answer.
#[derive(Clone)]
pub(crate) struct Waits {
    pub(crate) whose: Whose,
    keeps: Arc<Keeps>,
}

enum Keeps {
    Own { _place: Option<OfParty> },
    Gathered(Vec<Held>),
}

impl Waits {
    /// Moves the bytes taken by the answers of a batch to their `response`.
    pub(crate) fn of_batch(whose: &Whose, gathered: Vec<Held>, response: &mut Response) {
        let keeps = Arc::new(Keeps::Gathered(gathered));
        response.extensions_mut().insert(Self { whose: whose.clone(), keeps });
    }

    /// Whether what it keeps is as large as the answer.
    pub(crate) fn is_gathered(&self) -> bool {
        matches!(&*self.keeps, Keeps::Gathered(held) if !held.is_empty())
    }
}

/// The place of a principal, while an answer is on its way.
pub(crate) struct OwnPlace {
    _own: Option<OfParty>,
}

impl Place {
    /// Keeps the principal's place alone.
    pub(crate) fn into_own(self) -> OwnPlace {
        OwnPlace { _own: self._own }
    }

    /// Moves the principal's place to `response` until there is room for that, and gives up the
    /// place among all. A small one needs no room.
    pub(crate) fn leave_to(self, whose: &Whose, response: &mut Response) {
        if response.body().size_hint().exact().is_some_and(|bytes| bytes <= SMALL as u64) {
            return;
        }
        let Self { _own, all } = self;
        drop(all);
        let keeps = Arc::new(Keeps::Own { _place: _own });
        response.extensions_mut().insert(Waits { whose: whose.clone(), keeps });
    }
}

#[cfg(test)]
mod tests {
    use portcullis_auth::Principal;

    use super::*;
    use crate::http::budget::Budget;

    fn limits() -> Limits {
        let handler_timeout = Duration::from_secs(60);
        let (concurrent_requests, requests_per_principal) = (4, 2);
        Limits { handler_timeout, concurrent_requests, requests_per_principal, ..Limits::default() }
    }

    fn of(budget: &Arc<Budget>, name: &str) -> Whose {
        Whose { address: None, principal: Some(budget.principal(&Principal::new(name))) }
    }

    #[tokio::test(start_paused = true)]
    async fn q05_trial_a5_a_principal_with_much_to_run_waits_for_itself_and_nobody_for_it() {
        let (limits, budget) = (limits(), Budget::new(&limits()));
        let places = Places::new(&limits, &budget);
        let (alice, bob) = (of(&budget, "alice"), of(&budget, "bob"));
        let mut first = Vec::new();
        for _ in 0..2 {
            first.push(places.run(&alice).await.unwrap());
        }
        let mut third = Box::pin(places.run(&alice));
        assert!(futures_util::poll!(&mut third).is_pending());
        let read = places.enter().expect("who waits holds no place of all");
        let bobs = places.run(&bob).await.expect("nor of others");
        drop(read);
        drop((first.pop(), bobs));
        let third = third.await.expect("its turn has come");
        let begun = tokio::time::Instant::now();
        assert!(matches!(places.run(&alice).await, Err(RpcError::Busy)));
        assert_eq!(begun.elapsed(), limits.handler_timeout, "it does not wait for ever");
        drop((first, third));
        assert!(places.run(&alice).await.is_ok());
    }

    #[tokio::test]
    async fn trial_a5_an_answer_keeps_the_place_of_its_principal_until_there_is_room_for_it() {
        let (limits, budget) = (limits(), Budget::new(&limits()));
        let (places, alice) = (Places::new(&limits, &budget), of(&budget, "alice"));
        let mut answers = Vec::new();
        for _ in 0..2 {
            let place = places.run(&alice).await.unwrap();
            let mut answer = Response::new(vec![0; SMALL + 1].into());
            place.leave_to(&alice, &mut answer);
            answers.push(answer);
        }
        assert!(futures_util::poll!(Box::pin(places.run(&alice))).is_pending());
        let all: Vec<_> = (0..4).map(|_| places.enter()).collect();
        assert!(all.iter().all(Result::is_ok), "it holds none that others want");
        drop((all, answers));
        let mut small = Response::new(vec![0; SMALL].into());
        places.run(&alice).await.unwrap().leave_to(&alice, &mut small);
        for _ in 0..2 {
            assert!(futures_util::poll!(Box::pin(places.run(&alice))).is_ready(), "a small one");
        }
    }

    #[tokio::test]
    async fn a_free_place_is_one_of_those_that_others_wait_for() {
        let (limits, budget) = (limits(), Budget::new(&limits()));
        let (places, alice) = (Places::new(&limits, &budget), of(&budget, "alice"));
        let (one, two) = (places.free(&alice).unwrap(), places.run(&alice).await.unwrap());
        assert!(places.free(&alice).is_none(), "two are all that one principal has");
        let mut waits = Box::pin(places.run(&alice));
        assert!(futures_util::poll!(&mut waits).is_pending());
        drop(one);
        assert!(places.free(&alice).is_none(), "it is for who has waited");
        let waited = waits.await.unwrap();
        drop((two, waited));
        let bob = of(&budget, "bob");
        let all = [&alice, &alice, &bob, &bob].map(|whose| places.free(whose).unwrap());
        assert!(places.free(&of(&budget, "carol")).is_none(), "four are all that there are");
        drop(all);
        assert!(places.free(&of(&budget, "carol")).is_some());
    }

    #[tokio::test]
    async fn those_who_wait_are_limited_too() {
        let (limits, budget) = (limits(), Budget::new(&limits()));
        let (places, alice) = (Places::new(&limits, &budget), of(&budget, "alice"));
        let _held = (places.run(&alice).await.unwrap(), places.run(&alice).await.unwrap());
        let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(places.run(&alice))).collect();
        let mut refused = 0;
        for run in &mut waiting {
            refused += usize::from(futures_util::poll!(run).is_ready());
        }
        assert_eq!(refused, 3, "two of one principal may wait");
        let bob = of(&budget, "bob");
        let _held = (places.run(&bob).await.unwrap(), places.run(&bob).await.unwrap());
        assert!(futures_util::poll!(Box::pin(places.run(&bob))).is_pending());
    }
}
