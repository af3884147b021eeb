//! Section 4: tokens of an identity provider. The server accepts them; it issues none.
//!
//! The keys come from a JWK set (preferred: it follows rotations), a public key, or a secret
//! that is shared, whichever variable is set:
//!
//! ```text
//! export JWT_ISSUER=https://idp.example.com JWT_AUDIENCE=https://mcp.example.com/mcp
//! JWT_JWKS_URI=https://idp.example.com/.well-known/jwks.json cargo run --bin section_04_token_verification
//! JWT_PUBLIC_KEY="$(cat key.pem)" cargo run --bin section_04_token_verification
//! JWT_HMAC_SECRET="$(openssl rand -base64 32)" cargo run --bin section_04_token_verification
//! cargo run --bin section_04_token_verification   # refused: names what is missing
//! ```

use portcullis::prelude::*;

/// What the token says of you.
#[tool]
async fn whoami(caller: Caller) -> Json<Vec<String>> {
    let scopes = caller.scopes().map(str::to_owned);
    Json(caller.subject().map(str::to_owned).into_iter().chain(scopes).collect())
}

/// Delete everything.
#[tool(auth = require_scopes(["admin"]))]
async fn purge() -> &'static str {
    "Purged."
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    Server::builder("secure-server")
        .auth(JwtVerifier::from_env()?)
        .components(components![whoami, purge])
        .build()?
        .run()
        .await
}
