//! Whether the calls of a tool may go on as tasks.

/// Whether the calls of a tool go on as tasks: calls that outlive their requests (SEP-2663).
///
/// It is for clients that declare the extension `io.modelcontextprotocol/tasks`, in 2026-07-28.
///
/// # Example
///
/// ```
/// use portcullis::Tool;
/// use portcullis::component::TaskSupport;
///
/// let report = Tool::new("report").task(TaskSupport::Optional).handler(|_call| async { "the report" });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskSupport {
    /// For clients that take tasks. All others wait for the result, as with any tool.
    Optional,
    /// For all: a client that does not take tasks is refused (-32021).
    Required,
    /// As [`Optional`](Self::Optional), but from where the function calls
    /// [`Context::begin_task`](crate::Context::begin_task): what it asks its client before that, and what
    /// it returns, is an answer to the call.
    WhenBegun,
}
