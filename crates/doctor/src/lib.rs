//! `onboard doctor`: whether an environment will do, before anybody depends on
//! it. One file per server; each asks and judges, and says what to do about
//! what it does not like.
//!
//! It changes nothing: a queue that is missing stays missing. Dying in the
//! middle of it leaves nothing behind.

mod consumers;
mod documents;
mod finding;
mod indexes;
mod management;
mod mongo;
mod process;
mod rabbitmq;
mod temporal;

use std::time::Duration;

use onboard_broker::BrokerConfig;
use onboard_events::ExtraConsumers;
use onboard_ops::DatabasesConfig;
use onboard_runtime::Environment;
use onboard_temporal::{DeliveryPlan, TemporalConfig};
use secrecy::SecretString;

pub use finding::{Area, Finding, Verdict};
pub use management::{MESSAGES_MAX, Management, bound_command};

/// What is looked at.
#[derive(Debug)]
pub struct Patient {
    /// MongoDB.
    pub mongo: DatabasesConfig,
    /// RabbitMQ.
    pub broker: BrokerConfig,
    /// The consumers that this environment's setting adds.
    pub consumers: ExtraConsumers,
    /// Its management API, which holds a password; AMQP alone tells less.
    pub management: Option<SecretString>,
    /// Temporal.
    pub temporal: TemporalConfig,
    /// The plan of steps that this environment's setting gives to new runs.
    pub plan: DeliveryPlan,
    /// Whether it is to be good enough for production.
    pub environment: Environment,
}

/// Looks at the servers, one after the other, and at this process. MongoDB comes
/// first: it names the consumers whose queues must be there.
pub async fn examine(patient: &Patient) -> Vec<Finding> {
    let (mut findings, oldest) = mongo::examine(patient).await;
    let (consumers, extra) = consumers::examine(patient).await;
    findings.extend(consumers);
    findings.extend(rabbitmq::examine(patient, &onboard_events::topology(&extra), &extra).await);
    findings.extend(temporal::examine(patient, oldest, &extra).await);
    findings.extend(process::examine());
    findings
}

/// Whether none of the servers could be asked.
#[must_use]
pub fn nobody_answers(findings: &[Finding]) -> bool {
    let away = findings.iter().filter(|one| one.check == finding::REACHABLE && one.is_bad());
    away.count() == Area::SERVERS.len()
}

/// Clocks that differ by more are a fault.
const CLOCKS_APART: Duration = Duration::from_secs(5);
/// And by more than this they deserve a look.
const CLOCKS_ASKEW: Duration = Duration::from_secs(1);

/// Judges how far a server's clock is from ours.
fn clock(area: Area, ahead_ms: i64) -> Finding {
    let apart = Duration::from_millis(ahead_ms.unsigned_abs());
    let found = format!("{ahead_ms} ms ahead of this machine");
    let advice = "run NTP on every machine: leases, retention and tokens compare times";
    match apart {
        _ if apart > CLOCKS_APART => Finding::fail(area, "clock", found, advice),
        _ if apart > CLOCKS_ASKEW => Finding::warn(area, "clock", found, advice),
        _ => Finding::ok(area, "clock", found),
    }
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split('.');
    let major = parts.next()?.parse().ok()?;
    let minor: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some((major, minor.parse().ok()?))
}

/// Judges a version: below `least` it cannot work, below `current` it works and
/// is an old line.
fn judge_version(area: Area, text: &str, least: (u32, u32), current: (u32, u32)) -> Finding {
    let at = |(major, minor)| format!("{major}.{minor}");
    match version(text) {
        Some(version) if version >= current => Finding::ok(area, "version", text),
        Some(version) if version >= least => {
            let advice = format!("upgrade to {} or later: this line is old", at(current));
            Finding::warn(area, "version", text, advice)
        }
        Some(_) => {
            let advice = format!("upgrade to {} or later; {} at least", at(current), at(least));
            Finding::fail(area, "version", text, advice)
        }
        None => Finding::warn(area, "version", text, "find out whether this version is supported"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_too_old_old_or_fine() {
        let of = |text| judge_version(Area::RabbitMq, text, (3, 10), (4, 0)).verdict;
        assert_eq!(of("3.9.1"), Verdict::Fail);
        assert_eq!(of("3.13.7"), Verdict::Warn);
        assert_eq!(of("4.0.0-rc.1"), Verdict::Ok);
        assert_eq!(of("v10.2"), Verdict::Ok);
        assert_eq!(of("nightly"), Verdict::Warn);
    }

    #[test]
    fn a_clock_may_be_a_second_off_and_not_five() {
        for (ahead_ms, verdict) in [
            (0, Verdict::Ok),
            (-1_000, Verdict::Ok),
            (1_001, Verdict::Warn),
            (-5_001, Verdict::Fail),
        ] {
            let finding = clock(Area::Mongo, ahead_ms);
            assert_eq!(finding.verdict, verdict, "{ahead_ms}");
            assert!(verdict == Verdict::Ok || finding.advice.unwrap().contains("NTP"));
        }
    }
}
