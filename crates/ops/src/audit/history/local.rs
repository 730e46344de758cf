//! The marker that a local activity leaves in a history. Its name says only
//! that there was one; which, about what and how it ended is in the details.

use serde::Deserialize;
use temporalio_common::protos::temporal::api::common::v1::Payloads;
use temporalio_common::protos::temporal::api::history::v1::MarkerRecordedEventAttributes;

use super::json;

const MARKER: &str = "core_local_activity";

/// What Temporal's core notes under `data`.
#[derive(Debug, Deserialize)]
struct Data {
    activity_type: String,
    /// There when this is one try of several.
    #[serde(default)]
    backoff: Option<serde_json::Value>,
}

/// The result, when it says that this activity with such an input succeeded.
pub(super) fn result<'a>(
    marker: &'a MarkerRecordedEventAttributes,
    activity: &str,
    about: impl Fn(Option<&Payloads>) -> bool,
) -> Option<&'a Payloads> {
    let is_done = |data: &Data| data.activity_type == activity && data.backoff.is_none();
    let succeeded = marker.marker_name == MARKER
        && marker.failure.is_none()
        && json::<Data>(marker.details.get("data")).as_ref().is_some_and(is_done)
        && about(marker.details.get("input"));
    marker.details.get("result").filter(|_| succeeded)
}

/// Whether a result is nothing, in whichever way it is written.
pub(super) fn is_nothing(result: &Payloads) -> bool {
    let nothing = ["", "null"].map(str::as_bytes);
    result.payloads.iter().all(|payload| nothing.contains(&&*payload.data))
}
