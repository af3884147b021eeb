//! The certificate of a server that speaks TLS itself.

#[cfg(feature = "tls")]
use portcullis_guard::ErrorChain;
#[cfg(feature = "tls")]
pub(crate) use portcullis_protocol::http::ServerCertificate;

use crate::error::{StartError, StartErrorKind};
use crate::server::run_options::RunOptions;

/// What is never there: TLS is not built in.
#[cfg(not(feature = "tls"))]
pub(crate) enum ServerCertificate {}

/// The certificate that `options` name, if they name one.
pub(crate) fn open(options: &RunOptions) -> Result<Option<ServerCertificate>, StartError> {
    match (&options.tls_cert, &options.tls_key) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => load(chain, key).map(Some),
        (given, _) => {
            let (given, missing) = match given {
                Some(_) => ("certificate", "key: set PORTCULLIS_TLS_KEY"),
                None => ("key", "certificate: set PORTCULLIS_TLS_CERT"),
            };
            let text = format!("a {given} for TLS was given without its {missing}");
            Err(StartError::new(StartErrorKind::InvalidCertificate, text))
        }
    }
}

#[cfg(feature = "tls")]
fn load(chain: &str, key: &str) -> Result<ServerCertificate, StartError> {
    ServerCertificate::open(chain, key).map_err(|error| {
        let text = format!("TLS: {}", ErrorChain::new(&error));
        StartError::new(StartErrorKind::InvalidCertificate, text)
    })
}

/// To serve without would be to serve plain HTTP.
#[cfg(not(feature = "tls"))]
fn load(_: &str, _: &str) -> Result<ServerCertificate, StartError> {
    let text = "TLS is not built in: turn on the feature `tls` of portcullis, or leave out \
                PORTCULLIS_TLS_CERT and PORTCULLIS_TLS_KEY behind a proxy that has the certificate";
    Err(StartError::new(StartErrorKind::TlsNotBuilt, text))
}
