//! A case for every rule, seen to refuse and to allow.

use serde_json::{Value, json};

use super::Direction;

/// What changes, from what, to what, and whether it breaks.
type Case = (&'static str, Value, Value, bool);

/// As of what we write.
fn breaking(old: &Value, new: &Value) -> Vec<String> {
    super::breaking(old, new, Direction::Read)
}

fn check(cases: Vec<Case>, describe: impl Fn(&Value) -> Value) {
    for (what, old, new, breaks) in cases {
        let found = breaking(&describe(&old), &describe(&new));
        assert_eq!(!found.is_empty(), breaks, "{what}: {found:?}");
        assert_eq!(breaking(&describe(&old), &describe(&old)), Vec::<String>::new(), "{what}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, with a row for every rule")]
fn an_event_may_grow_and_may_not_change() {
    let field = |schema: Value| json!({ "type": "object", "properties": { "a": schema } });
    let text = || json!({ "type": "string" });
    let cases = vec![
        ("a field is removed", field(text()), json!({ "type": "object", "properties": {} }), true),
        (
            "a field is renamed",
            field(text()),
            json!({ "type": "object", "properties": { "b": text() } }),
            true,
        ),
        (
            "a field is added",
            field(text()),
            json!({ "type": "object", "properties": { "a": text(), "b": text() } }),
            false,
        ),
        (
            "a field to rely on is added",
            field(text()),
            json!({ "type": "object", "required": ["b"], "properties": { "a": text(), "b": text() } }),
            false,
        ),
        ("a field is retyped", field(text()), field(json!({ "type": "integer" })), true),
        ("null is allowed", field(text()), field(json!({ "type": ["string", "null"] })), true),
        (
            "null is no longer there",
            field(json!({ "type": ["string", "null"] })),
            field(text()),
            false,
        ),
        ("the type is lifted", field(text()), field(json!({})), true),
        (
            "a required field becomes optional",
            json!({ "type": "object", "required": ["a"], "properties": { "a": text() } }),
            field(text()),
            true,
        ),
        (
            "an optional field becomes required",
            field(text()),
            json!({ "type": "object", "required": ["a"], "properties": { "a": text() } }),
            false,
        ),
        (
            "a value is added",
            field(json!({ "enum": ["x"] })),
            field(json!({ "enum": ["x", "y"] })),
            true,
        ),
        (
            "a value is removed",
            field(json!({ "enum": ["x", "y"] })),
            field(json!({ "enum": ["x"] })),
            false,
        ),
        ("a constant is another", field(json!({ "const": 1 })), field(json!({ "const": 2 })), true),
        ("a constant is lifted", field(json!({ "const": 1 })), field(json!({})), true),
        ("longer texts", field(json!({ "maxLength": 5 })), field(json!({ "maxLength": 6 })), true),
        (
            "shorter texts",
            field(json!({ "maxLength": 6 })),
            field(json!({ "maxLength": 5 })),
            false,
        ),
        ("smaller numbers", field(json!({ "minimum": 1 })), field(json!({ "minimum": 0 })), true),
        (
            "larger numbers only",
            field(json!({ "minimum": 0 })),
            field(json!({ "minimum": 1 })),
            false,
        ),
        ("a bound is lifted", field(json!({ "maxItems": 1 })), field(json!({})), true),
        ("a format is lifted", field(json!({ "format": "uuid" })), field(json!({})), true),
        ("a format is promised", field(json!({})), field(json!({ "format": "uuid" })), false),
        (
            "a format is another",
            field(json!({ "format": "uuid" })),
            field(json!({ "format": "date" })),
            true,
        ),
        (
            "a pattern is another",
            field(json!({ "pattern": "a" })),
            field(json!({ "pattern": "b" })),
            true,
        ),
        (
            "an element is retyped",
            field(json!({ "items": text() })),
            field(json!({ "items": { "type": "null" } })),
            true,
        ),
        (
            "more fields are announced",
            field(json!({ "additionalProperties": false })),
            field(json!({})),
            true,
        ),
        (
            "an alternative is added",
            field(json!({ "oneOf": [text()] })),
            field(json!({ "oneOf": [text(), { "type": "null" }] })),
            true,
        ),
        (
            "an alternative is gone",
            field(json!({ "oneOf": [text(), { "type": "null" }] })),
            field(json!({ "oneOf": [text()] })),
            false,
        ),
        ("a condition is lifted", field(json!({ "allOf": [text()] })), field(json!({})), true),
        (
            "other words",
            field(json!({ "description": "x" })),
            field(json!({ "title": "y", "x-z": 1 })),
            false,
        ),
        ("an unknown keyword", field(json!({})), field(json!({ "unevaluatedItems": false })), true),
        (
            "deeper down",
            field(field(json!({ "type": "string" }))),
            field(field(json!({ "type": "number" }))),
            true,
        ),
    ];
    check(cases, Value::clone);
}

#[test]
fn what_clients_send_stays_good() {
    let body = |schema: &Value| {
        json!({ "openapi": "3.1.0", "paths": { "/x": { "post": { "requestBody": {
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/X" } } },
        }, "responses": {} } } }, "components": { "schemas": { "X": schema } } })
    };
    let field = |schema: Value| json!({ "type": "object", "properties": { "a": schema } });
    let cases = vec![
        ("a required field", json!({}), json!({ "required": ["a"] }), true),
        ("no longer required", json!({ "required": ["a"] }), json!({}), false),
        (
            "an optional field",
            json!({ "properties": {} }),
            json!({ "properties": { "a": { "type": "string" } } }),
            false,
        ),
        (
            "a field is ignored",
            field(json!({})),
            json!({ "type": "object", "properties": {} }),
            true,
        ),
        ("shorter only", field(json!({ "maxLength": 6 })), field(json!({ "maxLength": 5 })), true),
        ("longer too", field(json!({ "maxLength": 5 })), field(json!({ "maxLength": 6 })), false),
        ("a bound", field(json!({})), field(json!({ "minLength": 1 })), true),
        ("one value fewer", field(json!({ "enum": [1, 2] })), field(json!({ "enum": [1] })), true),
        ("one value more", field(json!({ "enum": [1] })), field(json!({ "enum": [1, 2] })), false),
        (
            "one type fewer",
            field(json!({ "type": ["string", "null"] })),
            field(json!({ "type": "string" })),
            true,
        ),
        (
            "one type more",
            field(json!({ "type": "string" })),
            field(json!({ "type": ["string", "null"] })),
            false,
        ),
        ("a pattern", field(json!({})), field(json!({ "pattern": "a" })), true),
        ("no pattern", field(json!({ "pattern": "a" })), field(json!({})), false),
        ("nothing else", json!({}), json!({ "additionalProperties": false }), true),
        ("anything else", json!({ "additionalProperties": false }), json!({}), false),
        (
            "an alternative is gone",
            json!({ "oneOf": [{ "type": "string" }, { "type": "null" }] }),
            json!({ "oneOf": [{ "type": "string" }] }),
            true,
        ),
        (
            "an alternative more",
            json!({ "anyOf": [{ "type": "string" }] }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }),
            false,
        ),
        (
            "another condition",
            json!({ "allOf": [] }),
            json!({ "allOf": [{ "type": "object" }] }),
            true,
        ),
    ];
    check(cases, body);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, with a row for every rule")]
fn what_clients_call_stays_there() {
    let api = |paths: &Value| json!({ "openapi": "3.1.0", "paths": paths });
    let get = |operation: Value| json!({ "/x": { "get": operation } });
    let answer = |response: Value| get(json!({ "responses": { "200": response } }));
    let query = |required: bool, schema: Value| {
        let limit =
            json!({ "name": "limit", "in": "query", "required": required, "schema": schema });
        get(json!({ "parameters": [limit], "responses": {} }))
    };
    let none = || get(json!({ "responses": {} }));
    let json_of =
        |schema: Value| json!({ "content": { "application/json": { "schema": schema } } });
    let cases = vec![
        ("a path is removed", none(), json!({}), true),
        ("a path is added", none(), json!({ "/x": { "get": {} }, "/y": { "get": {} } }), false),
        ("a method is removed", none(), json!({ "/x": { "post": { "responses": {} } } }), true),
        ("a method is added", none(), json!({ "/x": { "get": {}, "post": {} } }), false),
        ("a status is removed", answer(json!({})), none(), true),
        ("a status is added", none(), answer(json!({})), false),
        (
            "a field of an answer is removed",
            answer(json_of(json!({ "properties": { "a": {} } }))),
            answer(json_of(json!({ "properties": {} }))),
            true,
        ),
        (
            "a field of an answer is added",
            answer(json_of(json!({ "properties": {} }))),
            answer(json_of(json!({ "properties": { "a": {} } }))),
            false,
        ),
        (
            "a media type is removed",
            answer(json_of(json!({}))),
            answer(json!({ "content": { "text/plain": {} } })),
            true,
        ),
        (
            "a header is removed",
            answer(json!({ "headers": { "ETag": {} } })),
            answer(json!({})),
            true,
        ),
        (
            "a header is added",
            answer(json!({})),
            answer(json!({ "headers": { "ETag": {} } })),
            false,
        ),
        ("a required parameter", none(), query(true, json!({})), true),
        ("an optional parameter", none(), query(false, json!({})), false),
        ("a parameter is removed", query(false, json!({})), none(), true),
        ("a parameter becomes required", query(false, json!({})), query(true, json!({})), true),
        ("a parameter becomes optional", query(true, json!({})), query(false, json!({})), false),
        (
            "a narrower limit",
            query(false, json!({ "maximum": 100 })),
            query(false, json!({ "maximum": 50 })),
            true,
        ),
        (
            "a wider limit",
            query(false, json!({ "maximum": 50 })),
            query(false, json!({ "maximum": 100 })),
            false,
        ),
        (
            "a sign-in",
            none(),
            get(json!({ "responses": {}, "security": [{ "bearer": [] }] })),
            true,
        ),
        (
            "no sign-in",
            get(json!({ "responses": {}, "security": [{ "bearer": [] }] })),
            none(),
            false,
        ),
        (
            "another sign-in",
            get(json!({ "responses": {}, "security": [{ "bearer": [] }] })),
            get(json!({ "responses": {}, "security": [{ "key": [] }] })),
            true,
        ),
        (
            "a body that must be there",
            none(),
            get(json!({ "responses": {}, "requestBody": { "required": true } })),
            true,
        ),
        (
            "a body that may be there",
            none(),
            get(json!({ "responses": {}, "requestBody": { "required": false } })),
            false,
        ),
        (
            "a body that must be there now",
            get(json!({ "responses": {}, "requestBody": { "required": false } })),
            get(json!({ "responses": {}, "requestBody": { "required": true } })),
            true,
        ),
        (
            "a media type of the body is removed",
            get(json!({ "responses": {}, "requestBody": { "content": { "a/b": {}, "c/d": {} } } })),
            get(json!({ "responses": {}, "requestBody": { "content": { "a/b": {} } } })),
            true,
        ),
    ];
    check(cases, api);
}

/// Both documents are asked for what they call by the same name.
#[test]
fn references_are_followed_in_their_own_document() {
    let of = |schema: Value| json!({ "$ref": "#/$defs/A", "$defs": { "A": { "properties": { "a": schema } } } });
    assert_eq!(
        breaking(&of(json!({ "type": "string" })), &of(json!({ "type": "string" }))),
        [""; 0]
    );
    assert_ne!(breaking(&of(json!({ "type": "string" })), &of(json!({ "type": "null" }))), [""; 0]);
    // A tree of itself comes to an end.
    let tree = |kind: &str| {
        json!({ "$ref": "#/$defs/A", "$defs": { "A": { "type": kind,
            "properties": { "child": { "$ref": "#/$defs/A" } } } } })
    };
    assert_eq!(breaking(&tree("object"), &tree("object")), [""; 0]);
    assert_ne!(breaking(&tree("object"), &tree("string")), [""; 0]);
}
