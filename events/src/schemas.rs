//! The machine-readable side of the contract: JSON Schema (2020-12) of what
//! crosses the broker, and the AsyncAPI 3.0 document that ties it together.
//!
//! They are documents, not code: nothing is validated with them at run time.
//! The tests in `tests/integration/schemas` hold them against real messages,
//! against the names in the code, and against the released baseline.

/// The body of `USER_REGISTERED`.
pub const USER_REGISTERED: &str = include_str!("../schemas/user-registered.v1.json");
/// Its headers.
pub const USER_REGISTERED_HEADERS: &str =
    include_str!("../schemas/user-registered-headers.v1.json");
/// The headers of a dead letter.
pub const DEAD_LETTER_HEADERS: &str = include_str!("../schemas/dead-letter-headers.v1.json");
/// The body of an acknowledgement over the broker.
pub const ACKNOWLEDGEMENT: &str = include_str!("../schemas/acknowledgement.v1.json");
/// The headers of an acknowledgement that was given up.
pub const ACKNOWLEDGEMENT_DEAD_LETTER_HEADERS: &str =
    include_str!("../schemas/acknowledgement-dead-letter-headers.v1.json");
/// The AsyncAPI document.
pub const ASYNCAPI: &str = include_str!("../asyncapi.json");
