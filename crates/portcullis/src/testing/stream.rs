use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, Stream, StreamExt};

/// What a client is told without asking: of [`changes`](super::TestClient::changes) of its lists, or of
/// [`updates`](super::TestClient::updates) of resources.
///
/// It is a `Stream` as well, for a program that has the futures crates.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::testing::TestClient;
/// use portcullis::visibility::{Changed, names};
///
/// #[tool]
/// async fn rotate_keys() -> &'static str {
///     "rotated"
/// }
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder("keys").no_auth().components(components![rotate_keys]).build()?;
/// let mut told = TestClient::new(&server).changes();
/// server.visibility().disable(names(["rotate_keys"]))?;
/// assert_eq!(told.next().await, Some(Changed { tools: true, ..Changed::default() }));
/// # Ok(()) }
/// ```
#[must_use = "it is listened to with `next`"]
pub struct TestStream<T>(BoxStream<'static, T>);

impl<T> TestStream<T> {
    pub(super) fn new(told: impl Stream<Item = T> + Send + 'static) -> Self {
        Self(told.boxed())
    }

    /// Waits for what the client is told next; `None` once nothing more can come.
    pub async fn next(&mut self) -> Option<T> {
        self.0.next().await
    }
}

impl<T> Stream for TestStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for TestStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStream")
    }
}
