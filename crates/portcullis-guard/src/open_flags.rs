//! What a file is opened with, in the numbers of the operating system.

/// `O_NONBLOCK`, which only matters for pipes and devices: a regular file ignores it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const O_NONBLOCK: i32 = 0o4000;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const O_NONBLOCK: i32 = 0x0004;
