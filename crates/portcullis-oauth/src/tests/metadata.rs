//! The metadata of the authorization server, and where it is.

use super::*;

#[tokio::test]
async fn rule_07_08_metadata_is_at_both_addresses_and_names_whole_ones() {
    let site = Site::at("https://mcp.example.com");
    let answer = site.fetch("/.well-known/oauth-authorization-server").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    let expected = json!({
        "issuer": "https://mcp.example.com",
        "authorization_endpoint": "https://mcp.example.com/authorize",
        "token_endpoint": "https://mcp.example.com/token",
        "registration_endpoint": "https://mcp.example.com/register",
        "revocation_endpoint": "https://mcp.example.com/revoke",
        "scopes_supported": ["read", "write"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(site.fetch("/.well-known/openid-configuration").await.json(), expected);
    for member in ["authorization", "token", "registration", "revocation"] {
        let url = expected[format!("{member}_endpoint")].as_str().unwrap();
        let path = url.strip_prefix("https://mcp.example.com").unwrap();
        let endpoints = site.endpoints.endpoints();
        assert!(endpoints.iter().any(|endpoint| endpoint.path == path), "{path}");
    }
}

#[tokio::test]
async fn rule_09_without_scopes_no_document_has_an_empty_member() {
    let site = Site::without_scopes();
    let metadata = site.fetch("/.well-known/oauth-authorization-server").await.json();
    assert!(metadata.get("scopes_supported").is_none(), "{metadata}");
    let body = json!({"redirect_uris": [CALLBACK], "scope": "read", "client_name": ""});
    let registered = site.post_json("/register", &body.to_string()).await.json();
    assert!(registered.get("scope").is_none() && registered.get("client_name").is_none());
}

#[tokio::test]
async fn rfc8414_3_1_the_path_of_an_issuer_goes_behind_the_well_known_segment() {
    let site = Site::at("https://example.com/a/b");
    let endpoints = site.endpoints.endpoints();
    for known in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        for path in [known.to_owned(), format!("{known}/a/b")] {
            assert!(endpoints.iter().any(|endpoint| endpoint.path == path), "{path}");
            let document = site.fetch(&path).await.json();
            assert_eq!(document["issuer"], "https://example.com/a/b");
            assert_eq!(document["token_endpoint"], "https://example.com/a/b/token");
        }
        for other in ["/a", "/a/b/", "/a/b/c", "/b"] {
            let answer = site.fetch(&format!("{known}{other}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{other}");
        }
    }
    let plain = Site::at("https://example.com");
    assert_eq!(plain.endpoints.endpoints().len() + 2, endpoints.len());
}

#[tokio::test]
async fn o17_a_form_of_a_server_below_a_path_is_sent_by_a_page_of_its_origin() {
    let site = Site::at("https://example.com/a/b");
    let client_id = site.register(CALLBACK).await;
    let resource = ("resource", "https://example.com/a/b/mcp");
    let page = site.fetch(&authorize_uri(&client_id, &[resource])).await.form();
    assert!(page.cookie.starts_with("__Host-portcullis-browser!a!b="), "{}", page.cookie);
    for (origin, status) in [
        ("https://example.com", StatusCode::SEE_OTHER),
        ("https://example.com/a/b", StatusCode::FORBIDDEN),
        ("https://evil.example", StatusCode::FORBIDDEN),
    ] {
        let answer = site.answer_form(&page, &[("origin", origin)], "deny", "").await;
        assert_eq!(answer.status, status, "{origin}");
    }
}
