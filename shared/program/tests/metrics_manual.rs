//! docs/metrics.md has a row for each metric of the programs, and no row for any other; no other page names a metric that
//! does not exist.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Names in the sources that begin like a metric, but are none.
const OTHER_NAMES: [&str; 4] = [
    // The prefix of all crates, and one of them.
    "kefu_",
    "kefu_worker",
    // The MsgType of a backend's messages.
    "kefu_send",
    // The MsgType of unreadable pushes.
    "kefu_unreadable",
];

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files below a folder whose names have this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().is_some_and(|name| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found
}

/// The names that follow `mark` in the text, each up to the first character that no metric's name contains; and the text
/// after each name.
fn names<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.match_indices(mark).map(move |(at, _)| {
        let rest = &text[at + mark.len()..];
        rest.split_at(
            rest.find(|character: char| !character.is_ascii_lowercase() && character != '_').unwrap_or(rest.len()),
        )
    })
}

/// Every literal of the programs' sources that is a metric's name.
fn metrics() -> BTreeSet<String> {
    let mut metrics = BTreeSet::new();
    let crates = fs::read_dir(project().join("shared")).unwrap().map(|entry| entry.unwrap().path());
    let programs = ["ingress", "worker", "cli", "simulator"].map(|program| project().join(program));
    for folder in crates.chain(programs) {
        for file in files(&folder.join("src"), ".rs") {
            let source = fs::read_to_string(file).unwrap();
            let literals = names(&source, "\"").filter(|(_, rest)| rest.starts_with('"')).map(|(name, _)| name);
            metrics.extend(literals.filter(|name| name.starts_with("kefu_")).map(str::to_owned));
        }
    }
    metrics.retain(|name| !OTHER_NAMES.contains(&name.as_str()));
    metrics
}

/// Every row of the page's tables.
fn rows() -> Vec<String> {
    let page = fs::read_to_string(project().join("docs/metrics.md")).unwrap();
    names(&page, "\n| `").map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn the_page_has_one_row_for_each_metric_and_no_other() {
    let (metrics, rows) = (metrics(), rows());
    assert!(metrics.len() >= 40, "only {metrics:?} were found in the sources");
    let described: BTreeSet<String> = rows.iter().cloned().collect();
    let lacking: Vec<_> = metrics.difference(&described).collect();
    assert!(lacking.is_empty(), "docs/metrics.md has no row for {lacking:?}");
    let unknown: Vec<_> = described.difference(&metrics).collect();
    assert!(unknown.is_empty(), "docs/metrics.md has rows for what no program counts: {unknown:?}");
    assert_eq!(rows.len(), described.len(), "docs/metrics.md has two rows for one metric: {rows:?}");
}

#[test]
fn no_page_names_a_metric_that_is_not_there() {
    let metrics = metrics();
    let mut pages = files(&project().join("docs"), ".md");
    pages.extend(["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|page| project().join(page)));
    let mut seen = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for service in ["kefu_ingress_", "kefu_worker_", "kefu_rules"] {
            for (rest, follows) in names(&text, service) {
                let name = format!("{service}{rest}");
                // As in `kefu_worker_*`.
                let is_family = follows.starts_with('*');
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
                let is_there = metrics.contains(&name) || base.is_some_and(|base| metrics.contains(base));
                assert!(is_family || is_there, "{} names {name}, which no program counts", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= metrics.len(), "only {seen} names were found");
}
