//! Each service touches its own collections alone; relay and worker touch the outbox.
//!
//! The sources are read as tokens. A collection is known by its name in a literal, and
//! the code of another service by the name of its library. Comments and test modules do
//! not count.

use std::collections::BTreeSet;
use std::path::Path;

use super::knowledge::{literals, names};
use super::steps::sources;

/// The collection of an outbox and what lies beside it.
const OUTBOX: &str = "outbox";

/// The files that may use the todo service's library: for runs of released builds the
/// worker looks into its database, by its code (docs/adr/0045-asking-the-consumer.md).
const LOOKS_AT_TODO: [&str; 4] = [
    "activities/src/check_todo_acknowledgement.rs",
    "activities/src/registration.rs",
    "services/worker/src/config.rs",
    "services/worker/src/lib.rs",
];

#[test]
fn each_service_touches_its_own_collections_alone() {
    let (of_outbox, of_auth, of_todo) = (of_outbox(), of_auth(), of_todo());
    let accounts = &of_auth - &of_outbox;
    let of_services = &accounts | &of_todo;
    let shells = &["services/relay", "services/worker", "activities"][..];
    for (parts, theirs, library) in [
        (&["services/auth"][..], &of_todo, "onboard_todo"),
        (&["services/todo"][..], &of_auth, "onboard_auth"),
        (shells, &of_services, "onboard_auth"),
        (shells, &of_services, "onboard_todo"),
        (&["crates/outbox"][..], &of_services, "onboard_auth"),
        (&["crates/inbox", "crates/mongo"][..], &of_auth, "onboard_outbox"),
    ] {
        let (read, found) = touched(parts, theirs, library);
        assert!(read > 500, "the sources of {parts:?} are read: {read} names");
        assert_eq!(found, Vec::<String>::new(), "{parts:?} touch what is not theirs");
    }
}

/// Whoever may only insert and find there is enough: docs/security.md gives the rights.
#[test]
fn security_events_are_named_in_one_place_and_never_changed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut naming = BTreeSet::new();
    let all = ["services", "crates"].into_iter().flat_map(|code| sources(&root.join(code)));
    for file in all {
        let code = std::fs::read_to_string(&file).unwrap();
        if code.contains("documents(SECURITY_EVENTS)") || code.contains("\"security_events\"") {
            for change in ["update_", "delete_", "replace_", "find_one_and", "bulk_write"] {
                assert!(!code.contains(change), "{}: {change}", file.display());
            }
            naming.insert(file.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    assert_eq!(naming, ["read.rs", "security_events.rs"].map(str::to_owned).into());
}

#[test]
fn a_collection_and_a_library_of_another_service_are_seen() {
    for (code, seen) in [
        ("fn f() { database.collection(\"todos\"); }", vec!["todos"]),
        ("const INBOX: &str = \"processed_events\";", vec!["processed_events"]),
        ("use onboard_todo::todos::Todos;", vec!["onboard_todo"]),
        ("fn f() { let todos = users(); }", vec![]),
        ("/// todos\nfn f() { say(\"how many todos there are\"); }", vec![]),
        ("#[cfg(test)] mod tests { const A: &str = \"todos\"; }", vec![]),
    ] {
        assert_eq!(of_others(code, &of_todo(), "onboard_todo"), seen, "{code}");
    }
}

fn of_outbox() -> BTreeSet<String> {
    onboard_outbox::collections(OUTBOX, &[]).into_iter().map(|one| one.name).collect()
}

fn of_auth() -> BTreeSet<String> {
    onboard_auth::store::collections(OUTBOX).into_iter().map(|one| one.name).collect()
}

fn of_todo() -> BTreeSet<String> {
    onboard_todo::collections().into_iter().map(|one| one.name).collect()
}

/// How many names the sources hold, and which of them are not theirs.
fn touched(parts: &[&str], theirs: &BTreeSet<String>, library: &str) -> (usize, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut read, mut found) = (0, Vec::new());
    for file in parts.iter().flat_map(|part| sources(&root.join(part).join("src"))) {
        let code = std::fs::read_to_string(&file).unwrap();
        read += names(&code).len();
        let file = file.strip_prefix(root).unwrap().display().to_string();
        if library == "onboard_todo" && LOOKS_AT_TODO.contains(&file.as_str()) {
            continue;
        }
        let of_others = of_others(&code, theirs, library);
        found.extend(of_others.iter().map(|name| format!("{file}: {name}")));
    }
    (read, found)
}

/// The names of these collections and of this library in the code.
fn of_others(code: &str, theirs: &BTreeSet<String>, library: &str) -> Vec<String> {
    let literals = literals(code).into_iter().filter(|text| theirs.contains(text));
    literals.chain(names(code).into_iter().filter(|name| name == library)).collect()
}
