//! Whatever the documents name as a proof is a test that runs: `file::function`
//! below `tests/integration`, or `file::` for all of a file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/integration");
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

#[test]
fn every_test_that_a_document_names_exists() {
    let tests = tests();
    let modules: BTreeSet<&str> = tests.iter().filter_map(|test| test.split("::").next()).collect();
    assert!(tests.len() > 300 && modules.contains("kill_points"), "{} tests", tests.len());
    let mut named = 0;
    for document in files(Path::new(DOCS), "md") {
        let text = std::fs::read_to_string(&document).unwrap();
        let of_a_module = |name: &&str| modules.contains(name.split("::").next().unwrap());
        for name in names(&text).filter(of_a_module) {
            named += 1;
            let found = tests.iter().any(|test| is(name, test));
            assert!(found, "{} names the test `{name}`, which is none", document.display());
        }
    }
    assert!(named > 100, "{named} tests are named");
}

/// Every row of the table has a test of its own, or a document that names some.
#[test]
fn every_claim_of_the_architecture_names_what_proves_it() {
    let text = std::fs::read_to_string(Path::new(DOCS).join("architecture.md")).unwrap();
    let (_, rest) = text.split_once("## What proves it").unwrap();
    let (table, _) = rest.split_once("\n## ").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 40, "{} claims", rows.len());
    for row in rows {
        let proof = row.split(" | ").nth(1).unwrap_or_default();
        assert!(names(proof).next().is_some() || proof.contains(".md)"), "{row}");
    }
}

/// The words in code marks that look like the path of a test.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|word| {
        let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
        word.contains("::") && word.chars().all(|char| plain(char) || char == '_' || char == ':')
    })
}

fn is(name: &str, test: &str) -> bool {
    test == name || test.starts_with(&format!("{}::", name.trim_end_matches("::")))
}

/// Every test of the two binaries, by its file.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for file in files(Path::new(TESTS), "rs") {
        let path = file.strip_prefix(TESTS).unwrap().with_extension("");
        let module = path.to_string_lossy().replace('/', "::");
        let text = std::fs::read_to_string(&file).unwrap();
        let mut attribute = false;
        for line in text.lines().map(str::trim) {
            let function = line.trim_start_matches("async ").strip_prefix("fn ");
            if let Some(name) = function.filter(|_| attribute) {
                tests.insert(format!("{module}::{}", name.split('(').next().unwrap()));
            }
            let marked = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            attribute = marked || attribute && line.starts_with("#[");
        }
    }
    tests
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path, extension) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}
