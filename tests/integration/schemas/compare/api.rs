//! Two OpenAPI documents: a client of the old one must be served by the new.

use serde_json::{Map, Value};

use super::schema::{Comparison, Direction, resolve};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

pub(super) fn breaking(old: &Value, new: &Value) -> Vec<String> {
    let mut api = Api { old, new, comparison: Comparison::new(old, new) };
    for (path, before) in members(old, "paths") {
        match new.get("paths").and_then(|paths| paths.get(path)) {
            Some(after) => api.path(path, before, after),
            None => api.comparison.breaks(path, "the path was removed or renamed"),
        }
    }
    api.comparison.found
}

struct Api<'a> {
    old: &'a Value,
    new: &'a Value,
    comparison: Comparison<'a>,
}

impl Api<'_> {
    fn path(&mut self, path: &str, old: &Value, new: &Value) {
        for method in METHODS {
            let place = format!("{} {path}", method.to_uppercase());
            match (old.get(method), new.get(method)) {
                (Some(before), Some(after)) => {
                    self.parameters(&place, (old, before), (new, after));
                    self.request(&place, before, after);
                    self.responses(&place, before, after);
                    self.security(&place, before, after);
                }
                (Some(_), None) => self.comparison.breaks(&place, "the method was removed"),
                (None, _) => (),
            }
        }
    }

    /// Those of the path and of the operation.
    fn parameters(&mut self, place: &str, old: (&Value, &Value), new: (&Value, &Value)) {
        let before = parameters(self.old, [old.0, old.1]);
        let after = parameters(self.new, [new.0, new.1]);
        for parameter in &before {
            let place = format!("{place} {}", name(parameter));
            match after.iter().find(|other| name(other) == name(parameter)) {
                None => self.comparison.breaks(&place, "the parameter was removed"),
                Some(other) => {
                    if is_required(other) && !is_required(parameter) {
                        self.comparison.breaks(&place, "the parameter must be there now");
                    }
                    self.schemas(&place, parameter, other, Direction::Write);
                }
            }
        }
        for parameter in after.iter().filter(|parameter| is_required(parameter)) {
            if !before.iter().any(|other| name(other) == name(parameter)) {
                let place = format!("{place} {}", name(parameter));
                self.comparison.breaks(&place, "a new parameter must be there");
            }
        }
    }

    fn request(&mut self, place: &str, old: &Value, new: &Value) {
        let place = format!("{place} body");
        match (old.get("requestBody"), new.get("requestBody")) {
            (None, None) => (),
            (Some(_), None) => self.comparison.breaks(&place, "the body was removed"),
            (None, Some(after)) => {
                if is_required(resolve(self.new, after)) {
                    self.comparison.breaks(&place, "a body must be there now");
                }
            }
            (Some(before), Some(after)) => {
                let (before, after) = (resolve(self.old, before), resolve(self.new, after));
                if is_required(after) && !is_required(before) {
                    self.comparison.breaks(&place, "the body must be there now");
                }
                let (before, after) = (before.clone(), after.clone());
                self.contents(&place, &before, &after, Direction::Write);
            }
        }
    }

    fn responses(&mut self, place: &str, old: &Value, new: &Value) {
        for (status, before) in members(old, "responses") {
            let place = format!("{place} {status}");
            let Some(after) = new.get("responses").and_then(|all| all.get(status)) else {
                self.comparison.breaks(&place, "the status was removed");
                continue;
            };
            let before = resolve(self.old, before).clone();
            let after = resolve(self.new, after).clone();
            for (header, _) in members(&before, "headers") {
                if after.get("headers").and_then(|headers| headers.get(header)).is_none() {
                    self.comparison.breaks(&place, format!("the header {header} was removed"));
                }
            }
            self.contents(&place, &before, &after, Direction::Read);
        }
    }

    fn contents(&mut self, place: &str, old: &Value, new: &Value, way: Direction) {
        for (media_type, before) in members(old, "content") {
            let place = format!("{place} {media_type}");
            match new.get("content").and_then(|content| content.get(media_type)) {
                Some(after) => self.schemas(&place, before, after, way),
                None => self.comparison.breaks(&place, "the media type was removed"),
            }
        }
    }

    fn schemas(&mut self, place: &str, old: &Value, new: &Value, way: Direction) {
        let anything = Value::Object(Map::new());
        let of = |value: &Value| value.get("schema").unwrap_or(&anything).clone();
        self.comparison.schema(place, &of(old), &of(new), way);
    }

    fn security(&mut self, place: &str, old: &Value, new: &Value) {
        let of = |document: &Value, operation: &Value| {
            let all = operation.get("security").or_else(|| document.get("security"));
            all.and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let (before, after) = (of(self.old, old), of(self.new, new));
        // Each is a way in; none, or an empty one, is an open door.
        let open = |ways: &[Value]| {
            ways.is_empty() || ways.iter().any(|way| way.as_object().is_some_and(Map::is_empty))
        };
        if !open(&after) && (open(&before) || before.iter().any(|way| !after.contains(way))) {
            self.comparison.breaks(place, "asks for another sign-in than it did");
        }
    }
}

fn members<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn parameters(document: &Value, owners: [&Value; 2]) -> Vec<Value> {
    let all = owners.iter().filter_map(|owner| owner.get("parameters")?.as_array()).flatten();
    all.map(|parameter| resolve(document, parameter).clone()).collect()
}

fn name(parameter: &Value) -> String {
    let text = |word: &str| parameter.get(word).and_then(Value::as_str).unwrap_or("?");
    format!("{}:{}", text("in"), text("name"))
}

fn is_required(value: &Value) -> bool {
    value.get("required").and_then(Value::as_bool).unwrap_or_default()
}
