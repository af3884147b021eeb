//! Who is calling: the bearer token of a request, with what its verification may take.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::{HeaderMap, StatusCode, Uri};
use portcullis_auth::{Authenticator, LastBearer, Principal};

use crate::Limits;
use crate::http::budget::{Budget, Of, Party, Whose};
use crate::http::peer::Standing;

/// Over what a token comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor<'a> {
    pub(crate) budget: &'a Arc<Budget>,
    pub(crate) address: Option<&'a Arc<Party>>,
    pub(crate) standing: &'a Standing,
}

/// Asks the authenticator. A verifier that has to wait, for keys perhaps, does so in places of its
/// own: what it knows waits for nothing.
pub(crate) async fn authenticate(
    authenticator: &Authenticator,
    limits: &Limits,
    headers: &HeaderMap,
    uri: &Uri,
    last: &LastBearer,
    visitor: Visitor<'_>,
) -> Result<Arc<Principal>, portcullis_auth::Refusal> {
    let answer = authenticator.authenticate(headers, uri.query(), last, limits.decision_timeout);
    let mut answer = pin!(answer);
    let answer = match poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await {
        Poll::Ready(answer) => answer,
        Poll::Pending => {
            let place = visitor.budget.take(Of::Verifications, Whose::address(visitor.address), 1);
            let Some(_place) = place else {
                let reason = "too many tokens have to be waited for";
                tracing::warn!(reason, "request refused: 503");
                return Err(portcullis_auth::Refusal::unavailable(reason));
            };
            answer.await
        }
    };
    match &answer {
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => visitor.standing.refuse(),
        // One without enough scopes is known all the same.
        Ok(_) => visitor.standing.accept(),
        Err(refusal) if refusal.principal.is_some() => visitor.standing.accept(),
        Err(_) => {}
    }
    answer
}
