//! One request over HTTP+SSE, and its answer on the stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::task::JoinHandle;

use super::events::messages;
use super::link::Part;
use crate::answer::{json_rpc, response};
use crate::http::budget::Held;
use crate::http::budget::account::Account;
use crate::http::budget::places::OwnPlace;
use crate::http::session::post::Ran;
use crate::http::streamed::{self, Addressee};
use crate::message::envelope::RequestId;
use crate::outgoing::run::{Run, Step};
use crate::{Outgoing, ProtocolVersion, RpcError, Service};

/// The answer to a request, and what it keeps until there is room for it on the stream.
struct Answer {
    message: Vec<u8>,
    _kept: Option<(OwnPlace, Held)>,
}

/// A request that runs, in a task of its own: a client that does not read holds up none.
struct Task<T>(JoinHandle<T>);

/// Starts a request, whose body takes the budget that it has `held`; gives what it tells, and its
/// answer. It is dropped with that.
pub(super) fn start<S: Service>(
    service: &Arc<S>,
    ran: impl Future<Output = Ran> + Send + 'static,
    outgoing: Outgoing,
    (account, held): (Account, Held),
    addressee: Addressee,
) -> BoxStream<'static, Part> {
    let (service, version) = (Arc::clone(service), addressee.version);
    let (budget, whose) = (Arc::clone(&account.budget), account.whose.clone());
    let answered = async move {
        let answer = match ran.await {
            Ran::Done(id, place, outcome) => {
                if let Err(error) = &outcome {
                    tracing::debug!(?error, "request answered with an error");
                }
                let message = response::outcome(&id, version, service.identity(), &outcome);
                let own = place.into_own();
                Some(match budget.wait(&whose, message.len()) {
                    Some(waits) => Answer { message, _kept: Some((own, waits)) },
                    None => refused(&id, version, &RpcError::Busy),
                })
            }
            Ran::Refused(id, error) => Some(refused(&id, version, &error)),
            // It was cancelled, or the session has ended.
            Ran::Dropped => None,
        };
        drop(held);
        answer
    };
    let run = Run::new(outgoing, Task(tokio::spawn(answered)).boxed());
    stream::unfold(Some((run, account, addressee)), next).boxed()
}

type State = Option<(Run<Option<Answer>>, Account, Addressee)>;

async fn next(state: State) -> Option<(Part, State)> {
    let (mut run, account, addressee) = state?;
    match run.next().await {
        Step::Messages(told) => {
            let part = Part { bytes: messages(&told), held: None };
            Some((part, Some((run, account, addressee))))
        }
        Step::Ended(answer) => {
            let Answer { message, _kept } = answer?;
            let (answer, held) = streamed::with_room(&account, &addressee, message).await;
            Some((Part { bytes: messages(&[answer]), held }, None))
        }
    }
}

fn refused(id: &RequestId, version: ProtocolVersion, error: &RpcError) -> Answer {
    Answer { message: json_rpc::error(Some(id), Some(version), error), _kept: None }
}

impl<T> Future for Task<Option<T>> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        // It ends by itself or is dropped; handlers' panics are caught before they get here.
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).ok().flatten())
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
