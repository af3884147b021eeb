//! The protected-resource metadata (RFC 9728).

use portcullis::guard::{ErrorChain, Url};
use serde_json::{Map, Value};

use super::client::{Answer, Client, unanswered};
use super::fault;
use super::report::{Report, Step};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The authorization servers that the metadata names. `named` is where the challenge says that it is.
/// Whoever has a token by hand needs none.
pub(crate) async fn authorization_servers(
    client: &Client,
    url: &Url,
    named: Option<&str>,
    has_token: bool,
    report: &mut Report,
) -> Vec<String> {
    let Some((at, answer)) = find(client, url, named, has_token, report).await else {
        return Vec::new();
    };
    let Some(metadata) = document(Step::Resource, &at, &answer, report) else { return Vec::new() };
    readable_by_pages(&at, &answer, report);
    let resource = metadata.get("resource").and_then(Value::as_str).unwrap_or_default();
    compare(url, resource, report);
    let servers = metadata.get("authorization_servers").and_then(Value::as_array);
    let servers: Vec<_> =
        servers.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    if servers.is_empty() {
        report.failed_unless(has_token, Step::Issuer, fault::ISSUER_MISSING, "it names none");
    }
    servers
}

/// The first answer of success, of the addresses where clients look.
async fn find(
    client: &Client,
    url: &Url,
    named: Option<&str>,
    has_token: bool,
    report: &mut Report,
) -> Option<(Url, Answer)> {
    let mut places = Vec::new();
    places.extend(named.and_then(|named| Url::parse(named).ok()));
    let path = url.path().trim_end_matches('/');
    for form in [format!("{WELL_KNOWN}{path}"), WELL_KNOWN.to_owned()] {
        places.extend(url.join(&form).ok().filter(|place| !places.contains(place)));
    }
    let mut seen = Vec::new();
    for place in places {
        match client.get(&place).await {
            Ok(answer) if answer.is_success() => return Some((place, answer)),
            Ok(answer) => seen.push(format!("{place} answers {}", answer.told())),
            Err(error) => {
                let seen = format!("{place}: {}", ErrorChain::new(&error));
                report.failed(Step::Resource, unanswered(&error), seen);
                return None;
            }
        }
    }
    report.failed_unless(has_token, Step::Resource, fault::METADATA_MISSING, seen.join("; "));
    None
}

/// A metadata document, if it is one.
pub(crate) fn document(
    step: Step,
    at: &Url,
    answer: &Answer,
    report: &mut Report,
) -> Option<Map<String, Value>> {
    let Some(document) = answer.object() else {
        let kind = answer.header("content-type");
        let seen = format!("{at} answers {} with {kind:?}", answer.status());
        report.failed(step, fault::METADATA_MALFORMED, seen);
        return None;
    };
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    let empty: Vec<_> = document.iter().filter(|(_, value)| empty(value)).collect();
    if let Some((name, _)) = empty.first() {
        report.failed(step, fault::NULL_MEMBER, format_args!("{name:?} at {at}"));
    }
    Some(document)
}

fn compare(url: &Url, resource: &str, report: &mut Report) {
    if resource == url.as_str() || Url::parse(resource).is_ok_and(|resource| resource == *url) {
        report.passed(Step::Resource, format_args!("resource is {resource}"));
        return;
    }
    let bare = |url: &str| url.trim_end_matches('/').to_owned();
    let fault = match bare(resource) == bare(url.as_str()) {
        true => fault::RESOURCE_SLASH,
        false => fault::RESOURCE_DIFFERS,
    };
    report.failed(Step::Resource, fault, format_args!("resource is {resource:?}, the URL {url}"));
}

/// Whether pages may read a document.
pub(crate) fn readable_by_pages(at: &Url, answer: &Answer, report: &mut Report) {
    match answer.header("access-control-allow-origin") {
        "" => report.warned(
            Step::Browser,
            fault::CORS_MISSING,
            format_args!("pages may not read {at}"),
        ),
        _ => report.passed(Step::Browser, format_args!("pages may read {at}")),
    }
}
