//! The descriptions of messages: true of what crosses the broker, of the names
//! in the code, and of what was released.

mod asyncapi;
mod compare;
pub(crate) mod gate;
mod messages;

use serde_json::Value;

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What is wrong with a document by a schema; formats count.
fn errors(schema: &str, document: &Value) -> Vec<String> {
    let schema = parse(schema);
    let options = jsonschema::options().should_validate_formats(true);
    let validator = options.build(&schema).expect("the schema is a schema");
    validator.iter_errors(document).map(|error| error.to_string()).collect()
}
