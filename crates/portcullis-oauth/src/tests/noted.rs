//! What the audit record of a request is told (E11).

use portcullis_auth::EndpointRecord;
use portcullis_auth::audit::Verdict;

use super::*;

impl Site {
    /// An answer, and what was noted on the way.
    async fn noted(&self, request: Request<String>) -> (Answer, EndpointRecord) {
        let (head, body) = request.into_parts();
        let request = EndpointRequest::new(head, body.into_bytes(), None);
        let notes = request.notes.clone();
        let (head, body) = self.endpoints.answer(request).await.into_parts();
        let body = String::from_utf8(body).unwrap();
        (Answer { status: head.status, headers: head.headers, body }, notes.read())
    }
}

fn form(path: &str, cookie: &str, fields: &[(&str, &str)]) -> Request<String> {
    let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.header(COOKIE, cookie).body(query(fields)).unwrap()
}

#[tokio::test]
async fn e11_a_user_who_denies_is_noted_without_being_proven() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let page = site.open(&client_id).await;
    let fields = [("request", page.request.as_str()), ("user", "alice"), ("decision", "deny")];
    let (_, record) = site.noted(form("/consent", &page.cookie, &fields)).await;
    assert_eq!(record.outcome, Some("sign_in_denied"));
    assert_eq!((record.verdict, record.rule), (Some(Verdict::Denied), Some("access_denied")));
    assert_eq!((record.client_id, record.subject), (Some(client_id), None));
    assert_eq!(record.client_name.as_deref(), Some("Test <client>"));
}

#[tokio::test]
async fn e11_what_a_person_is_told_has_the_same_reference_in_the_trail() {
    let site = Site::new();
    let unknown = Request::get(authorize_uri("pcc_x", &[])).body(String::new()).unwrap();
    let (page, record) = site.noted(unknown).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert_eq!(record.rule, Some("unknown_client"));
    assert_eq!((record.verdict, record.client_id), (Some(Verdict::Refused), None));
    let reference = record.reference.unwrap().to_string();
    assert!(page.body.contains(&reference), "{}", page.body);
}

#[tokio::test]
async fn e11_a_client_that_is_not_known_is_noted_as_nobody() {
    let site = Site::new();
    let fields = [("client_id", "pcc_x"), ("grant_type", "refresh_token")];
    for path in ["/token", "/revoke"] {
        let (_, record) = site.noted(form(path, "", &fields)).await;
        let denied = (record.verdict, record.rule);
        assert_eq!(denied, (Some(Verdict::Challenged), Some("invalid_client")), "{path}");
        assert_eq!((record.client_id, record.outcome), (None, None), "{path}");
    }
}
