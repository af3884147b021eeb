//! Who gets in, and with which scopes: rules 1, 2, 6 and 7.

use portcullis_auth::is_same_resource;

use super::Finding;
use crate::catalogue::Entry;
use crate::catalogue::compiled_checks::Need;
use crate::server::Server;
use crate::server::check::Place;

/// Scopes by which everything is allowed at once.
const BLANKET: [&str; 7] = ["*", "admin", "all", "full", "full_access", "root", "superuser"];

/// 1: no token passthrough.
pub(super) fn credentials(server: &Server) -> Finding {
    let asks =
        |entry: &Entry| format!("{} `{}` asks for {:?}", entry.kind, entry.key, entry.credentials);
    let entries = server.engine.catalogue.entries();
    let asked: Vec<String> =
        entries.filter(|entry| !entry.credentials.is_empty()).map(asks).collect();
    match asked.as_slice() {
        [] => Finding::pass("no component asks for a credential"),
        asked => Finding::warn(
            asked.join("; "),
            "have the server keep its own credentials (FromEnv), or ask the identity provider for the \
             user's (Context::upstream_token)",
        ),
    }
}

/// 2: minimal scopes.
pub(super) fn scopes(server: &Server, place: Option<&Place<'_>>) -> Finding {
    let Some(place) = place else { return Finding::skip("nobody has scopes over stdio") };
    let Some(resource) = place.resource else {
        return Finding::skip("clients are not authenticated");
    };
    let required = resource.verifier.required_scopes();
    if required != required.offered() {
        return Finding::fail(
            "every request needs the scope offline_access, which stands for a refresh token and \
             protects nothing",
            "remove it from the required scopes",
        );
    }
    if let Some(blanket) = required.iter().find(|scope| BLANKET.contains(scope)) {
        return Finding::fail(
            format!("every request needs the scope {blanket:?}, those that only read as well"),
            "require it of the components that need it: auth = require_scopes([…])",
        );
    }
    let is_asked =
        |entry: &Entry| entry.checks.all.iter().any(|check| !matches!(check.need, Need::Caller));
    let open: Vec<&str> = server
        .engine
        .catalogue
        .entries()
        .filter(|entry| !is_asked(entry))
        .map(|entry| entry.key.as_str())
        .collect();
    match (required.is_empty(), open.as_slice()) {
        (_, []) => Finding::pass("every component has a check of its own or of the server"),
        (false, _) => Finding::pass(format!("every request needs the scopes {required}")),
        (true, open) => Finding::warn(
            format!("any accepted token may use these, whatever its scopes: {open:?}"),
            "require scopes of them, or of the server (required_scopes, AuthMiddleware), unless that is \
             meant",
        ),
    }
}

/// 6: restricted redirect URIs.
pub(super) fn redirect_uris(place: Option<&Place<'_>>) -> Finding {
    let endpoints = place.and_then(|place| place.resource?.endpoints.as_ref());
    let Some(endpoints) = endpoints else {
        return Finding::skip("clients do not sign in at this server");
    };
    match endpoints.takes_unnamed_redirect_uris() {
        false => Finding::pass("codes go to redirect URIs that were named, and are compared whole"),
        true => Finding::warn(
            "any client may register, and codes go to its own redirect URIs, compared whole",
            "name your clients, if you know them: Registration::Known, documents_from, or \
             allowed_client_redirect_uris",
        ),
    }
}

/// 7: token verification rather than an authorization server of one's own.
pub(super) fn verification(place: Option<&Place<'_>>) -> Finding {
    let Some(place) = place else { return Finding::skip("nobody is authenticated over stdio") };
    let Some(resource) = place.resource else {
        return Finding::skip("clients are not authenticated");
    };
    if let Some(error) = &place.unverified {
        return Finding::fail(
            format!("no token can be verified: {error}"),
            "correct the issuer or the address of its keys, and let this machine reach it",
        );
    }
    let (verifier, url) = (&resource.verifier, place.url.resource());
    let audiences = verifier.audiences();
    if !audiences.is_empty() && !audiences.iter().any(|audience| is_same_resource(audience, &url)) {
        return Finding::fail(
            format!("tokens are accepted for {audiences:?}, and clients ask for some for {url:?}"),
            "add that audience to the verifier, or set public_url",
        );
    }
    if verifier.loopback_only() {
        return Finding::warn(
            format!("{}: for development, on this machine alone", verifier.description()),
            "use a verifier for production: JwtVerifier, RemoteAuthProvider, OidcProxy",
        );
    }
    if resource.endpoints.as_ref().is_some_and(|endpoints| endpoints.checks_passwords()) {
        return Finding::warn(
            "the server checks passwords itself",
            "let users sign in at an identity provider: OidcProxy, GitHubProvider, GoogleProvider",
        );
    }
    let warnings = [resource.warnings.clone(), verifier.warnings()].concat();
    match warnings.as_slice() {
        [] => Finding::pass(verifier.description()),
        warnings => {
            Finding::warn(warnings.join("; "), "do what it says, or leave it if it is meant")
        }
    }
}
