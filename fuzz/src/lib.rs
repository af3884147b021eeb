//! What the targets share.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a reader may take for each byte that it reads. The dearest is an object with one
/// short member: `{"":0}` becomes a node of a B-tree with room for eleven.
const FOR_EACH_BYTE: usize = 256;
/// What it may take beyond that: messages, caches and lists that have room to grow.
const FOR_ITSELF: usize = 64 * 1024;

/// Does `work`, which reads `length` untrusted bytes.
///
/// # Panics
///
/// When it takes more memory at a time than is in proportion to them.
pub fn in_proportion<T>(length: usize, work: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let done = work();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(
        taken <= FOR_ITSELF + length * FOR_EACH_BYTE,
        "{length} bytes took {taken} bytes of memory"
    );
    done
}

/// What `answer` gives without waiting for anything.
///
/// # Panics
///
/// When it has to wait.
pub fn at_once<T>(answer: impl Future<Output = T>) -> T {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("there is nothing to wait for"),
    }
}
