//! Documents that somebody else wrote or damaged, by the decoders of the services.
//!
//! Of each collection only so many documents are looked at; the audit looks at all.

use onboard_auth::store::{
    IDEMPOTENCY_KEYS, REFRESH_TOKENS, SECURITY_EVENTS, SESSIONS, SIGNING_KEYS, USERS,
};
use onboard_mongo::StoreError;
use onboard_mongo::scan::Kind;
use onboard_ops::Databases;
use onboard_runtime::plain::said;
use onboard_todo::todos::KIND as TODOS;

use crate::{Area, Finding};

const CHECK: &str = "documents";
/// How many documents of a collection are looked at.
const LOOKED_AT: usize = 20_000;
/// How many documents are named.
const NAMED: usize = 20;
const KINDS: [Kind; 7] =
    [USERS, SESSIONS, REFRESH_TOKENS, SIGNING_KEYS, IDEMPOTENCY_KEYS, SECURITY_EVENTS, TODOS];

/// Whether each document can be read.
pub(crate) async fn examine(mongo: &Databases) -> Finding {
    judge(look(mongo).await)
}

/// How many documents there are that cannot be read, their names, and how many were
/// looked at.
struct Looked {
    read: usize,
    count: usize,
    names: Vec<String>,
}

async fn look(mongo: &Databases) -> Result<Looked, StoreError> {
    let mut looked = Looked { read: 0, count: 0, names: Vec::new() };
    for kind in KINDS {
        let scanned = mongo.scan(kind, LOOKED_AT).await?;
        looked.read += scanned.read;
        looked.count += scanned.count;
        looked.names.extend(scanned.unreadable.iter().map(ToString::to_string));
    }
    Ok(looked)
}

fn judge(looked: Result<Looked, StoreError>) -> Finding {
    match looked {
        Err(error) => Finding::not_checked(Area::Mongo, CHECK, said(&error)),
        Ok(Looked { read, count: 0, .. }) => {
            Finding::ok(Area::Mongo, CHECK, format!("{read} looked at, all can be read"))
        }
        Ok(Looked { count, mut names, .. }) => {
            names.truncate(NAMED);
            if count > names.len() {
                names.push(format!("and {} more", count - names.len()));
            }
            let advice = "they count as absent: mend the field or remove the document \
                          (docs/runbook.md, \"The audit says no\")";
            let found = format!("{count} cannot be read: {}", names.join("; "));
            Finding::warn(Area::Mongo, CHECK, found, advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn a_bounded_number_is_named_and_all_are_counted() {
        let names = (0..100).map(|n| format!("users {n}")).collect();
        let finding = judge(Ok(Looked { read: 200, count: 120, names }));
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.found.starts_with("120 cannot be read: users 0; users 1;"));
        assert!(finding.found.ends_with("users 19; and 100 more"), "{}", finding.found);
        let fine = judge(Ok(Looked { read: 7, count: 0, names: Vec::new() }));
        assert_eq!(
            (fine.verdict, fine.found.as_str()),
            (Verdict::Ok, "7 looked at, all can be read")
        );
    }
}
