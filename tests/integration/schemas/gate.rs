//! The gate: a description may only grow within its version.
//!
//! What was released lies under `docs/api/v1/`. A description that has changed
//! and breaks nobody is released by `UPDATE_BASELINE=1`, and the change of the
//! baseline is seen in review. One that breaks somebody is refused, with or
//! without it: it belongs into a new version beside the old one.

use std::path::{Path, PathBuf};

use onboard_events::schemas;
use serde_json::{Value, json};

use super::compare::{Direction, breaking};
use super::parse;

/// How to release what was added.
const COMMAND: &str = "UPDATE_BASELINE=1 cargo test -p onboard-tests --test integration";

/// What is to be done about a description.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is what was released.
    Same,
    /// It is to be released.
    Release,
}

/// Holds a description of an API against its baseline.
pub(crate) fn hold_api(name: &str, current: &Value) {
    // Each part of such a document says itself who writes it.
    hold(name, current, Direction::Read);
}

/// Holds a description against its baseline, `docs/api/v1/<name>.json`.
fn hold(name: &str, current: &Value, way: Direction) {
    let file = baseline(name);
    let released = std::fs::read_to_string(&file).ok().map(|text| parse(&text));
    let update = std::env::var_os("UPDATE_BASELINE").is_some_and(|value| value == "1");
    match judge(name, (released.as_ref(), current), way, update) {
        Ok(Verdict::Same) => (),
        Ok(Verdict::Release) => {
            let text = serde_json::to_string_pretty(current).unwrap();
            std::fs::write(&file, format!("{text}\n")).unwrap();
        }
        Err(words) => panic!("{words}"),
    }
}

fn baseline(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api/v1");
    folder.join(format!("{name}.json"))
}

fn judge(
    name: &str,
    (released, current): (Option<&Value>, &Value),
    way: Direction,
    update: bool,
) -> Result<Verdict, String> {
    let Some(released) = released else {
        return if update {
            Ok(Verdict::Release)
        } else {
            Err(format!("docs/api/v1/{name}.json is not there. Release it: {COMMAND}"))
        };
    };
    let broken = breaking(released, current, way);
    if !broken.is_empty() {
        let list = broken.join("\n  - ");
        return Err(format!(
            "{name} breaks who goes by version 1:\n  - {list}\nLeave version 1 as it is and add \
             a new version beside it (docs/adr/0022-descriptions.md). UPDATE_BASELINE does not \
             help."
        ));
    }
    match (released == current, update) {
        (true, _) => Ok(Verdict::Same),
        (false, true) => Ok(Verdict::Release),
        (false, false) => Err(format!(
            "{name} has grown, and breaks nobody. Release it, and commit the changed \
             docs/api/v1/{name}.json: {COMMAND}"
        )),
    }
}

#[test]
fn the_messages_break_nobody() {
    use Direction::{Read, Write};
    for (name, schema, way) in [
        ("user-registered", schemas::USER_REGISTERED, Read),
        ("user-registered-headers", schemas::USER_REGISTERED_HEADERS, Read),
        ("dead-letter-headers", schemas::DEAD_LETTER_HEADERS, Read),
        // Consumers of other programs write it.
        ("acknowledgement", schemas::ACKNOWLEDGEMENT, Write),
        ("acknowledgement-dead-letter-headers", schemas::ACKNOWLEDGEMENT_DEAD_LETTER_HEADERS, Read),
    ] {
        hold(name, &parse(schema), way);
    }
}

#[test]
fn a_change_that_breaks_is_refused_even_when_asked_to_release_it() {
    let released = parse(schemas::USER_REGISTERED);
    let mut renamed = released.clone();
    let payload = renamed["properties"]["payload"]["properties"].as_object_mut().unwrap();
    let id = payload.remove("userId").unwrap();
    payload.insert("accountId".to_owned(), id);
    for update in [false, true] {
        let both = (Some(&released), &renamed);
        let words = judge("user-registered", both, Direction::Read, update).unwrap_err();
        assert!(words.contains("message.payload: `userId` was removed or renamed"), "{words}");
        assert!(words.contains("new version"), "{words}");
    }
}

#[test]
fn a_change_that_adds_asks_to_be_released() {
    let released = parse(schemas::USER_REGISTERED);
    let mut grown = released.clone();
    grown["properties"]["payload"]["properties"]["locale"] = json!({ "type": "string" });
    let judge = |released, update| judge("any", (released, &grown), Direction::Read, update);
    let words = judge(Some(&released), false).unwrap_err();
    assert!(words.contains(COMMAND) && words.contains("breaks nobody"), "{words}");
    assert_eq!(judge(Some(&released), true), Ok(Verdict::Release));
    assert_eq!(judge(Some(&grown), false), Ok(Verdict::Same));
    assert!(judge(None, false).unwrap_err().contains(COMMAND));
    assert_eq!(judge(None, true), Ok(Verdict::Release));
}

/// A consumer that left the `ref` out, or wrote a long one, must not be refused.
#[test]
fn an_acknowledgement_that_was_good_stays_good() {
    let released = parse(schemas::ACKNOWLEDGEMENT);
    let judge = |changed: &Value| {
        judge("acknowledgement", (Some(&released), changed), Direction::Write, true)
    };
    for (place, narrower, wider) in [
        ("/required", json!(["eventId", "consumer", "ref"]), json!(["eventId"])),
        ("/properties/ref/maxLength", json!(100), json!(300)),
        ("/properties/ref/type", json!("string"), json!(["string", "null", "integer"])),
    ] {
        let with = |value: Value| {
            let mut changed = released.clone();
            *changed.pointer_mut(place).unwrap() = value;
            changed
        };
        assert!(judge(&with(narrower)).unwrap_err().contains("new version"), "{place}");
        assert_eq!(judge(&with(wider)), Ok(Verdict::Release), "{place}");
    }
}
