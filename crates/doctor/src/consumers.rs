//! The consumers of other programs: those that this environment's setting names,
//! beside those that setup has noted.

use onboard_contract::ConsumerName;
use onboard_events::ExtraConsumers;
use onboard_mongo::StoreError;
use onboard_ops::Databases;
use onboard_outbox::{Consumers, KnownConsumer};
use onboard_runtime::plain::said;

use crate::{Area, Finding, Patient};

const AREA: Area = Area::Mongo;
const CHECK: &str = "consumers";

/// The findings, and the consumers whose queues must be there. While MongoDB does
/// not answer these are those of the setting.
pub(crate) async fn examine(patient: &Patient) -> (Vec<Finding>, ExtraConsumers) {
    let setting = &patient.consumers;
    match known(patient).await {
        Ok(known) => {
            let here = known.iter().filter(|one| one.retired_at_ms.is_none());
            let names = here.map(|one| one.name.clone()).chain(setting.names().iter().cloned());
            let extra = ExtraConsumers::of(names);
            (judge(setting, &known, &extra), extra)
        }
        Err(error) => (vec![Finding::not_checked(AREA, CHECK, said(&error))], setting.clone()),
    }
}

async fn known(patient: &Patient) -> Result<Vec<KnownConsumer>, StoreError> {
    let mongo = Databases::new(&patient.mongo).await?;
    Consumers::new(mongo.of_auth()).known().await
}

/// Nothing is said where there are none.
fn judge(
    setting: &ExtraConsumers,
    known: &[KnownConsumer],
    extra: &ExtraConsumers,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in setting.names() {
        match known.iter().find(|one| one.name == *name) {
            None => findings.push(Finding::fail(
                AREA,
                CHECK,
                format!("EXTRA_CONSUMERS names {name}, and setup has not noted it"),
                "run `onboard setup` with the same EXTRA_CONSUMERS: it declares the queue",
            )),
            Some(one) if one.retired_at_ms.is_some() => findings.push(Finding::fail(
                AREA,
                CHECK,
                format!("EXTRA_CONSUMERS names {name}, which is retired"),
                "take it out of EXTRA_CONSUMERS of every process, or run `onboard setup` to have \
                 it back",
            )),
            Some(_) => (),
        }
    }
    if findings.is_empty() && !extra.names().is_empty() {
        let names: Vec<&str> = extra.names().iter().map(ConsumerName::as_str).collect();
        findings.push(Finding::ok(AREA, CHECK, names.join(", ")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    fn verdicts(setting: &str, known: &[(&str, Option<i64>)]) -> Vec<Verdict> {
        let known: Vec<KnownConsumer> = known
            .iter()
            .map(|(name, retired_at_ms)| KnownConsumer {
                name: name.parse().unwrap(),
                retired_at_ms: *retired_at_ms,
            })
            .collect();
        let extra = ExtraConsumers::of(known.iter().map(|one| one.name.clone()));
        let found = judge(&setting.parse().unwrap(), &known, &extra);
        found.into_iter().map(|one| one.verdict).collect()
    }

    #[test]
    fn a_setting_that_setup_has_not_noted_is_found() {
        assert_eq!(verdicts("", &[]), []);
        assert_eq!(verdicts("crm:USER_REGISTERED", &[]), [Verdict::Fail]);
        assert_eq!(verdicts("crm:USER_REGISTERED", &[("crm", Some(1))]), [Verdict::Fail]);
        assert_eq!(verdicts("crm:USER_REGISTERED", &[("crm", None)]), [Verdict::Ok]);
        assert_eq!(verdicts("", &[("crm", None)]), [Verdict::Ok]);
    }
}
