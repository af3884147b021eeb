//! What a person reads whose request was refused, in a browser.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue, VARY};
use http::{HeaderMap, StatusCode};
use portcullis_guard::Reference;
use portcullis_guard::html::{Page, problem};

use super::Rule;

/// The page of a refused request; the log has `reason` with the same reference.
pub(super) fn refused(rule: Rule, status: StatusCode, reason: &str) -> Response {
    let (title, advice) = match rule {
        Rule::Host => FOREIGN_HOST,
        Rule::Origin => FOREIGN_PAGE,
        _ => words(status),
    };
    page(status, title, advice, reason)
}

/// The page in place of an answer for programs, whose status and other headers it keeps; an answer
/// that is no error stays as it is, and so does a page.
pub(crate) fn in_place_of(response: Response) -> Response {
    let status = response.status();
    let is_page = |headers: &HeaderMap| {
        let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        media_type.is_some_and(|media_type| media_type.starts_with(b"text/html"))
    };
    if is_page(response.headers()) || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (title, advice) = words(status);
    let mut page = page(status, title, advice, "an endpoint refused it");
    let (head, _) = response.into_parts();
    for (name, value) in &head.headers {
        if !page.headers().contains_key(name) && name != http::header::CONTENT_LENGTH {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

const FOREIGN_HOST: (&str, &str) = (
    "This server has another address",
    "Your browser asked for a name that this server does not answer to, so nothing was done. Look \
     at the address. If it is the right one, whoever runs the server has to allow that name.",
);
const FOREIGN_PAGE: (&str, &str) = (
    "Another website sent this",
    "It was not sent by a page of this server, so nothing was done. Go back to your program and \
     begin again.",
);

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => (
            "There is nothing to see here",
            "This address takes the answer to a page. Go back to your program and begin again.",
        ),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            ("This server is busy", "It has no room for you at the moment. Try again in a minute.")
        }
        status if status.is_server_error() => (
            "Something broke",
            "The fault is in this server. Try again in a minute; if it does not help, tell whoever \
             runs it.",
        ),
        _ => (
            "This server does not understand that",
            "Your browser sent a request that this server does not take, so nothing was done. Go \
             back to your program and begin again.",
        ),
    }
}

fn page(status: StatusCode, title: &str, advice: &str, reason: &str) -> Response {
    let reference = Reference::new();
    tracing::info!(%reference, %reason, "a page was refused: {status}");
    let body = problem(title, advice, &reference);
    let mut page = Page::new(title, &body).into_response(status).map(Body::from);
    // Programs are answered otherwise at the same URL.
    page.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    page
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::http::answer::json;

    async fn text(response: Response) -> String {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_page_keeps_the_status_and_what_it_asks_for() {
        let mut busy = json(StatusCode::SERVICE_UNAVAILABLE, b"{}".to_vec());
        busy.headers_mut().insert("retry-after", HeaderValue::from_static("7"));
        busy.headers_mut().insert("content-length", HeaderValue::from_static("2"));
        let page = in_place_of(busy);
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(page.headers()["retry-after"], "7");
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert!(!page.headers().contains_key("content-length"));
        let text = text(page).await;
        assert!(text.contains("<h1>This server is busy</h1>"), "{text}");
    }

    #[tokio::test]
    async fn what_is_no_error_or_a_page_already_is_left_alone() {
        for (status, media_type) in [(200, "text/plain"), (303, "text/plain"), (403, "text/html")] {
            let mut answer = Response::new(Body::from("as it was"));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            assert_eq!(text(in_place_of(answer)).await, "as it was", "{status}");
        }
    }

    #[test]
    fn every_refusal_has_words() {
        for status in [400, 403, 404, 405, 408, 413, 421, 429, 431, 500, 501, 503, 504] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(!words(status).0.is_empty() && words(status).1.ends_with('.'), "{status}");
        }
    }
}
