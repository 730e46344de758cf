//! Indexes that hold a list, or have held one, where no sound document has one: MongoDB
//! sorts in memory what it read in their order before.

use onboard_mongo::setup::{Holder, SetupError, Spoiled};
use onboard_ops::Databases;
use onboard_runtime::plain::said;

use crate::{Area, Finding};

const CHECK: &str = "lists in indexes";
const REBUILD: &str = "run `onboard setup --rebuild-indexes` (docs/runbook.md, \"An index has \
                       held a list\")";
const MEND: &str = "mend the field or remove the document, then run `onboard setup \
                    --rebuild-indexes` (docs/runbook.md, \"An index has held a list\")";

/// Whether an index has the mark that a list leaves.
pub(crate) async fn examine(mongo: &Databases) -> Finding {
    judge(mongo.spoiled().await)
}

fn judge(asked: Result<Vec<Spoiled>, SetupError>) -> Finding {
    match asked {
        Err(error) => Finding::not_checked(Area::Mongo, CHECK, said(&error)),
        Ok(spoiled) if spoiled.is_empty() => {
            Finding::ok(Area::Mongo, CHECK, "no index has held one")
        }
        Ok(spoiled) => {
            let found: Vec<String> = spoiled.iter().map(ToString::to_string).collect();
            let gone = spoiled.iter().all(|one| one.holder == Holder::Nobody);
            let advice = if gone { REBUILD } else { MEND };
            Finding::fail(Area::Mongo, CHECK, found.join("; "), advice)
        }
    }
}
