use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What the servers of a run leave, in folders beside the programs.
#[derive(Clone, Copy, Debug)]
pub enum KeptFolder {
    /// `target/audit`: a file of records for each server.
    Audit,
    /// `target/logs`: a log for each server.
    Logs,
    /// `target/secrets`: what each test process noted.
    Secrets,
}

impl KeptFolder {
    /// Its name in the folder of programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Logs => "logs",
            Self::Secrets => "secrets",
        }
    }
}

/// A name of this process's own in a folder, which is made if need be.
#[must_use]
pub fn kept_in(folder: KeptFolder, extension: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let test = std::env::current_exe().unwrap();
    let folder = target_of(&test).join(folder.name());
    std::fs::create_dir_all(&folder).unwrap();
    let test = test.file_stem().unwrap().to_str().unwrap();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    folder.join(format!("{test}-{}-{number}.{extension}", std::process::id()))
}

/// The folder that Cargo built `test` in: `target`.
fn target_of(test: &Path) -> &Path {
    let folder = test.parent().expect("a program is in a folder");
    // Tests are one folder deeper than programs.
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    profile.and_then(Path::parent).expect("Cargo built it")
}
