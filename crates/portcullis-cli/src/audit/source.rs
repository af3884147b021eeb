//! The bytes of an audit file, compressed or not.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use portcullis::guard::AppendedFile;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The most memory that a zstd file may ask for. What its levels 1 to 19 ask for is 8 MiB.
const MAX_WINDOW: u64 = 32 * 1024 * 1024;

/// Begins to read `file`, and counts into `read` how much of it was read. What is compressed is known
/// by its first bytes, whatever it is called.
pub(super) fn open(file: AppendedFile, read: Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
    let mut file = Counted { file, read };
    let mut begin = Vec::with_capacity(ZSTD.len());
    file.by_ref().take(ZSTD.len() as u64).read_to_end(&mut begin)?;
    let (is_gzip, is_zstd) = (begin.starts_with(&GZIP), begin.starts_with(&ZSTD));
    let whole = Cursor::new(begin).chain(file);
    Ok(match (is_gzip, is_zstd) {
        (true, _) => Box::new(MultiGzDecoder::new(BufReader::new(whole))),
        (_, true) => Box::new(Frames::new(BufReader::new(whole))?),
        _ => Box::new(whole),
    })
}

struct Counted {
    file: AppendedFile,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The frames of a zstd file, one behind the other, as appending to one makes them.
struct Frames<R: BufRead>(Option<StreamingDecoder<R, FrameDecoder>>);

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> io::Result<Self> {
        let decoder = StreamingDecoder::new_with_max_window_size(source, MAX_WINDOW);
        Ok(Self(Some(decoder.map_err(io::Error::other)?)))
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(decoder) = &mut self.0 else { return Ok(0) };
            let read = decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() || decoder.get_mut().fill_buf()?.is_empty() {
                return Ok(read);
            }
            let Some((source, frame)) = self.0.take().map(StreamingDecoder::into_parts) else {
                return Ok(0);
            };
            let next = StreamingDecoder::new_with_decoder(source, frame);
            self.0 = Some(next.map_err(io::Error::other)?);
        }
    }
}
