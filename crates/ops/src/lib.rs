//! What operators ask and do: list registrations, show one whole, put work
//! that stands still back into its workflow.
//!
//! Looking changes nothing, not even a topology. Acting goes through the
//! workflow wherever there is one, is recorded before it is done, and may be
//! cut off anywhere and done twice.

pub mod audit;
mod case;
pub mod consumers;
mod databases;
mod error;
mod letters;
mod limit;
mod list;
mod odd;
mod operator;
pub mod redrive;
mod routing;
mod row;
mod rules;
pub mod show;
mod slice;
mod sound;
mod strangers;
mod times;
mod user;

pub use consumers::{Backfilled, Change, ConsumerState, Refusal, Retired, Standing};
pub use databases::{Databases, DatabasesArgs, DatabasesConfig};
pub use error::OperatorError;
pub use letters::LetterSummary;
pub use list::{ListQuery, Listed, Listing};
pub use odd::OddRow;
pub use operator::Operator;
pub use redrive::{Act, Item, Order, Outcome, Report, Selection};
pub use row::Row;
pub use show::{Record, Subject};
pub use strangers::{Stranger, Why};
