//! MongoDB: what the transactions, the relay and the retention stand on.

use std::time::Duration;

use onboard_mongo::inspect::{Facts, inspect};
use onboard_mongo::setup::hello;
use onboard_ops::{Databases, DatabasesConfig};
use onboard_runtime::plain::said;
use onboard_runtime::{Environment, Problems};

use crate::finding::REACHABLE;
use crate::{Area, Finding, Patient, clock, documents, indexes, judge_version};

const AREA: Area = Area::Mongo;
/// The oldest line whose transactions, validators and time-outs are those the
/// store counts on.
const LEAST: (u32, u32) = (6, 0);
/// What `docker-compose.yml` runs. The tests run 6.0, which gets no fixes any more.
const CURRENT: (u32, u32) = (7, 0);
const OPLOG_MIN: Duration = Duration::from_hours(24);
const SETUP: &str = "run `onboard setup`; it is safe to repeat";

/// The findings, and how old the oldest unfinished registration is.
pub(crate) async fn examine(patient: &Patient) -> (Vec<Finding>, Option<Duration>) {
    let asked = async {
        let mongo = Databases::new(&patient.mongo).await?;
        inspect(mongo.of_auth()).await.map(|facts| (mongo, facts))
    };
    match asked.await {
        Ok((mongo, facts)) => {
            let mut findings = vec![Finding::ok(AREA, REACHABLE, "a primary answers")];
            findings.extend(judge(&facts, patient.environment));
            findings.push(connection_string(&patient.mongo));
            findings.push(prepared(&mongo).await);
            findings.push(indexes::examine(&mongo).await);
            findings.push(documents::examine(&mongo).await);
            (findings, oldest(&mongo).await)
        }
        Err(error) => (vec![away(&patient.mongo, &said(&error)).await], None),
    }
}

/// A server that runs without a replica set answers, and is of no use.
async fn away(config: &DatabasesConfig, cause: &str) -> Finding {
    match hello(&config.outbox.mongo).await {
        Ok(hello) if !hello.contains_key("setName") => Finding::fail(
            AREA,
            "replica set",
            "it runs without one, and transactions need one",
            "start mongod with --replSet rs0, add replicaSet=rs0 to MONGODB_URI, then run \
             `onboard setup`",
        ),
        Ok(_) => Finding::fail(AREA, REACHABLE, cause, "find out why the set has no primary"),
        Err(_) => Finding::fail(
            AREA,
            REACHABLE,
            cause,
            "start MongoDB, or mend MONGODB_URI or the network",
        ),
    }
}

fn judge(facts: &Facts, environment: Environment) -> Vec<Finding> {
    vec![
        judge_version(AREA, &facts.version, LEAST, CURRENT),
        voters(facts.voters, environment),
        write_concern(facts.write_concern.as_deref()),
        oplog(facts.oplog),
        clock(AREA, facts.clock_ahead_ms),
    ]
}

fn voters(voters: Option<usize>, environment: Environment) -> Finding {
    const CHECK: &str = "replica set";
    let advice = "run three voting members: one alone loses everything with its disk";
    match voters {
        None => Finding::not_checked(AREA, CHECK, "the user may not read the set's configuration"),
        Some(voters) if voters < 3 && environment.is_production() => {
            Finding::warn(AREA, CHECK, format!("{voters} voting member(s)"), advice)
        }
        Some(voters) => Finding::ok(AREA, CHECK, format!("{voters} voting member(s)")),
    }
}

fn write_concern(found: Option<&str>) -> Finding {
    const CHECK: &str = "default write concern";
    match found {
        Some("majority") => Finding::ok(AREA, CHECK, "majority"),
        None => Finding::not_checked(AREA, CHECK, "the server does not say"),
        Some(other) => Finding::warn(
            AREA,
            CHECK,
            format!("w: {other}"),
            "set it to majority (setDefaultRWConcern): the services ask for it themselves, a \
             restore or a repair by hand does not",
        ),
    }
}

fn oplog(found: Option<Duration>) -> Finding {
    const CHECK: &str = "oplog window";
    match found {
        None => Finding::not_checked(AREA, CHECK, "the user may not read local.oplog.rs"),
        Some(window) => {
            let hours = window.as_secs() / 3_600;
            let found = format!("{hours} h");
            if window >= OPLOG_MIN {
                return Finding::ok(AREA, CHECK, found);
            }
            let advice = "on a set older than a day: enlarge it (replSetResizeOplog), or a member \
                          that was away for longer must copy everything";
            Finding::warn(AREA, CHECK, found, advice)
        }
    }
}

fn connection_string(config: &DatabasesConfig) -> Finding {
    const CHECK: &str = "connection string";
    let mut problems = Problems::default();
    config.refuse_in_production(&mut problems);
    match problems.finish(Some(())) {
        Ok(()) => Finding::ok(AREA, CHECK, "asks for nothing that can lose data"),
        Err(error) => {
            let found = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            Finding::fail(AREA, CHECK, found, "take the option out of MONGODB_URI")
        }
    }
}

async fn prepared(mongo: &Databases) -> Finding {
    const CHECK: &str = "collections and indexes";
    match mongo.lacking().await {
        Ok(lacking) if lacking.is_empty() => {
            Finding::ok(AREA, CHECK, "as `onboard setup` makes them")
        }
        Ok(lacking) => Finding::fail(AREA, CHECK, lacking.join("; "), SETUP),
        Err(error) => Finding::not_checked(AREA, CHECK, said(&error)),
    }
}

/// How long the oldest registration that is not finished has been there.
async fn oldest(mongo: &Databases) -> Option<Duration> {
    let stages = mongo.deliveries().stages(Duration::from_mins(1)).await.ok()?;
    stages.stages.iter().filter_map(|stage| stage.oldest).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    fn good() -> Facts {
        Facts {
            version: "8.0.4".into(),
            voters: Some(3),
            write_concern: Some("majority".into()),
            oplog: Some(OPLOG_MIN),
            clock_ahead_ms: 3,
        }
    }

    fn said(facts: &Facts, environment: Environment) -> Vec<(&'static str, Verdict)> {
        let bad = judge(facts, environment).into_iter().filter(|one| one.verdict != Verdict::Ok);
        bad.map(|one| (one.check, one.verdict)).collect()
    }

    #[test]
    fn each_fault_is_named_alone() {
        let production = Environment::Production;
        assert!(said(&good(), production).is_empty());
        let old = Facts { version: "5.0.1".into(), ..good() };
        assert_eq!(said(&old, production), [("version", Verdict::Fail)]);
        let alone = Facts { voters: Some(1), ..good() };
        assert_eq!(said(&alone, production), [("replica set", Verdict::Warn)]);
        assert!(said(&alone, Environment::Local).is_empty());
        let weak = Facts { write_concern: Some("1".into()), ..good() };
        assert_eq!(said(&weak, production), [("default write concern", Verdict::Warn)]);
        let short = Facts { oplog: Some(Duration::from_hours(23)), ..good() };
        assert_eq!(said(&short, production), [("oplog window", Verdict::Warn)]);
        let hidden = Facts { oplog: None, voters: None, ..good() };
        let unknown = Verdict::NotChecked;
        assert_eq!(
            said(&hidden, production),
            [("replica set", unknown), ("oplog window", unknown)]
        );
    }
}
