//! What a file is opened with, in the numbers of the operating system.

use rustix::fs::OFlags;

/// `O_NONBLOCK`, which only matters for pipes and devices: a regular file ignores it.
pub(crate) const O_NONBLOCK: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// `O_NOFOLLOW`: a link at the end of the path is an error.
#[cfg(feature = "files")]
pub(crate) const O_NOFOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// `O_PATH`: the name alone, which asks for no right to the content, and waits for nothing.
#[cfg(all(feature = "files", target_os = "linux"))]
pub(crate) const O_PATH: i32 = OFlags::PATH.bits().cast_signed();
