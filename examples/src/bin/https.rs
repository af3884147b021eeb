//! HTTPS without a proxy, for clients that run in a page of another origin (CORS).
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
//!   -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem
//! TLS_CERT=cert.pem TLS_KEY=key.pem PAGE=https://app.example.com cargo run --bin https
//! ```
//!
//! Both files are read again when they change. The page has one origin: to those of all others the server
//! answers 403, before it looks at a token. Clients repeat `region` in the header `Mcp-Param-Region`, so
//! that what stands between may route by it; the server refuses a call whose header says something else.

use portcullis::RunOptions;
use portcullis::guard::Environment;
use portcullis::prelude::*;

/// How much is in stock.
#[tool(auth = require_scopes(["read"]), annotations(read_only))]
async fn stock(
    /// Where
    #[arg(one_of("eu", "us"), header = "Region")]
    region: String,
) -> &'static str {
    if region == "eu" { "12 lamps" } else { "7 lamps" }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    let environment = Environment::process();
    let [cert, key, page] = environment.require(["TLS_CERT", "TLS_KEY", "PAGE"])?;
    let server = Server::builder("stock")
        .auth(tokens)
        // A whole origin: no wildcard, no pattern.
        .allow_origin(page)
        .components(components![stock])
        .build()?;
    // With the feature `tls` of portcullis. At this address nothing else is spoken.
    let options = RunOptions::from_env(&environment)?.http().tls(cert, key);
    Ok(server.run_with(options).await?)
}
