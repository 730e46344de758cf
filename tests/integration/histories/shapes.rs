//! The shapes a registration's history can have, as words for its steps.

use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

/// A shape: the file's name and the steps that make it, in this order, others
/// between them.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    steps: &'static [&'static str],
    /// Whether the sketch of the workflow goes this way too.
    pub(super) sketched: bool,
}

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "plain",
        sketched: true,
        steps: &["publish", "mark", "stage", "timer", "acknowledged", "record", "stage", "done"],
    },
    Shape {
        name: "early_acknowledgement",
        sketched: true,
        steps: &["publish", "acknowledged", "mark", "record", "stage", "done"],
    },
    Shape {
        name: "stalled",
        sketched: true,
        steps: &[
            "mark",
            "timer",
            "fired",
            "look",
            "stage",
            "publish",
            "timer",
            "acknowledged",
            "record",
            "done",
        ],
    },
    Shape {
        name: "long_wait",
        sketched: true,
        steps: &[
            "look",
            "stage",
            "publish",
            "look",
            "publish",
            "look",
            "publish",
            "acknowledged",
            "record",
            "done",
        ],
    },
    Shape {
        name: "found_in_inbox",
        sketched: true,
        steps: &["mark", "timer", "fired", "look", "record", "stage", "done"],
    },
    Shape {
        name: "republished",
        sketched: true,
        steps: &[
            "mark",
            "timer",
            "republish",
            "canceled",
            "publish",
            "timer",
            "acknowledged",
            "record",
            "done",
        ],
    },
    Shape {
        name: "overtaken_republish",
        sketched: false,
        steps: &["republish", "publish", "acknowledged", "cancel", "record", "done"],
    },
    Shape {
        name: "continued_first_run",
        sketched: true,
        steps: &["publish", "mark", "timer", "republish", "publish", "continued"],
    },
    Shape {
        name: "continued_second_run",
        sketched: true,
        steps: &["timer", "acknowledged", "record", "stage", "done"],
    },
    Shape {
        name: "failed_at_publish",
        sketched: false,
        steps: &["publish", "failed OutboxRowMissing"],
    },
    Shape {
        name: "failed_at_record",
        sketched: false,
        steps: &["publish", "mark", "record failed", "failed OutboxRowMissing"],
    },
    Shape {
        name: "remote_mark",
        sketched: false,
        steps: &["publish", "mark failed", "mark remote", "record", "done"],
    },
    // With the consumer `crm` beside the todo service.
    Shape {
        name: "two_consumers",
        sketched: false,
        steps: &["publish", "mark", "timer", "acknowledged", "record", "stage", "done"],
    },
    Shape {
        name: "two_consumers_one_stalled",
        sketched: false,
        steps: &["publish", "mark", "fired", "stage", "copy", "record", "done"],
    },
    Shape {
        name: "two_consumers_copied",
        sketched: false,
        steps: &["publish", "copy", "record", "mark", "record", "stage", "done"],
    },
    Shape {
        name: "two_consumers_continued_first_run",
        sketched: false,
        steps: &["publish", "mark", "republish", "copy", "continued"],
    },
    Shape {
        name: "two_consumers_continued_second_run",
        sketched: false,
        steps: &["timer", "acknowledged", "record", "stage", "done"],
    },
];

impl Shape {
    pub(super) fn named(name: &str) -> &'static Self {
        SHAPES.iter().find(|shape| shape.name == name).unwrap()
    }

    pub(super) fn is_shown_by(&self, steps: &[String]) -> bool {
        let mut seen = steps.iter();
        self.steps.iter().all(|step| seen.any(|seen| seen == step))
    }
}

/// What a history tells, without the workflow tasks.
pub(super) fn steps(history: &[HistoryEvent]) -> Vec<String> {
    history.iter().filter_map(|event| step(event.attributes.as_ref()?)).collect()
}

fn step(attributes: &Attributes) -> Option<String> {
    Some(match attributes {
        Attributes::ActivityTaskScheduledEventAttributes(asked) => {
            match word(&asked.activity_type.as_ref()?.name) {
                quick @ ("mark" | "record") => format!("{quick} remote"),
                word => word.to_owned(),
            }
        }
        Attributes::MarkerRecordedEventAttributes(marker) => {
            let Some(data) = marker.details.get("data") else { return Some("patch".to_owned()) };
            let data: serde_json::Value = serde_json::from_slice(&data.payloads[0].data).unwrap();
            let how = if marker.failure.is_some() { " failed" } else { "" };
            format!("{}{how}", word(data["activity_type"].as_str()?))
        }
        Attributes::UpsertWorkflowSearchAttributesEventAttributes(_) => "stage".to_owned(),
        Attributes::TimerStartedEventAttributes(_) => "timer".to_owned(),
        Attributes::TimerFiredEventAttributes(_) => "fired".to_owned(),
        Attributes::TimerCanceledEventAttributes(_) => "canceled".to_owned(),
        Attributes::ActivityTaskCancelRequestedEventAttributes(_) => "cancel".to_owned(),
        Attributes::WorkflowExecutionSignaledEventAttributes(told) => {
            if told.signal_name == "republish" { "republish" } else { "acknowledged" }.to_owned()
        }
        Attributes::WorkflowExecutionCompletedEventAttributes(_) => "done".to_owned(),
        Attributes::WorkflowExecutionContinuedAsNewEventAttributes(_) => "continued".to_owned(),
        Attributes::WorkflowExecutionFailedEventAttributes(failed) => {
            let info = failed.failure.as_ref()?.maybe_application_failure()?;
            format!("failed {}", info.r#type)
        }
        _ => return None,
    })
}

fn word(activity: &str) -> &str {
    match activity {
        "publish_user_registered" => "publish",
        "publish_copy" => "copy",
        "mark_outbox_sent" => "mark",
        "check_todo_acknowledgement" => "look",
        "record_acknowledgement" => "record",
        other => other,
    }
}
