//! What the fuzz targets reach and no user does: built with `--cfg fuzzing` only.

/// The names and values of an `.env` file; or the line in which it is malformed, if it is.
///
/// # Errors
///
/// The number of the line, from one.
pub fn assignments(text: &str) -> Result<Vec<(String, String)>, Option<usize>> {
    super::file::assignments(text).map_err(|flaw| flaw.line)
}
