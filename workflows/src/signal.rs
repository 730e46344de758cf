//! Reads what a signal brings. A payload that failed to parse in a handler
//! would stop the workflow for good, so that what cannot be read is ignored.

use serde::de::DeserializeOwned;
use temporalio_common::data_converters::RawValue;

/// The signal's payload, if it is what the handler expects.
pub(crate) fn parse<T: DeserializeOwned>(payload: &RawValue) -> Option<T> {
    payload.payloads.first().and_then(|payload| serde_json::from_slice(&payload.data).ok())
}
