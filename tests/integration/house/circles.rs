//! The files of a service take what they need from each other, and no file needs one
//! that needs it: each can be read, and changed, after those below it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::steps::sources;

#[test]
fn no_file_of_the_relay_needs_one_that_needs_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/relay/src");
    let mut left: BTreeMap<String, BTreeSet<String>> = sources(&src)
        .into_iter()
        .map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, needed(&std::fs::read_to_string(&file).unwrap()))
        })
        .collect();
    assert!(left.len() > 10, "the files are read: {left:?}");
    let lowest = |left: &BTreeMap<String, BTreeSet<String>>| {
        let is_lowest = |needs: &BTreeSet<String>| !needs.iter().any(|one| left.contains_key(one));
        left.iter().find(|(_, needs)| is_lowest(needs)).map(|(name, _)| name.clone())
    };
    while let Some(name) = lowest(&left) {
        left.remove(&name);
    }
    assert_eq!(left, BTreeMap::new(), "these files need each other, or one that does");
}

#[test]
fn what_a_file_needs_is_seen() {
    let code = "use crate::room::{self, Room};\nfn f() { crate::pause::g(); }\nuse crate::Relay;";
    assert_eq!(needed(code), ["Relay", "pause", "room"].map(str::to_owned).into());
}

/// The names behind each `crate::`.
fn needed(code: &str) -> BTreeSet<String> {
    let ends = |char: char| !char.is_alphanumeric() && char != '_';
    let paths = code.split("crate::").skip(1);
    paths.filter_map(|path| path.split(ends).next().map(str::to_owned)).collect()
}
