//! How a session begins.

use axum::response::Response;
use http::StatusCode;

use super::{SessionId, Sessions};
use crate::answer::response;
use crate::http::rejection::Rejection;
use crate::http::request::EndpointRequest;
use crate::http::{answer, mcp_headers};
use crate::message::envelope::RequestId;
use crate::message::initialize::Initialize;
use crate::message::params::Params;
use crate::{ProtocolVersion, Service};

/// Makes a session. One that the client names is not looked at: ids are given, not taken.
pub(super) async fn initialize<S: Service>(
    service: &S,
    sessions: &Sessions,
    caller: &EndpointRequest<'_>,
    request: &RequestId,
    params: &Params<'_>,
) -> Result<Response, Rejection> {
    let agreed = Initialize::read(params, &ProtocolVersion::OVER_HTTP);
    let agreed = match mcp_headers::check_sessionless(caller.fields).and(agreed) {
        Ok(agreed) => agreed,
        Err(error) => {
            return Err(Rejection::message(error.status(), Some(request), None, &error));
        }
    };
    let (version, identity) = (agreed.version, service.identity());
    let exchange = caller.exchange(version, agreed.client.clone(), None);
    let (id, header) = SessionId::mint()?;
    // It has its place before the service is asked, which notes that it begins.
    let begun = sessions.begin(id, caller.owner(), agreed);
    let session = begun.map_err(|refusal| refusal.in_answer_to(request))?;
    // As one: who finds no place to wait in has begun no session that others made room for.
    let begun = caller.entering(async {
        if let Err(error) = service.admit("initialize", &exchange).await {
            return Ok(Err(error));
        }
        let offers = service.offers(&exchange).await;
        sessions.settle(session, caller.owner()).await?;
        Ok::<_, Rejection>(Ok(offers))
    });
    let begun = begun.await.flatten().map_err(|refusal| refusal.in_answer_to(request))?;
    let offers = match begun {
        Ok(offers) => offers,
        Err(error) => {
            let refused = Err(error);
            return Ok(answer::answered(
                caller.authenticator,
                request,
                version,
                identity,
                &refused,
            ));
        }
    };
    let answer = response::initialized(request, version, identity, offers);
    let mut response = answer::json(StatusCode::OK, answer);
    response.headers_mut().insert(SessionId::HEADER, header);
    Ok(response)
}
