//! What the documents say of themselves: links, the manual's pages, and the front of the README.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis_tests::driver::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// All Markdown files that are the repository's own, once.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = entry.file_name();
        let foreign = name == "target" || name == "node_modules" || name == ".git";
        if kind.is_dir() && !foreign {
            documents(&path, found);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The targets of inline links, `](…)`, and of definitions, `[…]: …`, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut code = false;
    for line in text.lines() {
        code ^= line.trim_start().starts_with("```");
        if code {
            continue;
        }
        let inline = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        links.extend(inline.chain(defined.map(|(_, target)| target)).map(str::to_owned));
    }
    links
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut files = Vec::new();
    documents(root(), &mut files);
    let mut checked = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for link in links(&text) {
            let path = link.split('#').next().unwrap();
            // Links within rustdoc are rustdoc's to check.
            if path.is_empty() || path.contains("://") || path.contains("::") {
                continue;
            }
            let target = file.parent().unwrap().join(path);
            assert!(target.exists(), "{}: {link} leads nowhere", file.display());
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} links were found");
}

#[test]
fn links_are_found_in_both_forms_and_not_in_code() {
    let text = "a [b](c.md) and [d][e]\n```\n[f](g.md)\n```\n[e]: h.md\n";
    assert_eq!(links(text), ["c.md", "h.md"]);
}

/// The pages of a folder, without the suffix.
fn pages(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".md").map(str::to_owned)).collect()
}

#[test]
fn every_page_of_the_manual_is_in_rustdoc_and_in_its_table() {
    let mut own = pages("docs/manual");
    let mut mounted = pages("crates/portcullis/manual");
    assert!(mounted.remove("links"), "links within rustdoc have a file of their own");
    // Beside the manual.
    let beside = ["oauth_requirements", "threats"];
    own.extend(beside.map(str::to_owned));
    assert_eq!(own, mounted, "a link in crates/portcullis/manual for each page");
    assert!(own.remove("README"));

    let module = read("crates/portcullis/src/manual.rs");
    let (table, within) =
        (read("docs/manual/README.md"), read("crates/portcullis/manual/links.md"));
    for page in own {
        let link =
            std::fs::canonicalize(root().join(format!("crates/portcullis/manual/{page}.md")));
        let folder = if beside.contains(&page.as_str()) { "docs" } else { "docs/manual" };
        assert_eq!(
            link.unwrap(),
            root().canonicalize().unwrap().join(format!("{folder}/{page}.md"))
        );
        let mounted = format!(
            "#[doc = include_str!(\"../manual/links.md\")]\n\
             #[doc = include_str!(\"../manual/{page}.md\")]\npub mod {page} {{}}"
        );
        assert!(module.contains(&mounted), "{page} is not in manual.rs");
        assert!(table.contains(&format!("][{page}] |")), "{page} is not in the manual's table");
        assert!(within.contains(&format!("[{page}]: crate::manual::{page}\n")), "{page}: links.md");
    }
}

#[test]
fn each_control_has_a_list_an_example_and_a_caveat() {
    for page in [
        "tokens",
        "opaque_tokens",
        "api_keys",
        "access",
        "visibility",
        "routes",
        "arguments",
        "handles",
        "files",
        "commands",
        "outbound",
        "host_and_origin",
        "limits",
        "redis",
        "secrets",
        "keys",
        "sign_in",
        "upstream_tokens",
        "identity_providers",
        "connections",
        "clients",
        "signing_keys",
        "errors",
        "audit",
        "tasks",
    ] {
        let text = read(&format!("docs/manual/{page}.md"));
        assert!(text.contains("\n1. ") && text.contains("\n3. "), "{page} has no numbered list");
        assert!(text.contains("\n```rust\n"), "{page} has no example");
        assert!(text.contains("\n## Deployment caveat\n"), "{page} has no caveat");
    }
}

#[test]
fn the_readme_is_read_in_five_minutes_and_has_every_section_of_the_brief() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 230, "{} lines", readme.lines().count());
    let table = readme.split("## The brief, section by section").nth(1).unwrap();
    for section in 1..=18 {
        let row = table.lines().find(|line| line.starts_with(&format!("| {section}. ")));
        let row = row.unwrap_or_else(|| panic!("section {section} has no row"));
        assert_eq!(row.matches(" | ").count(), 2, "{row}");
        assert!(row.contains("](docs/manual/"), "section {section} has no page");
        let example = row.contains("](examples/src/bin/") || row.contains("| not there |");
        assert!(example, "section {section} has no example");
    }
}

#[test]
fn the_readme_says_of_the_cost_what_the_figures_say() {
    let figures: serde_json::Value = serde_json::from_str(&read("benches/figures.json")).unwrap();
    let requests = figures["requests"].as_array().unwrap().iter();
    let mut ratios: Vec<f64> = requests.map(|request| request["ratio"].as_f64().unwrap()).collect();
    ratios.sort_by(f64::total_cmp);
    let said = format!("{:.2} to {:.2} times the CPU time", ratios[0], ratios[ratios.len() - 1]);
    let readme = read("README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(readme.contains(&said), "the figures say: {said}");
    assert!(read("docs/cost.svg").contains(figures["commit"].as_str().unwrap()));
}

#[test]
fn every_limit_has_a_row_among_the_defaults() {
    let (source, page) =
        (read("crates/portcullis-protocol/src/limits.rs"), read("docs/manual/defaults.md"));
    let (fields, _) = source.split_once("impl Default for Limits").unwrap();
    let fields = fields.lines().filter_map(|line| line.trim().strip_prefix("pub "));
    let fields: Vec<&str> =
        fields.filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    assert!(fields.len() > 15, "no limits were found");
    for field in fields {
        let row = page
            .lines()
            .any(|line| line.starts_with("| ") && line.contains(&format!("`Limits::{field}`")));
        assert!(row, "Limits::{field} has no row in docs/manual/defaults.md");
        assert!(page.contains(&format!("limits.{field}")), "the page does not compile {field}");
    }
}
