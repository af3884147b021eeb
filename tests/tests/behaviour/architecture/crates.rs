//! Which crate may use which, and what each says of itself.

use std::path::Path;
use std::process::Command;

use portcullis_tests::driver::{root, run};
use serde_json::Value;

/// What each crate may use of the others, tests aside.
const ARROWS: [(&str, &[&str]); 11] = [
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
    ("portcullis-cli", &["portcullis", "portcullis-guard"]),
    ("portcullis-demo", &["portcullis"]),
    ("benches", &["portcullis"]),
    ("portcullis-attributes", &[]),
];

/// The one crate that may use a dangerous or fast-moving dependency.
const DOORS: [(&str, &str); 17] = [
    ("hyper", "portcullis-protocol"),
    ("hyper-util", "portcullis-protocol"),
    ("socket2", "portcullis-protocol"),
    ("tokio-rustls", "portcullis-protocol"),
    ("jsonwebtoken", "portcullis-auth"),
    ("aws-lc-rs", "portcullis-guard"),
    ("hmac-sha256", "portcullis-guard"),
    ("subtle", "portcullis-guard"),
    ("getrandom", "portcullis-guard"),
    ("cap-std", "portcullis-guard"),
    ("rustix", "portcullis-guard"),
    ("reqwest", "portcullis-guard"),
    ("metrics", "portcullis-guard"),
    ("redb", "portcullis-store"),
    ("redis", "portcullis-store"),
    ("rustls", "portcullis-store"),
    ("jsonschema", "portcullis"),
];

/// What nobody but this workspace depends on.
const UNPUBLISHED: [&str; 4] =
    ["benches", "portcullis-attributes", "portcullis-demo", "portcullis-tests"];

pub(super) fn manifests() -> Vec<Value> {
    let metadata = run(Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root()))
    .unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn packages() -> Vec<(String, Vec<String>)> {
    let manifests = manifests();
    let packages = manifests.iter().map(|package| {
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

#[test]
fn published_crates_say_what_they_are() {
    let (published, kept): (Vec<_>, Vec<_>) =
        manifests().into_iter().partition(|package| package["publish"].is_null());
    let mut kept: Vec<_> = kept.iter().map(|package| package["name"].as_str().unwrap()).collect();
    kept.sort_unstable();
    assert_eq!(kept, UNPUBLISHED);
    for package in &published {
        let name = package["name"].as_str().unwrap();
        for field in ["description", "license", "readme", "rust_version"] {
            assert!(package[field].is_string(), "{name} has no {field}");
        }
        let count = |field: &str| package[field].as_array().unwrap().len();
        assert!((1..=5).contains(&count("keywords")), "{name} has {} keywords", count("keywords"));
        assert!((1..=5).contains(&count("categories")), "{name} has no categories, or too many");
        // Crates of one release use each other's hidden items. Those of tests stay behind.
        let exactly = format!("={}", package["version"].as_str().unwrap());
        let dependencies = package["dependencies"].as_array().unwrap();
        for own in dependencies.iter().filter(|d| !d["path"].is_null() && d["kind"] != "dev") {
            assert_eq!(own["req"], *exactly, "{name} on {}", own["name"]);
        }
    }
}

/// Where a text says which Rust is needed.
fn rust_after<'a>(text: &'a str, words: &str) -> &'a str {
    let (_, number) = text.split_once(words).unwrap_or_else(|| panic!("nothing says {words:?}"));
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap();
    number[..end].trim_end_matches('.')
}

#[test]
fn one_rust_is_promised_and_tested() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let (readme, test, toolchain) = (read("README.md"), read("test"), read("rust-toolchain.toml"));
    let rust = rust_after(&readme, "needs Rust ");
    assert_eq!(rust_after(&test, "(Rust "), rust, "./test");
    assert_eq!(rust_after(&toolchain, "channel = \"").rsplit_once('.').unwrap().0, rust);
    for package in manifests() {
        assert_eq!(package["rust_version"], *rust, "{}", package["name"]);
    }
}

#[test]
fn what_is_built_without_a_test_harness_has_no_tests() {
    let mut left_out = 0;
    for package in manifests() {
        for target in package["targets"].as_array().unwrap() {
            if target["test"] == true || target["kind"][0] == "test" {
                continue;
            }
            left_out += 1;
            let source = Path::new(target["src_path"].as_str().unwrap());
            // A library's tests may be in any of its files, and a program's beside it too.
            let folder = match target["kind"][0] == "lib" || source.ends_with("main.rs") {
                true => source.parent().unwrap(),
                false => source,
            };
            let found = Command::new("grep")
                .args(["-rlE", r"#\[(tokio::)?test", "--include=*.rs"])
                .arg(folder)
                .output()
                .unwrap();
            // Status 1 is grep's word for nothing found.
            assert_eq!(found.status.code(), Some(1), "{}", String::from_utf8_lossy(&found.stdout));
        }
    }
    assert!(left_out > 0, "cargo says which targets have a harness");
}
