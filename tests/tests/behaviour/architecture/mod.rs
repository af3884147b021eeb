//! The house of ARCHITECTURE.md, enforced: which way imports point between crates and between
//! the modules of each, and how long files are.

mod crates;
mod files;
mod made_up_house;
mod modules;
mod reader;

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
