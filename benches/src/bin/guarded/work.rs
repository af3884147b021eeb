//! What is measured, each piece with the guard and without it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use benches::Result;
use clap::ValueEnum;
use portcullis::guard::{Fetch, FetchRequest, Quota, Workspace, WritableWorkspace};
use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::task::spawn_blocking;

use super::answers::{LARGE, SMALL};

/// At most so many times what it costs without the guard.
const LIMIT: f64 = 1.05;

/// In two folders, as files of people are.
const FOLDER: &str = "notes/2026";
const FEW_BYTES: usize = 4_096;
const MANY_BYTES: usize = 100_000;
/// How many files a folder has that is listed.
const FILES: usize = 100;
/// What a posted value has of text.
const POSTED: usize = 1_000;

pub(super) const WORKS: [Work; 10] = [
    Work::new("GET of a small JSON", Kind::GetSmall),
    Work::new("GET of 100 KB", Kind::GetLarge),
    Work::new("POST of 1 KB of JSON", Kind::Post),
    Work::new("read 4 KB", Kind::Read("notes/2026/few")),
    Work::new("read 100 KB", Kind::Read("notes/2026/many")),
    Work::new("write 4 KB", Kind::Write(FEW_BYTES)),
    Work::new("write 100 KB", Kind::Write(MANY_BYTES)),
    Work::new("metadata of a file in the folder", Kind::Metadata("few")),
    Work::new("metadata of a file two folders down", Kind::Metadata("notes/2026/few")),
    Work::new("list 100 files", Kind::List("listed")),
];

pub(super) struct Work {
    pub(super) name: &'static str,
    pub(super) limit: f64,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    GetSmall,
    GetLarge,
    Post,
    Read(&'static str),
    Write(usize),
    Metadata(&'static str),
    List(&'static str),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Side {
    Guarded,
    Bare,
}

/// What both sides are given.
pub(super) struct Bench {
    fetch: Fetch,
    reqwest: reqwest::Client,
    small: Url,
    large: Url,
    json: serde_json::Value,
    workspace: WritableWorkspace,
    folder: tempfile::TempDir,
}

impl Work {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, limit: LIMIT, kind }
    }

    /// Whether valgrind can count it: it knows no `openat2`, without which files are opened another way.
    pub(super) fn is_counted(&self) -> bool {
        matches!(self.kind, Kind::GetSmall | Kind::GetLarge | Kind::Post)
    }
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Guarded => "guarded",
            Self::Bare => "bare",
        }
    }
}

impl Bench {
    pub(super) fn new(origin: &str) -> Result<Self> {
        // The folder of the build is on a disk; the one for temporary files may be in memory.
        let beside = std::env::current_exe()?;
        let folder = tempfile::tempdir_in(beside.parent().ok_or("it is a file")?)?;
        let inner = folder.path().join(FOLDER);
        fs::create_dir_all(&inner)?;
        for folder in [folder.path(), &inner] {
            fs::write(folder.join("few"), vec![b'x'; FEW_BYTES])?;
        }
        fs::write(inner.join("many"), vec![b'x'; MANY_BYTES])?;
        fs::create_dir(folder.path().join("listed"))?;
        for number in 0..FILES {
            fs::write(folder.path().join(format!("listed/note-{number}.txt")), "x")?;
        }
        // As the guard sets its own, but without its timeouts.
        let reqwest = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .pool_idle_timeout(Duration::from_secs(3));
        let quota = Quota { bytes: u64::MAX, files: u64::MAX };
        Ok(Self {
            fetch: Fetch::builder().allow_loopback().max_body(1024 * 1024).build()?,
            reqwest: reqwest.build()?,
            small: origin.parse::<Url>()?.join(SMALL)?,
            large: origin.parse::<Url>()?.join(LARGE)?,
            json: serde_json::json!({ "text": "x".repeat(POSTED) }),
            workspace: Workspace::open(folder.path())?.writable(quota)?,
            folder,
        })
    }

    pub(super) async fn repeat(&self, work: &Work, side: Side, times: usize) -> Result<()> {
        for _ in 0..times {
            let seen = match side {
                Side::Guarded => self.guarded(work.kind).await?,
                Side::Bare => self.bare(work.kind).await?,
            };
            if seen == 0 {
                return Err(format!("{}: nothing came back", work.name).into());
            }
        }
        Ok(())
    }

    /// Does it, and says how much it saw.
    async fn guarded(&self, kind: Kind) -> Result<usize> {
        Ok(match kind {
            Kind::GetSmall => self.fetch.get(&self.small).await?.body.len(),
            Kind::GetLarge => self.fetch.get(&self.large).await?.body.len(),
            Kind::Post => {
                let request = FetchRequest::post(&self.small).json(&self.json);
                self.fetch.send(request).await?.body.len()
            }
            Kind::Read(path) => self.workspace.files().read(path).await?.len(),
            Kind::Write(bytes) => {
                self.workspace.write("notes/2026/written", vec![b'x'; bytes]).await?;
                bytes
            }
            Kind::Metadata(path) => self.workspace.files().metadata(path).await?.size as usize,
            Kind::List(path) => self.workspace.files().list(path).await?.len(),
        })
    }

    /// The same without the guard. Files are in a thread for what blocks, as in any async function.
    async fn bare(&self, kind: Kind) -> Result<usize> {
        let at = |path: &str| self.folder.path().join(path);
        Ok(match kind {
            Kind::GetSmall => {
                self.reqwest.get(self.small.clone()).send().await?.bytes().await?.len()
            }
            Kind::GetLarge => {
                self.reqwest.get(self.large.clone()).send().await?.bytes().await?.len()
            }
            Kind::Post => {
                let request = self.reqwest.post(self.small.clone());
                let request = request.header("content-type", "application/json");
                let response = request.body(serde_json::to_vec(&self.json)?).send().await?;
                response.bytes().await?.len()
            }
            Kind::Read(path) => {
                let path = at(path);
                spawn_blocking(move || fs::read(path)).await??.len()
            }
            Kind::Write(bytes) => {
                let (folder, content) = (at(FOLDER), vec![b'x'; bytes]);
                spawn_blocking(move || write(&folder, "written", &content)).await??;
                bytes
            }
            Kind::Metadata(path) => {
                let path = at(path);
                spawn_blocking(move || fs::metadata(path)).await??.len() as usize
            }
            Kind::List(path) => {
                let path = at(path);
                spawn_blocking(move || list(&path)).await??.len()
            }
        })
    }
}

/// Writes a file as whoever wants it whole and kept: beside its place, synced, renamed.
fn write(folder: &Path, name: &str, content: &[u8]) -> std::io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let draft: PathBuf = folder.join(format!(".draft-{number:016x}.tmp"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, folder.join(name))?;
    fs::File::open(folder)?.sync_all()
}

/// Names, sizes and times of a folder's files, by name.
fn list(folder: &Path) -> std::io::Result<Vec<(String, u64, SystemTime)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, metadata.len(), metadata.modified()?));
        }
    }
    entries.sort_unstable();
    Ok(entries)
}
