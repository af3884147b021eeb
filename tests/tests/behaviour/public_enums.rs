//! Public enums may grow, or say why they never will.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_tests::driver::root;

/// The sources of the crates that others build on.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// The public enums of a file that are neither `non_exhaustive` nor say why: a match on one
/// outside its crate breaks with each new variant.
fn unsaid(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_enum = |line: &str| line.starts_with("pub enum ");
    let found = (0..lines.len()).filter(|at| is_enum(lines[*at])).filter(|at| {
        let above = lines[..*at].iter().rev();
        let mut above = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
        !above.any(|line| *line == "#[non_exhaustive]" || line.starts_with("/// Exhaustive: "))
    });
    found.map(|at| format!("{}:{}: {}", path.display(), at + 1, lines[at])).collect()
}

#[test]
fn every_public_enum_may_grow_or_says_why_it_does_not() {
    let sources = sources();
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let enums: usize = sources.iter().map(|path| text(path).matches("\npub enum ").count()).sum();
    assert!(enums > 25, "the enums were not found: {enums}");
    let unsaid: Vec<String> = sources.iter().flat_map(|path| unsaid(path)).collect();
    println!("{enums} public enums, {} neither non_exhaustive nor \"Exhaustive: …\"", unsaid.len());
    assert!(
        unsaid.is_empty(),
        "mark as #[non_exhaustive], or say why not in a line `Exhaustive: …`:\n{}",
        unsaid.join("\n")
    );
}
