//! The largest answer of a component.

use std::io;

use portcullis_protocol::model::Meta;
use serde::Serialize;

use super::{Middleware, Next, Request, Response};
use crate::component::result::Body;
use crate::component::tool_error::ToolError;

/// Lets answers of components be so large, and no larger: what is more is not sent, and the
/// caller is told.
///
/// It measures the JSON of the answer, without what is written around it. Lists are bounded by
/// [`page_size`](crate::ServerBuilder::page_size).
///
/// # Example
///
/// ```
/// use portcullis::middleware::ResponseLimit;
///
/// let limit = ResponseLimit::bytes(256 * 1024);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ResponseLimit {
    bytes: usize,
}

impl ResponseLimit {
    /// At most so many bytes.
    #[must_use]
    pub fn bytes(bytes: usize) -> Self {
        Self { bytes }
    }
}

impl Middleware for ResponseLimit {
    async fn handle<'a>(
        &'a self,
        request: Request<'a>,
        next: Next<'a>,
    ) -> Result<Response<'a>, ToolError> {
        let response = next.run(request).await?;
        let fits = match &response {
            Response::List(_) | Response::Subscribed => true,
            Response::Tool(result) => fits(&result.0, self.bytes),
            Response::Resource(result) => match &result.body {
                Body::Text(text) | Body::Blob(text) => {
                    fit(text, result.meta.as_deref(), self.bytes)
                }
            },
            Response::Prompt(result) => fit(&result.messages, result.meta.as_deref(), self.bytes),
            Response::Completion(completion) => fits(&completion.0, self.bytes),
        };
        match fits {
            true => Ok(response),
            false => {
                let cause = format!("the answer is larger than {} bytes", self.bytes);
                let error = ToolError::new("The answer is too large: ask for less at once.");
                Err(error.with_cause(cause))
            }
        }
    }

    fn validate(&self) -> Result<(), String> {
        match self.bytes {
            0 => Err("the limit is zero: every answer would be refused".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Whether they fit together.
fn fit(value: &impl Serialize, meta: Option<&Meta>, bytes: usize) -> bool {
    match meta {
        Some(meta) => fits(&(value, meta), bytes),
        None => fits(value, bytes),
    }
}

fn fits(value: &impl Serialize, bytes: usize) -> bool {
    serde_json::to_writer(Room(bytes), value).is_ok()
}

/// Takes so many bytes, and keeps none.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_fits_to_the_byte() {
        assert!(fits(&"abc", 5));
        assert!(!fits(&"abc", 4));
        let meta = Meta::from_iter([("k".to_owned(), "v".into())]);
        assert!(fit(&"abc", None, 5) && !fit(&"abc", Some(&meta), 16));
        assert!(fit(&"abc", Some(&meta), 17));
    }
}
