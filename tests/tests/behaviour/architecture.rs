//! The house of ARCHITECTURE.md, enforced: which way imports point, and how long files are.

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_tests::driver::{root, run};
use serde_json::Value;

/// What each crate may use of the others, tests aside.
const ARROWS: [(&str, &[&str]); 9] = [
    ("portcullis-guard", &[]),
    ("portcullis-store", &["portcullis-guard"]),
    ("portcullis-auth", &["portcullis-store", "portcullis-guard"]),
    ("portcullis-oauth", &["portcullis-auth", "portcullis-store", "portcullis-guard"]),
    ("portcullis-protocol", &["portcullis-auth", "portcullis-store", "portcullis-guard"]),
    ("portcullis-macros", &[]),
    (
        "portcullis",
        &[
            "portcullis-macros",
            "portcullis-protocol",
            "portcullis-oauth",
            "portcullis-auth",
            "portcullis-store",
            "portcullis-guard",
        ],
    ),
    ("portcullis-demo", &["portcullis"]),
    ("benches", &["portcullis"]),
];

/// The one crate that may use a dangerous or fast-moving dependency.
const DOORS: [(&str, &str); 10] = [
    ("rmcp", "portcullis-protocol"),
    ("hyper", "portcullis-protocol"),
    ("hyper-util", "portcullis-protocol"),
    ("socket2", "portcullis-protocol"),
    ("jsonwebtoken", "portcullis-auth"),
    ("aws-lc-rs", "portcullis-guard"),
    ("cap-std", "portcullis-guard"),
    ("rustix", "portcullis-guard"),
    ("reqwest", "portcullis-guard"),
    ("jsonschema", "portcullis"),
];

fn packages() -> Vec<(String, Vec<String>)> {
    let metadata = run(Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root()))
    .unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let dependencies =
            package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        let names = dependencies.map(|d| d["name"].as_str().unwrap().to_owned()).collect();
        (package["name"].as_str().unwrap().to_owned(), names)
    });
    packages.filter(|(name, _)| name != "portcullis-tests").collect()
}

#[test]
fn imports_point_one_way() {
    for (package, dependencies) in packages() {
        let allowed = ARROWS
            .iter()
            .find(|(name, _)| *name == package)
            .unwrap_or_else(|| panic!("{package} has no place in the house"))
            .1;
        for own in dependencies.iter().filter(|name| name.starts_with("portcullis")) {
            assert!(allowed.contains(&own.as_str()), "{package} must not use {own}");
        }
    }
}

#[test]
fn each_door_has_one_owner() {
    // The doors are for what is shipped: benches signs the tokens that it sends.
    for (package, dependencies) in packages().into_iter().filter(|(name, _)| name != "benches") {
        for (door, owner) in DOORS {
            assert!(
                package == owner || !dependencies.iter().any(|name| name == door),
                "{package} must not use {door}: it is {owner}'s"
            );
        }
    }
}

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

#[test]
fn files_are_read_in_one_sitting() {
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    sources(&root().join("demo"), &mut files);
    sources(&root().join("benches/src"), &mut files);
    sources(&root().join("benches/peers/src"), &mut files);
    assert!(files.len() > 40, "no files were found");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        let lines = code.lines().filter(is_code).count();
        assert!(
            lines <= 400,
            "{} has {lines} lines of code: it wants to be two files",
            file.display()
        );
    }
}
