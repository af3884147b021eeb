//! Issuers and settings that a remote provider takes and refuses.

use super::AuthProviderProblemKind as Kind;
use super::*;
use crate::danger::{StaticTokenVerifier, user};

fn tokens() -> StaticTokenVerifier {
    StaticTokenVerifier::new().token("dev-token-alice", user("alice"))
}

fn kinds(built: Result<RemoteAuthProvider, AuthProviderError>) -> Vec<Kind> {
    let problems = built.unwrap_err();
    problems.problems().iter().map(AuthProviderProblem::kind).collect()
}

#[test]
fn an_issuer_is_named_byte_for_byte_or_not_at_all() {
    for issuer in [
        "https://idp.example.com",
        "https://idp.example.com/",
        "https://IDP.example.com:443/a//b/../c/",
        "https://idp.example.com/%7Etenant",
        "http://localhost:3000",
        "http://127.0.0.1:3000/",
        "http://[::1]:3000",
    ] {
        let built = RemoteAuthProvider::verifier(tokens()).authorization_servers(issuer).build();
        assert_eq!(built.unwrap().authorization_servers, [issuer]);
    }
    for issuer in [
        "",
        "idp.example.com",
        "https://",
        "https:///path",
        "http://idp.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1@idp.example.com",
        "https://user:secret@idp.example.com",
        "https://idp.example.com?tenant=a",
        "https://idp.example.com/#a",
        "https://idp.example.com/\r\nX: y",
        "https://idp.example.com/ö",
        "ftp://idp.example.com",
    ] {
        let built = RemoteAuthProvider::verifier(tokens()).authorization_servers(issuer).build();
        assert_eq!(kinds(built), [Kind::InvalidAuthorizationServer], "{issuer:?}");
    }
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let nobody = RemoteAuthProvider::verifier(tokens()).resource_documentation("docs").build();
    assert_eq!(kinds(nobody), [Kind::MissingAuthorizationServer, Kind::InvalidDocumentation]);
}

#[cfg(all(feature = "jwt", feature = "public-url"))]
mod jwt {
    use std::sync::Arc;

    use super::*;
    use crate::{EndpointPath, JwtVerifier};

    const ISSUER: &str = "https://idp.example.com/";

    fn at(provider: RemoteAuthProvider) -> ProtectedResource {
        let path = EndpointPath::parse("/mcp").unwrap();
        let url = PublicUrl::parse("https://mcp.example.com", path).unwrap();
        Arc::new(provider).at(&url).unwrap()
    }

    #[test]
    fn one_url_gives_a_verifier_for_the_servers_own_url() {
        let resource = at(RemoteAuthProvider::discover(ISSUER).build().unwrap());
        assert_eq!(resource.verifier.audiences(), ["https://mcp.example.com/mcp"]);
        assert_eq!(resource.authorization_servers, [ISSUER]);
        assert_eq!(resource.warnings, Vec::<String>::new());
    }

    #[test]
    fn an_audience_that_is_named_is_the_only_one() {
        let tokens = JwtVerifier::discover(ISSUER).audience("client-id").required_scopes(["read"]);
        let provider = RemoteAuthProvider::jwt(tokens).build().unwrap();
        assert_eq!(provider.summary().required_scopes, Scopes::from_iter(["read"]));
        assert_eq!(at(provider).verifier.audiences(), ["client-id"]);
    }

    #[test]
    fn servers_whose_tokens_would_be_refused_are_warned_of() {
        let sent_to = |issuers: &[&str]| {
            let provider = RemoteAuthProvider::discover(ISSUER);
            let resource = at(provider.authorization_servers(issuers.to_vec()).build().unwrap());
            assert_eq!(resource.authorization_servers, issuers);
            resource.warnings.len()
        };
        assert_eq!(sent_to(&["https://idp.example.com"]), 1, "another slash");
        assert_eq!(sent_to(&["https://other.example.com", ISSUER]), 0);
    }

    #[test]
    fn what_is_wrong_with_the_verifier_is_named_by_the_provider() {
        let tokens = JwtVerifier::discover("idp").required_scopes(["a b"]);
        let built = RemoteAuthProvider::jwt(tokens).build();
        assert_eq!(kinds(built), [Kind::UnusableVerifier, Kind::UnusableVerifier]);
    }
}
