//! Lines that are appended: whole, in order, and on a full disk.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::{Mutex, MutexGuard, mpsc};
use std::thread;
use std::time::Duration;

use super::*;
use crate::delivery::{Output, RETRY};

/// A disk with little space, which counts what is written to it.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<DiskState>>);

#[derive(Default)]
struct DiskState {
    content: Vec<u8>,
    writes: usize,
    free: usize,
}

impl Disk {
    fn with_free(free: usize) -> Self {
        let disk = Self::default();
        disk.state().free = free;
        disk
    }

    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap()
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.state();
        if disk.free == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(disk.free);
        disk.free -= taken;
        disk.writes += 1;
        disk.content.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(disk: &Disk, retry: Duration) -> AppendFile {
    let out = Out { retry, ..Out::new(disk.clone()) };
    AppendFile::start(Path::new(""), out, false).unwrap()
}

fn line(file: &AppendFile, text: &str) -> Result<(), AppendError> {
    file.append(|line| line.write_all(text.as_bytes()))
}

fn folder_with(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    #[expect(clippy::disallowed_methods, reason = "the test lays out files")]
    fs::write(&path, content).unwrap();
    (folder, path)
}

#[expect(clippy::disallowed_methods, reason = "the test reads what was written")]
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn refusal(path: &Path) -> String {
    let AppendError::Unopened { cause, .. } = AppendFile::open(path).unwrap_err() else {
        panic!("not refused at the door")
    };
    cause.to_string()
}

#[test]
fn a_new_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    line(&AppendFile::open(&path).unwrap(), "hello").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read(&path), "hello\n");
}

#[test]
fn a_file_is_appended_to_and_a_torn_line_is_ended_first() {
    for (before, after) in [("one\n", "one\ntwo\n"), ("on", "on\ntwo\n"), ("", "two\n")] {
        let (_folder, path) = folder_with("file", before);
        line(&AppendFile::open(&path).unwrap(), "two").unwrap();
        assert_eq!(read(&path), after);
    }
}

#[test]
fn links_are_refused_and_never_followed() {
    let (folder, target) = folder_with("target", "untouched");
    let (link, dangling) = (folder.path().join("link"), folder.path().join("dangling"));
    symlink(&target, &link).unwrap();
    assert_eq!(refusal(&link), "it is a link");
    symlink(folder.path().join("missing"), &dangling).unwrap();
    assert!(AppendFile::open(&dangling).is_err());
    assert!(!folder.path().join("missing").exists());
    fs::hard_link(&target, folder.path().join("second")).unwrap();
    assert_eq!(refusal(&target), "it has a second hard link");
    assert_eq!(read(&target), "untouched");
}

#[test]
fn only_regular_files_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    assert!(AppendFile::open(folder.path()).is_err());
    assert_eq!(refusal(Path::new("/dev/null")), "it is not a regular file");
    let pipe = folder.path().join("pipe");
    #[expect(clippy::disallowed_methods, reason = "std cannot make a pipe")]
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    assert!(AppendFile::open(&pipe).is_err());
}

#[test]
fn lines_of_several_threads_and_files_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let files = [AppendFile::open(&path).unwrap(), AppendFile::open(&path).unwrap()];
    thread::scope(|scope| {
        for thread in 0..8 {
            let file = &files[thread % 2];
            scope.spawn(move || {
                for number in 0..1_000 {
                    let text = thread.to_string().repeat(number % 90 + 1);
                    line(file, &format!("{thread} {number} {text}")).unwrap();
                }
            });
        }
    });
    drop(files);
    let mut next = [0; 8];
    for line in read(&path).lines() {
        let [thread, number, text] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line:?}")
        };
        let (thread, number): (usize, usize) = (thread.parse().unwrap(), number.parse().unwrap());
        assert_eq!(number, next[thread], "out of order");
        assert_eq!(text, thread.to_string().repeat(number % 90 + 1));
        next[thread] += 1;
    }
    assert_eq!(next, [1_000; 8]);
}

#[test]
fn a_line_is_written_without_being_asked_for() {
    struct Seen(mpsc::Sender<Vec<u8>>);
    impl Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (sender, seen) = mpsc::channel();
    let file = AppendFile::start(Path::new(""), Out::new(Seen(sender)), false).unwrap();
    for text in ["one", "two", "three"] {
        while !file.courier.queue.is_idle() {
            thread::yield_now();
        }
        line(&file, text).unwrap();
        let written = seen.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(written, format!("{text}\n").into_bytes());
    }
}

#[test]
fn lines_that_gather_are_written_with_one_call() {
    let disk = Disk::with_free(1_000);
    let file = start(&disk, RETRY);
    line(&file, "first").unwrap();
    file.flush().unwrap();
    let writes = {
        let held = disk.state();
        (0..10).for_each(|_| line(&file, "gathered").unwrap());
        held.writes
    };
    file.flush().unwrap();
    assert!(disk.state().writes - writes <= 2, "the one under way, and one for the rest");
    assert_eq!(disk.state().content, format!("first\n{}", "gathered\n".repeat(10)).into_bytes());
}

#[test]
fn a_failed_write_refuses_lines_until_it_is_made_good() {
    let disk = Disk::with_free(3);
    let file = start(&disk, Duration::from_millis(1));
    line(&file, "first").unwrap();
    let failed = |result| matches!(result, Err(AppendError::Failed(_)));
    assert!(failed(file.flush()));
    assert!(failed(file.ready()));
    assert!(failed(line(&file, "refused")));
    assert_eq!(disk.state().content, b"fir");

    disk.state().free = 1_000;
    file.courier.queue.recover().unwrap();
    line(&file, "second").unwrap();
    file.flush().unwrap();
    assert_eq!(disk.state().content, b"first\nsecond\n");
}

#[test]
fn what_is_unwritten_is_bounded() {
    let disk = Disk::with_free(usize::MAX);
    let file = start(&disk, RETRY);
    let megabyte = "m".repeat(1024 * 1024 - 1);
    {
        let _held = disk.state();
        (0..8).for_each(|_| line(&file, &megabyte).unwrap());
        assert!(matches!(line(&file, ""), Err(AppendError::Full)));
        assert!(matches!(file.ready(), Err(AppendError::Full)));
    }
    file.flush().unwrap();
    line(&file, "room again").unwrap();
    assert!(matches!(line(&file, &megabyte.repeat(9)), Err(AppendError::Full)));
    file.flush().unwrap();
    assert!(disk.state().content.ends_with(b"m\nroom again\n"));
}

#[test]
fn a_line_that_fails_half_way_leaves_nothing() {
    let disk = Disk::with_free(1_000);
    let file = start(&disk, RETRY);
    let failed = file.append(|line| {
        line.extend_from_slice(b"half");
        Err(io::Error::other("no more"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "the file cannot be written: no more");
    line(&file, "whole").unwrap();
    drop(file);
    assert_eq!(disk.state().content, b"whole\n");
}

#[test]
fn a_panic_ends_the_file_and_never_half_a_line_is_written() {
    let disk = Disk::with_free(1_000);
    let file = start(&disk, RETRY);
    let panics = || {
        file.append(|line| {
            line.extend_from_slice(b"half");
            panic!("while the line is written")
        })
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert!(matches!(file.ready(), Err(AppendError::Ended)));
    assert!(matches!(line(&file, "more"), Err(AppendError::Ended)));
    drop(file);
    assert_eq!(disk.state().content, b"");
}

#[test]
fn a_writer_that_panics_refuses_lines() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("broken")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let file = AppendFile::start(Path::new(""), Out::new(Broken), false).unwrap();
    line(&file, "lost").unwrap();
    assert!(matches!(file.flush(), Err(AppendError::Ended)));
    assert!(matches!(line(&file, "refused"), Err(AppendError::Ended)));
}

#[test]
fn the_end_does_not_wait_for_a_disk_that_stays_full() {
    let disk = Disk::with_free(0);
    let file = start(&disk, Duration::from_secs(3_600));
    line(&file, "lost").unwrap();
    assert!(file.flush().is_err());
    drop(file);
    assert_eq!(Arc::strong_count(&disk.0), 1, "the writer has ended");
}

#[test]
fn a_renamed_file_is_left_and_no_line_is_lost_torn_or_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let file = AppendFile::open(&path).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || {
                (0..5_000).for_each(|number| line(file, &format!("{thread} {number}")).unwrap());
            });
        }
        for rotation in 0..20 {
            fs::rename(&path, folder.path().join(format!("file.{rotation}"))).unwrap();
            file.reopen().unwrap();
            file.flush().unwrap();
        }
    });
    line(&file, "last").unwrap();
    file.flush().unwrap();
    assert!(read(&path).ends_with("last\n"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(file);
    let texts = (0..20).map(|rotation| read(&folder.path().join(format!("file.{rotation}"))));
    let mut lines: Vec<String> = texts
        .chain([read(&path)])
        .inspect(|text| assert!(text.is_empty() || text.ends_with('\n')))
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(lines.pop().as_deref(), Some("last"));
    let mut expected: Vec<String> = (0..4)
        .flat_map(|thread| (0..5_000).map(move |number| format!("{thread} {number}")))
        .collect();
    lines.sort();
    expected.sort();
    assert!(lines == expected, "{} lines", lines.len());
}

/// A file that was deleted takes its space until nobody has it open.
#[test]
#[cfg(target_os = "linux")]
fn an_idle_file_is_left_at_once() {
    let (folder, path) = folder_with("file", "");
    let file = AppendFile::open(&path).unwrap();
    let old = folder.path().join("old");
    fs::rename(&path, &old).unwrap();
    let is_open = || {
        #[expect(clippy::disallowed_methods, reason = "the test looks at what is open")]
        let mut open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        open.any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == old))
    };
    assert!(is_open());
    file.reopen().unwrap();
    for _ in 0..1_000 {
        if !is_open() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("the old file is still open");
}

#[test]
fn a_path_that_cannot_be_opened_again_leaves_the_file_as_it_was() {
    let (folder, path) = folder_with("file", "");
    let file = AppendFile::open(&path).unwrap();
    let old = folder.path().join("old");
    fs::rename(&path, &old).unwrap();
    symlink(&old, &path).unwrap();
    assert!(matches!(file.reopen(), Err(AppendError::Unopened { .. })));
    line(&file, "still here").unwrap();
    file.flush().unwrap();
    assert_eq!(read(&old), "still here\n");
}

#[test]
fn a_torn_line_in_the_reopened_file_is_ended_first() {
    let (folder, path) = folder_with("file", "");
    let file = AppendFile::open(&path).unwrap();
    line(&file, "one").unwrap();
    file.flush().unwrap();
    fs::rename(&path, folder.path().join("old")).unwrap();
    // What another program began to write there.
    let (torn, other) = folder_with("file", "tor");
    fs::rename(other, &path).unwrap();
    drop(torn);
    file.reopen().unwrap();
    line(&file, "two").unwrap();
    file.flush().unwrap();
    assert_eq!(read(&path), "tor\ntwo\n");
}

#[test]
fn a_line_that_failed_half_way_is_whole_in_the_reopened_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let disk = Disk::with_free(10);
    let out = Out { retry: Duration::from_secs(3_600), ..Out::new(disk.clone()) };
    let file = AppendFile::start(&path, out, false).unwrap();
    {
        let _held = disk.state();
        ["first", "second", "third"].iter().for_each(|text| line(&file, text).unwrap());
    }
    assert!(matches!(file.flush(), Err(AppendError::Failed(_))));
    file.reopen().unwrap();
    file.courier.queue.recover().unwrap();
    file.flush().unwrap();
    assert_eq!(disk.state().content, b"first\nseco");
    assert_eq!(read(&path), "second\nthird\n");
}

#[test]
fn a_torn_line_is_ended_first_however_often_that_fails() {
    let disk = Disk::with_free(0);
    disk.state().content.extend_from_slice(b"tor");
    let mut out = Out { is_torn: true, ..Out::new(disk.clone()) };
    for _ in 0..2 {
        assert!(out.write(b"two\n").is_err());
    }
    disk.state().free = 100;
    assert_eq!(out.write(b"two\n").unwrap(), 4);
    assert_eq!(out.write(b"three\n").unwrap(), 6);
    assert_eq!(disk.state().content, b"tor\ntwo\nthree\n");
}
