//! Two schemas (JSON Schema 2020-12, as OpenAPI 3.1 uses it).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Schemas may refer to themselves.
const DEPTH_MAX: usize = 24;

/// Who writes the document that the schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// We do, and others read it: it must not hold what it could not hold.
    Read,
    /// Others do, and we read it: what was good must stay good.
    Write,
}

/// Words about a schema that change nothing.
const ANNOTATIONS: [&str; 11] = [
    "$id",
    "$schema",
    "$comment",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];
/// Bounds from above and from below.
const UPPER: [&str; 5] = ["maxLength", "maximum", "maxItems", "maxProperties", "exclusiveMaximum"];
const LOWER: [&str; 5] = ["minLength", "minimum", "minItems", "minProperties", "exclusiveMinimum"];
/// Keywords that are compared below, with those of the bounds.
const COMPARED: [&str; 13] = [
    "$ref",
    "$defs",
    "type",
    "enum",
    "const",
    "required",
    "properties",
    "items",
    "additionalProperties",
    "oneOf",
    "anyOf",
    "allOf",
    "components",
];
/// Keywords that narrow by being there, and that cannot be compared.
const NARROWING: [&str; 3] = ["format", "pattern", "contentEncoding"];

pub(super) struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    depth: usize,
    pub(super) found: Vec<String>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(old: &'a Value, new: &'a Value) -> Self {
        Self { old, new, depth: 0, found: Vec::new() }
    }

    pub(super) fn breaks(&mut self, place: &str, why: impl std::fmt::Display) {
        self.found.push(format!("{place}: {why}"));
    }

    pub(super) fn schema(&mut self, place: &str, old: &Value, new: &Value, way: Direction) {
        let (old, new) = (resolve(self.old, old).clone(), resolve(self.new, new).clone());
        if self.depth == DEPTH_MAX {
            return;
        }
        self.depth += 1;
        match (&old, &new) {
            (Value::Object(old), Value::Object(new)) => self.objects(place, old, new, way),
            (old, new) if old != new => self.breaks(place, "the schema became another"),
            _ => (),
        }
        self.depth -= 1;
    }

    fn objects(
        &mut self,
        place: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        way: Direction,
    ) {
        self.sets(place, "type", types(old).as_ref(), types(new).as_ref(), way);
        self.sets(place, "enum", values(old).as_ref(), values(new).as_ref(), way);
        self.bounds(place, old, new, way);
        self.narrowing(place, old, new, way);
        self.required(place, old, new, way);
        self.properties(place, old, new, way);
        self.nested(place, "items", old, new, way);
        self.nested(place, "additionalProperties", old, new, way);
        for word in ["oneOf", "anyOf", "allOf"] {
            self.alternatives(place, word, old, new, way);
        }
        self.others(place, old, new);
    }

    /// Sets of what is possible; `None` is everything.
    fn sets(
        &mut self,
        place: &str,
        word: &str,
        old: Option<&BTreeSet<String>>,
        new: Option<&BTreeSet<String>>,
        way: Direction,
    ) {
        let within = |inner: Option<&BTreeSet<String>>, outer: Option<&BTreeSet<String>>| match (
            inner, outer,
        ) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(inner), Some(outer)) => inner.is_subset(outer),
        };
        match way {
            Direction::Read if !within(new, old) => {
                self.breaks(place, format!("`{word}` allows more than it did: {old:?} to {new:?}"));
            }
            Direction::Write if !within(old, new) => {
                self.breaks(place, format!("`{word}` allows less than it did: {old:?} to {new:?}"));
            }
            Direction::Read | Direction::Write => (),
        }
    }

    fn bounds(
        &mut self,
        place: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        way: Direction,
    ) {
        for (words, sign) in [(UPPER, 1.0), (LOWER, -1.0)] {
            for word in words {
                let room = |schema: &Map<String, Value>| {
                    schema.get(word).and_then(Value::as_f64).map_or(f64::INFINITY, |at| at * sign)
                };
                let (before, after) = (room(old), room(new));
                let breaks = match way {
                    Direction::Read => after > before,
                    Direction::Write => after < before,
                };
                if breaks {
                    let of = |schema: &Map<String, Value>| schema.get(word).cloned();
                    let change = format!("`{word}` from {:?} to {:?}", of(old), of(new));
                    self.breaks(place, change);
                }
            }
        }
    }

    fn narrowing(
        &mut self,
        place: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        way: Direction,
    ) {
        for word in NARROWING {
            let (before, after) = (old.get(word), new.get(word));
            let additive = match way {
                Direction::Read => before.is_none(),
                Direction::Write => after.is_none(),
            };
            if before != after && !additive {
                self.breaks(place, format!("`{word}` from {before:?} to {after:?}"));
            }
        }
    }

    fn required(
        &mut self,
        place: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        way: Direction,
    ) {
        let (before, after) = (names(old), names(new));
        match way {
            Direction::Read => {
                for name in before.difference(&after) {
                    self.breaks(place, format!("`{name}` may be missing now"));
                }
            }
            Direction::Write => {
                for name in after.difference(&before) {
                    self.breaks(place, format!("`{name}` must be there now"));
                }
            }
        }
    }

    fn properties(
        &mut self,
        place: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        way: Direction,
    ) {
        let empty = Map::new();
        let of = |schema: &'_ Map<String, Value>| {
            schema.get("properties").and_then(Value::as_object).unwrap_or(&empty).clone()
        };
        let after = of(new);
        for (name, before) in of(old) {
            match after.get(&name) {
                Some(after) => self.schema(&format!("{place}.{name}"), &before, after, way),
                None => self.breaks(place, format!("`{name}` was removed or renamed")),
            }
        }
    }

    /// A schema that may be absent, which is "anything".
    fn nested(
        &mut self,
        place: &str,
        word: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        way: Direction,
    ) {
        let anything =
            |value: Option<&Value>| value.is_none_or(|value| *value == Value::Bool(true));
        match (old.get(word), new.get(word)) {
            (before, after) if before == after || (anything(before) && anything(after)) => (),
            (Some(before), Some(after)) => {
                self.schema(&format!("{place}[{word}]"), before, after, way);
            }
            (before, after) => {
                let additive = match way {
                    Direction::Read => anything(before),
                    Direction::Write => anything(after),
                };
                if !additive {
                    self.breaks(place, format!("`{word}` from {before:?} to {after:?}"));
                }
            }
        }
    }

    /// Alternatives keep their places; new ones come last.
    fn alternatives(
        &mut self,
        place: &str,
        word: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        way: Direction,
    ) {
        let of = |schema: &Map<String, Value>| {
            schema.get(word).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let (before, after) = (of(old), of(new));
        for (n, (before, after)) in before.iter().zip(&after).enumerate() {
            self.schema(&format!("{place}[{word} {n}]"), before, after, way);
        }
        if before.len() == after.len() {
            return;
        }
        // Each of `allOf` narrows; each of the others widens, but the first
        // ones, without which anything goes.
        let widens = if word == "allOf" || before.is_empty() || after.is_empty() {
            after.len() < before.len()
        } else {
            after.len() > before.len()
        };
        if widens == (way == Direction::Read) {
            let (before, after) = (before.len(), after.len());
            self.breaks(place, format!("`{word}` had {before} alternatives and has {after}"));
        }
    }

    fn others(&mut self, place: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let words: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for word in words {
            let known = [&ANNOTATIONS[..], &UPPER, &LOWER, &COMPARED, &NARROWING]
                .iter()
                .any(|words| words.contains(&word.as_str()));
            if !known && !word.starts_with("x-") && old.get(word) != new.get(word) {
                self.breaks(place, format!("`{word}` changed, and the gate does not know it"));
            }
        }
    }
}

/// The schema that a reference leads to, in its own document.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEPTH_MAX {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        let pointer = reference.strip_prefix('#').expect("references are local");
        schema = document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
    }
    panic!("references go in circles")
}

fn types(schema: &Map<String, Value>) -> Option<BTreeSet<String>> {
    match schema.get("type")? {
        Value::Array(types) => Some(types.iter().map(ToString::to_string).collect()),
        one => Some([one.to_string()].into()),
    }
}

fn values(schema: &Map<String, Value>) -> Option<BTreeSet<String>> {
    match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => Some(values.iter().map(ToString::to_string).collect()),
        (_, Some(one)) => Some([one.to_string()].into()),
        _ => None,
    }
}

fn names(schema: &Map<String, Value>) -> BTreeSet<String> {
    let required = schema.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}
