//! The bodies of the registration workflow's activities, one file each.
//!
//! Every activity may run again at any time: a worker that dies after the work
//! and before the report makes Temporal try again. So each is idempotent, and
//! each error says whether trying again can help.

mod attempt;
mod check_todo_acknowledgement;
mod failure;
mod find_rows;
mod mark_outbox_sent;
mod measured;
mod message;
mod publish_copy;
mod publish_event;
mod publish_user_registered;
mod record_acknowledgement;
mod registration;

pub use measured::METRICS;
pub use registration::RegistrationActivities;
