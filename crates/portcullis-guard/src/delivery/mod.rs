//! Lines that wait in memory until a thread of its own has delivered them.

mod queue;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub(crate) use queue::{Output, Queue};

/// How long a failed delivery rests before it is tried again, unless it says otherwise.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// The most bytes that wait to be delivered: 8 MiB.
pub const MAX_WAITING: u64 = 8 * 1024 * 1024;

/// Somewhere lines go: a server that may be away for a while.
pub trait Delivery: Send + 'static {
    /// Delivers the first of `lines`, as many as it likes, and says how many bytes they are. Each ends
    /// with a line feed; there is at least one. It may block, for seconds at most. Lines that nobody will
    /// ever take count as delivered; it is for the delivery to say so.
    ///
    /// [`Interrupted`](io::ErrorKind::Interrupted) is no failure: the same lines come again at once.
    ///
    /// # Errors
    ///
    /// When none of them is delivered. The same lines come again after the
    /// [pause](Self::pause).
    fn deliver(&mut self, lines: &[u8]) -> io::Result<usize>;

    /// How long the lines rest after a failure. Default: one second.
    fn pause(&self) -> Duration {
        RETRY
    }

    /// How long lines gather before they are delivered together, unless they are many or somebody waits for
    /// them: so long, what waits is lost if the process is killed. Default: 5 ms.
    fn gathers(&self) -> Duration {
        queue::PAUSE
    }

    /// What the log calls it, without secrets.
    fn name(&self) -> String;
}

/// Lines on their way to a [`Delivery`], in the order of the calls.
///
/// 1. [`push`](Self::push) puts a line in memory; a thread delivers it.
/// 2. While deliveries fail, lines wait and the same ones are tried again: none is dropped, and none
///    overtakes another. [`ready`](Self::ready) says that a delivery has failed.
/// 3. Lines are refused when more than 8 MiB wait.
///
/// **Deployment caveat.** What waits is lost with the process. At the end of a program it is
/// delivered for five seconds at most; the log says how many lines were not.
///
/// # Example
///
/// ```
/// use std::io::{self, Write};
/// use std::sync::mpsc;
/// use portcullis_guard::delivery::{Deliveries, Delivery};
///
/// struct Letters(mpsc::Sender<Vec<u8>>);
///
/// impl Delivery for Letters {
///     fn deliver(&mut self, lines: &[u8]) -> io::Result<usize> {
///         self.0.send(lines.to_vec()).map_err(io::Error::other)?;
///         Ok(lines.len())
///     }
///
///     fn name(&self) -> String {
///         "a letter box".to_owned()
///     }
/// }
///
/// let (sender, letters) = mpsc::channel();
/// let deliveries = Deliveries::start(Letters(sender))?;
/// deliveries.push(|line| write!(line, "hello"))?;
/// deliveries.flush()?;
/// assert_eq!(letters.recv()?, b"hello\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Deliveries(Courier<Infallible>);

impl Deliveries {
    /// Starts the thread that delivers.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub fn start(delivery: impl Delivery) -> io::Result<Self> {
        Courier::start(Retried { delivery, is_failing: false }, b"").map(Self)
    }

    /// Takes one line: what `write` appends to the vector, and a line feed. What it appends holds none.
    ///
    /// The vector may hold other lines already.
    ///
    /// # Errors
    ///
    /// When the line will not be delivered: `write` failed, or too much waits. A panic in `write` ends
    /// the deliveries for good.
    pub fn push(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), DeliveryError> {
        self.0.queue.append(write)
    }

    /// Whether a line would be taken, and the last delivery was made.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn ready(&self) -> Result<(), DeliveryError> {
        self.0.queue.ready()
    }

    /// Waits until every line that was taken before is delivered, for five seconds at most.
    ///
    /// # Errors
    ///
    /// When the time is over. Delivering the lines is still tried.
    pub fn flush(&self) -> Result<(), DeliveryError> {
        self.0.queue.flush()
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").field("ready", &self.ready().is_ok()).finish_non_exhaustive()
    }
}

/// Why a line was not taken, or is not delivered.
///
/// Exhaustive: whoever hands lines on gives each cause a text of its own.
#[derive(Clone, Debug)]
pub enum DeliveryError {
    /// The thread has ended, since something panicked.
    Ended,
    /// The last delivery failed, or the line could not be written to memory.
    Failed(Arc<io::Error>),
    /// More than 8 MiB wait.
    Full,
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the thread that delivers has ended"),
            Self::Failed(cause) => write!(f, "the last delivery failed: {cause}"),
            Self::Full => write!(f, "more than {MAX_WAITING} bytes wait to be delivered"),
        }
    }
}

impl std::error::Error for DeliveryError {}

/// A queue, and the thread that empties it.
pub(crate) struct Courier<N> {
    pub(crate) queue: Arc<Queue<N>>,
    thread: Option<JoinHandle<()>>,
}

impl<N: Send + 'static> Courier<N> {
    /// Starts the thread, which writes `first` before any line.
    pub(crate) fn start<O: Output<Next = N>>(out: O, first: &[u8]) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(first, O::REFUSES_WHILE_FAILING));
        let thread = thread::Builder::new().name(O::THREAD.to_owned()).spawn({
            let queue = queue.clone();
            move || queue.write_to(out)
        })?;
        Ok(Self { queue, thread: Some(thread) })
    }
}

/// Delivers what is left, for five seconds at most.
impl<N> Drop for Courier<N> {
    fn drop(&mut self) {
        let ended = self.queue.close();
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            // It only fails if the thread panicked, which has ended the queue before.
            drop(thread.join());
        }
    }
}

/// A delivery whose lines wait while it fails. The log is told.
struct Retried<D> {
    delivery: D,
    is_failing: bool,
}

impl<D: Delivery> Output for Retried<D> {
    type Next = Infallible;
    const THREAD: &'static str = "portcullis-deliver";
    const REFUSES_WHILE_FAILING: bool = false;

    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let delivered = self.delivery.deliver(lines);
        match &delivered {
            Ok(_) if self.is_failing => {
                self.is_failing = false;
                tracing::error!(to = self.name(), "lines are delivered again");
            }
            Err(error) if !self.is_failing && error.kind() != io::ErrorKind::Interrupted => {
                self.is_failing = true;
                tracing::error!(to = self.name(), %error, "lines cannot be delivered, and wait");
            }
            Ok(_) | Err(_) => {}
        }
        delivered
    }

    fn go_on_in(&mut self, next: Infallible) {
        match next {}
    }

    fn pause(&self) -> Duration {
        self.delivery.pause()
    }

    fn gathers(&self) -> Duration {
        self.delivery.gathers()
    }

    fn name(&self) -> String {
        self.delivery.name()
    }
}

#[cfg(test)]
mod tests;
