//! What records in a file cost: acknowledged writes, reads, and opening the file.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::Result;
use portcullis::guard::{Clock, SystemClock};
use portcullis::store::{FileStore, RecordKey, RecordValue, Store};

/// Nearly as many as a store holds by default.
const RECORDS: usize = WRITERS * (FILL_EACH + WRITES_EACH);
const WRITERS: usize = 64;
/// Before anything is measured.
const FILL_EACH: usize = 1_062;
const WRITES_EACH: usize = 500;
const READS: usize = 200_000;
const VALUE: [u8; 200] = [7; 200];

/// At least so many acknowledged writes in a second.
const WRITES_LIMIT: f64 = 5_000.0;
/// At most so long for one read, in microseconds.
const READ_LIMIT: f64 = 5.0;
/// At most so long to open the file of a store that was closed, in milliseconds.
const OPEN_LIMIT: f64 = 100.0;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the figures; whether they are within the limits.
async fn run() -> Result<bool> {
    // The folder of the build is on a disk; the one for temporary files may be in memory.
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().ok_or("it is a file")?)?;
    let path = folder.path().join("state/store.redb");
    let open = || FileStore::open(&path, Arc::new(SystemClock));

    let store = Arc::new(open()?);
    write(&store, 0, FILL_EACH).await?;
    let begun = Instant::now();
    write(&store, WRITERS * FILL_EACH, WRITES_EACH).await?;
    let writes = (WRITERS * WRITES_EACH) as f64 / begun.elapsed().as_secs_f64();

    let mut reads = f64::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        for number in 0..READS {
            // A stride, so that one read does not warm the next one's pages.
            let key = key(number * 7_919 % RECORDS);
            store.get(&key).await?.ok_or("it was written")?;
        }
        reads = reads.min(begun.elapsed().as_secs_f64() * 1e6 / READS as f64);
    }
    drop(store);

    let mut opening = f64::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        let store = open()?;
        store.get(&key(0)).await?.ok_or("it was written")?;
        opening = opening.min(begun.elapsed().as_secs_f64() * 1e3);
        // Closing writes, and is not measured.
        drop(store);
    }
    println!("acknowledged writes of {WRITERS} writers: {writes:.0}/s (limit {WRITES_LIMIT})");
    println!("a read: {reads:.2} µs (limit {READ_LIMIT})");
    println!("opening {RECORDS} records and reading one: {opening:.0} ms (limit {OPEN_LIMIT})");
    Ok(writes >= WRITES_LIMIT && reads <= READ_LIMIT && opening <= OPEN_LIMIT)
}

/// Every writer waits for each of its writes, before the next.
async fn write(store: &Arc<FileStore>, begin: usize, each: usize) -> Result<()> {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(store);
        writers.spawn(async move {
            for number in 0..each {
                let key = key(begin + writer * each + number);
                let ends = SystemClock.now() + Duration::from_secs(3_600);
                store.put(&key, RecordValue::new(VALUE)?, ends).await?;
            }
            Ok::<(), portcullis::store::StoreError>(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    Ok(())
}

fn key(number: usize) -> RecordKey {
    RecordKey::new("bench", [&number.to_be_bytes()])
}
