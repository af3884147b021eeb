//! Progress and log messages of a running function.

use portcullis_protocol::{LogLevel, Outgoing};
use serde_json::Value;

/// How far a call is, as its client is told.
///
/// # Example
///
/// ```
/// use portcullis::component::Progress;
///
/// let progress = Progress::new(3).total(10).message("Reading the third file");
/// # let _ = progress;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    done: f64,
    total: Option<f64>,
    message: Option<String>,
}

impl Progress {
    /// So much is done: in whatever unit, and more each time.
    #[must_use]
    pub fn new(done: impl ProgressAmount) -> Self {
        Self { done: done.amount(), total: None, message: None }
    }

    /// Of so much, where that is known.
    #[must_use]
    pub fn total(mut self, total: impl ProgressAmount) -> Self {
        self.total = Some(total.amount());
        self
    }

    /// What is going on, for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// What a [`Progress`] counts in: any number of Rust's, but for those of 128 bits.
///
/// From 2^53 on, whole numbers are rounded: JSON has one kind of number.
pub trait ProgressAmount: sealed::Sealed {
    #[doc(hidden)]
    fn amount(self) -> f64;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! amounts {
    ($($number:ty)*: $own:ident => $amount:expr) => {$(
        impl sealed::Sealed for $number {}

        impl ProgressAmount for $number {
            fn amount(self) -> f64 {
                let $own = self;
                $amount
            }
        }
    )*};
}

/// The nearest number: from 2^53 on that is another one.
#[expect(clippy::cast_precision_loss, reason = "how far a call is need not be exact from there on")]
fn nearest(whole: i128) -> f64 {
    whole as f64
}

amounts!(u8 u16 u32 i8 i16 i32 f32: own => f64::from(own));
amounts!(f64: own => own);
amounts!(u64 i64: own => nearest(own.into()));
amounts!(usize: own => nearest(i128::try_from(own).unwrap_or(i128::MAX)));
amounts!(isize: own => nearest(i128::try_from(own).unwrap_or(i128::MIN)));

/// What is told or asked before an answer passes what the answer passes.
pub(crate) trait Examined: Send + Sync {
    /// What may be told of `data`: without known secrets, and nothing where credentials are blocked
    /// and it looks as if it held one.
    fn examine(&self, data: Value) -> Option<Value>;
}

/// Tells `progress`, if the client asked for it.
pub(crate) fn progress(outgoing: &Outgoing, examined: &dyn Examined, progress: Progress) {
    if !outgoing.wants_progress() {
        return;
    }
    let Progress { done, total, message } = progress;
    let message = match message {
        Some(message) => match examined.examine(Value::String(message)) {
            Some(Value::String(message)) => Some(message),
            // That it goes on is no secret.
            Some(_) | None => None,
        },
        None => None,
    };
    outgoing.progress(done, total, message.as_deref());
}

/// Writes `data` to the log of the client, if it asked for this level.
pub(crate) fn log(outgoing: &Outgoing, examined: &dyn Examined, level: LogLevel, data: Value) {
    if !outgoing.wants_log(level) {
        return;
    }
    if let Some(data) = examined.examine(data) {
        outgoing.log(level, None, &data);
    }
}
