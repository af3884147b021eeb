//! How long files are, and what they include.

use std::path::Path;

use portcullis_tests::driver::root;

use super::crates::manifests;
use super::sources;

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

#[test]
fn what_a_crate_includes_is_in_its_folder() {
    let mut included = 0;
    for package in manifests().iter().filter(|package| package["publish"].is_null()) {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let mut files = Vec::new();
        sources(&folder.join("src"), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for part in ["include!(", "include_str!(", "include_bytes!("]
                .iter()
                .flat_map(|call| text.split(call).skip(1))
            {
                let path = part.trim_start().strip_prefix('"').unwrap().split('"').next().unwrap();
                let ups = Path::new(path).iter().filter(|step| *step == "..").count();
                let depth = file.strip_prefix(folder).unwrap().iter().count() - 1;
                assert!(ups <= depth, "{} includes {path}", file.display());
                included += 1;
            }
        }
    }
    assert!(included > 0, "nothing was found");
}

#[test]
fn e26_what_needs_random_bytes_and_gets_none_goes_no_further() {
    // References and pseudonyms guard nothing: without random bytes they are zeroes.
    let excepted = ["portcullis-guard/src/random.rs", "portcullis-guard/src/pseudonym.rs"];
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    let mut calls = 0;
    for file in files.iter().filter(|file| !excepted.iter().any(|own| file.ends_with(own))) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for after in code.split("random::bytes").skip(1) {
            let rest = after.split_once("()").unwrap().1.trim_start();
            let fails = rest.starts_with('?') || rest.starts_with(".map_err(");
            assert!(fails, "{}: random::bytes{after:.80}", file.display());
            calls += 1;
        }
    }
    assert!(calls > 10, "no call was found");
}
