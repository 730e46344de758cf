//! Reads the fields of a JSON object and collects everything that is wrong
//! with them, so that a client sees all of it in one answer.

use std::borrow::Cow;

use onboard_json::{Object, Twice};

use crate::{FieldError, Kind, Problem};

/// The fields of a body that is being read.
#[derive(Debug)]
pub struct Fields {
    object: Object,
    errors: Vec<FieldError>,
    /// A field that was asked for and is there more than once.
    twice: Option<String>,
}

/// A field as it is in the body.
enum Found {
    Missing,
    Null,
    Text(String),
    Truth(bool),
    Other,
}

impl Fields {
    /// Begins to read.
    #[must_use]
    pub const fn new(object: Object) -> Self {
        Self { object, errors: Vec::new(), twice: None }
    }

    /// Takes a string that must be there.
    pub fn string(&mut self, name: &str) -> Option<String> {
        match self.find(name) {
            Found::Text(text) => return Some(text),
            Found::Missing => self.reject(name, "is missing"),
            Found::Null => self.reject(name, "must not be null"),
            Found::Truth(_) | Found::Other => self.reject(name, "must be a string"),
        }
        None
    }

    /// Takes a string that may be left out, and says whether it is there: no
    /// field is no change.
    pub fn optional_string(&mut self, name: &str) -> Option<String> {
        if let Ok(None) = self.object.find(name) { None } else { self.string(name) }
    }

    /// Takes a truth value that may be left out.
    pub fn optional_bool(&mut self, name: &str) -> Option<bool> {
        match self.find(name) {
            Found::Truth(value) => return Some(value),
            Found::Missing => (),
            Found::Null => self.reject(name, "must not be null"),
            Found::Text(_) | Found::Other => self.reject(name, "must be true or false"),
        }
        None
    }

    fn find(&mut self, name: &str) -> Found {
        let raw = match self.object.find(name) {
            Ok(Some(raw)) => raw.get(),
            Ok(None) => return Found::Missing,
            Err(Twice) => {
                self.twice.get_or_insert_with(|| name.to_owned());
                return Found::Other;
            }
        };
        match raw {
            "null" => Found::Null,
            "true" => Found::Truth(true),
            "false" => Found::Truth(false),
            _ => serde_json::from_str(raw).map_or(Found::Other, Found::Text),
        }
    }

    /// Notes what is wrong with the body as a whole.
    pub fn reject_whole(&mut self, detail: impl Into<Cow<'static, str>>) {
        self.errors.push(FieldError::at("#", detail));
    }

    /// Whether anything was wrong so far.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.errors.is_empty() && self.twice.is_none()
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
    /// 422 with everything that was noted; 400 when a field that was asked for is
    /// there more than once, since nobody can tell which one is meant.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problem> {
        if let Some(name) = self.twice {
            let detail = format!("The body has the member {name} more than once.");
            return Err(Problem::new(Kind::MalformedJson).detail(detail));
        }
        Problem::unless_valid(value, self.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::new(Object::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn all_errors_are_collected_with_their_pointers() {
        let mut fields = fields(r#"{"a": null, "b": 7, "c": "x", "e": "y"}"#);
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
        let mut fields =
            fields(r#"{"a": null, "b": "true", "c": true, "d": "x", "e": {}, "f": "\ud800"}"#);
        assert_eq!((fields.optional_bool("none"), fields.optional_string("none")), (None, None));
        assert_eq!(fields.optional_bool("c"), Some(true));
        assert_eq!(fields.optional_string("d").as_deref(), Some("x"));
        assert!(fields.is_sound());
        assert_eq!((fields.optional_bool("a"), fields.optional_bool("b")), (None, None));
        assert_eq!((fields.optional_string("e"), fields.optional_string("f")), (None, None));
        fields.reject_whole("is wrong");
        assert!(!fields.is_sound());
        let problem = fields.finish(Some(())).unwrap_err();
        let found: Vec<_> =
            problem.errors().iter().map(|e| (e.pointer.as_deref(), &*e.detail)).collect();
        let expected = [
            (Some("#/a"), "must not be null"),
            (Some("#/b"), "must be true or false"),
            (Some("#/e"), "must be a string"),
            (Some("#/f"), "must be a string"),
            (Some("#"), "is wrong"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_good_object_gives_its_value() {
        assert_eq!(Fields::new(Object::default()).finish(Some(1)), Ok(1));
    }

    #[test]
    fn a_field_that_is_asked_for_is_there_once() {
        let body = r#"{"x": 1e400, "x": "\ud800", "a": "1", "b": true, "\u0061": "1"}"#;
        let mut fields = fields(body);
        assert_eq!(fields.optional_bool("b"), Some(true));
        assert!(fields.is_sound());
        assert_eq!(fields.optional_string("a"), None);
        assert!(!fields.is_sound());
        let problem = fields.finish(Some(())).unwrap_err();
        assert_eq!(problem.kind(), Kind::MalformedJson);
    }
}
