//! Reads the fields of a JSON object and collects everything that is wrong
//! with them, so that a client sees all of it in one answer.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{FieldError, Problem};

/// The fields of a body that is being read.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Begins to read.
    #[must_use]
    pub const fn new(object: Map<String, Value>) -> Self {
        Self { object, errors: Vec::new() }
    }

    /// Takes a string that must be there.
    pub fn string(&mut self, name: &str) -> Option<String> {
        match self.object.remove(name) {
            Some(Value::String(text)) => return Some(text),
            None => self.reject(name, "is missing"),
            Some(Value::Null) => self.reject(name, "must not be null"),
            Some(_) => self.reject(name, "must be a string"),
        }
        None
    }

    /// Takes a string that may be left out, and says whether it is there: no
    /// field is no change.
    pub fn optional_string(&mut self, name: &str) -> Option<String> {
        if self.object.contains_key(name) { self.string(name) } else { None }
    }

    /// Takes a truth value that may be left out.
    pub fn optional_bool(&mut self, name: &str) -> Option<bool> {
        match self.object.remove(name) {
            Some(Value::Bool(value)) => return Some(value),
            None => (),
            Some(Value::Null) => self.reject(name, "must not be null"),
            Some(_) => self.reject(name, "must be true or false"),
        }
        None
    }

    /// Notes what is wrong with the body as a whole.
    pub fn reject_whole(&mut self, detail: impl Into<Cow<'static, str>>) {
        self.errors.push(FieldError::at("#", detail));
    }

    /// Whether anything was wrong so far.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// Keeps the value; or notes what is wrong with the field.
    pub fn accept<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.reject(name, error.to_string());
                None
            }
        }
    }

    /// Notes what is wrong with a field. The words go to the client; they must
    /// not repeat the value.
    pub fn reject(&mut self, name: &str, detail: impl Into<Cow<'static, str>>) {
        // RFC 6901, section 3.
        let name = name.replace('~', "~0").replace('/', "~1");
        self.errors.push(FieldError::at(format!("#/{name}"), detail));
    }

    /// The value, if nothing was wrong.
    ///
    /// # Errors
    /// 422 with everything that was noted.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problem> {
        Problem::unless_valid(value, self.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_errors_are_collected_with_their_pointers() {
        let Value::Object(object) = json!({"a": null, "b": 7, "c": "x", "e": "y"}) else {
            unreachable!("an object")
        };
        let mut fields = Fields::new(object);
        for name in ["a", "b", "d"] {
            assert_eq!(fields.string(name), None);
        }
        let c = fields.string("c");
        assert_eq!(c.as_deref(), Some("x"));
        let e = fields.string("e").map(|text| text.parse::<u8>());
        assert_eq!(e.and_then(|parsed| fields.accept("e", parsed)), None);
        let problem = fields.finish(c).unwrap_err();
        let found: Vec<_> =
            problem.errors().iter().map(|e| (e.pointer.as_deref().unwrap(), &*e.detail)).collect();
        let expected = [
            ("#/a", "must not be null"),
            ("#/b", "must be a string"),
            ("#/d", "is missing"),
            ("#/e", "invalid digit found in string"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_may_be_left_out_must_be_right_when_it_is_there() {
        let Value::Object(object) = json!({"a": null, "b": "true", "c": true, "d": "x", "e": {}})
        else {
            unreachable!("an object")
        };
        let mut fields = Fields::new(object);
        assert_eq!((fields.optional_bool("none"), fields.optional_string("none")), (None, None));
        assert_eq!(fields.optional_bool("c"), Some(true));
        assert_eq!(fields.optional_string("d").as_deref(), Some("x"));
        assert!(fields.is_sound());
        assert_eq!((fields.optional_bool("a"), fields.optional_bool("b")), (None, None));
        assert_eq!(fields.optional_string("e"), None);
        fields.reject_whole("is wrong");
        assert!(!fields.is_sound());
        let problem = fields.finish(Some(())).unwrap_err();
        let found: Vec<_> =
            problem.errors().iter().map(|e| (e.pointer.as_deref(), &*e.detail)).collect();
        let expected = [
            (Some("#/a"), "must not be null"),
            (Some("#/b"), "must be true or false"),
            (Some("#/e"), "must be a string"),
            (Some("#"), "is wrong"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_good_object_gives_its_value() {
        assert_eq!(Fields::new(Map::new()).finish(Some(1)), Ok(1));
    }
}
