//! Compares two descriptions and names what breaks somebody who goes by the
//! old one. What is not named is additive.
//!
//! A description is an OpenAPI 3.1 document, or the JSON Schema of a message. A
//! keyword that is not understood breaks when it changes: the gate errs on the
//! safe side, and then has to learn the keyword.

mod api;
mod schema;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::schema::Comparison;

pub(crate) use self::schema::Direction;

/// What breaks, in words; empty when nothing does. `way` says who writes a message;
/// an OpenAPI document says it itself.
pub(crate) fn breaking(old: &Value, new: &Value, way: Direction) -> Vec<String> {
    if old.get("openapi").is_some() {
        return api::breaking(old, new);
    }
    let mut comparison = Comparison::new(old, new);
    comparison.schema("message", old, new, way);
    comparison.found
}
