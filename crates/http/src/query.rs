//! Reads the parameters of a query and collects everything that is wrong with
//! them, as [`crate::Fields`] does for a body. Unknown parameters are ignored.

use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::{FieldError, Problem};

/// The parameters of a query that is being read.
#[derive(Debug)]
pub struct Query {
    parameters: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::new(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    /// Begins to read.
    #[must_use]
    pub fn new(query: &str) -> Self {
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { parameters, errors: Vec::new() }
    }

    /// Takes a parameter that may be there once.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let mut found = self.parameters.iter().filter(|(given, _)| given == name);
        let (first, second) = (found.next().map(|(_, value)| value.clone()), found.next());
        if second.is_some() {
            self.refuse(name, "must be given once");
            return None;
        }
        first
    }

    /// Takes a whole number within bounds, or the default.
    pub fn number(
        &mut self,
        name: &'static str,
        default: u32,
        bounds: RangeInclusive<u32>,
    ) -> Option<u32> {
        let Some(text) = self.text(name) else { return Some(default) };
        // Digits only: `parse` would take a plus sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && bounds.contains(number));
        if number.is_none() {
            let (low, high) = (bounds.start(), bounds.end());
            self.refuse(name, format!("must be a whole number from {low} to {high}"));
        }
        number
    }

    /// Notes what is wrong with a parameter. The words go to the client; they
    /// must not repeat the value.
    pub fn refuse(&mut self, name: &'static str, detail: impl Into<Cow<'static, str>>) {
        self.errors.push(FieldError::parameter(name, detail));
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

    fn limit(query: &str) -> Result<u32, Vec<FieldError>> {
        let mut query = Query::new(query);
        let limit = query.number("limit", 20, 1..=100);
        query.finish(limit).map_err(|problem| problem.errors().to_vec())
    }

    #[test]
    fn a_number_lies_within_its_bounds() {
        for (query, number) in [
            ("", 20),
            ("limit=1", 1),
            ("limit=100", 100),
            ("limit=%31%30", 10),
            ("other=7&limit=5&constructor=x", 5),
            ("limit=0007", 7),
        ] {
            assert_eq!(limit(query), Ok(number), "{query}");
        }
        let refused = FieldError::parameter("limit", "must be a whole number from 1 to 100");
        for query in [
            "limit=",
            "limit",
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=+5",
            "limit=%2B5",
            "limit=1e1",
            "limit=5.0",
            "limit=ten",
            "limit=99999999999",
            "limit=%ff",
            "limit= 5",
        ] {
            assert_eq!(limit(query), Err(vec![refused.clone()]), "{query}");
        }
    }

    #[test]
    fn a_parameter_is_given_once() {
        let twice = FieldError::parameter("limit", "must be given once");
        assert_eq!(limit("limit=5&limit=5"), Err(vec![twice]));
    }

    #[test]
    fn an_operator_in_brackets_is_another_parameter() {
        let mut query = Query::new("cursor[$gt]=&limit[$ne]=5");
        assert_eq!(query.text("cursor"), None);
        assert_eq!(query.number("limit", 20, 1..=100), Some(20));
    }
}
