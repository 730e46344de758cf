//! RabbitMQ: the exchange, the queues and their arguments over AMQP; versions,
//! bindings and policies over the management API, when it is named.

use onboard_broker::BrokerConfig;
use onboard_broker::inspect::{Bound, Declared, Inspected, bound, inspect};
use onboard_contract::{Queue, Topology};
use onboard_events::ExtraConsumers;
use onboard_runtime::Problems;
use onboard_runtime::plain::said;
use secrecy::SecretString;
use serde_json::Value;

use crate::finding::REACHABLE;
use crate::management::{Management, encoded};
use crate::{Area, Finding, Patient, judge_version};

const AREA: Area = Area::RabbitMq;
/// Quorum queues with at-least-once dead-lettering.
const LEAST: (u32, u32) = (3, 10);
/// What `docker-compose.yml` runs is of this line. The tests run 3.10, which gets
/// no fixes any more.
const CURRENT: (u32, u32) = (4, 0);
/// Keys of a policy that take messages away.
const LOSING: [&str; 5] =
    ["message-ttl", "expires", "max-length", "max-length-bytes", "delivery-limit"];
/// Keys of a policy that bound a queue.
const BOUNDING: [&str; 3] = ["max-length", "max-length-bytes", "overflow"];
const SETUP: &str = "run `onboard setup`; it is safe to repeat";

pub(crate) async fn examine(
    patient: &Patient,
    topology: &Topology,
    extra: &ExtraConsumers,
) -> Vec<Finding> {
    let declared = match inspect(&patient.broker.clone().with(topology.clone())).await {
        Ok(declared) => declared,
        Err(error) => {
            let advice = "start RabbitMQ, or mend AMQP_URL, its rights or the network";
            return vec![Finding::fail(AREA, REACHABLE, said(&error), advice)];
        }
    };
    let mut findings = vec![Finding::ok(AREA, REACHABLE, "it answers")];
    if patient.environment.is_production() {
        findings.push(user(&patient.broker));
    }
    findings.extend(declared.into_iter().map(judge));
    findings.push(largest(
        bound(&patient.broker).await.unwrap_or_else(|error| Bound::Unknown(said(&error))),
    ));
    match &patient.management {
        Some(url) => findings.extend(managed(url, patient.broker.vhost(), topology, extra).await),
        None => findings.extend(["version", "binding", "policies"].map(|check| {
            Finding::not_checked(AREA, check, "AMQP does not tell; set AMQP_MANAGEMENT_URL")
        })),
    }
    findings.push(Finding::not_checked(AREA, "clock", "RabbitMQ does not tell the time"));
    findings
}

fn user(config: &BrokerConfig) -> Finding {
    let mut problems = Problems::default();
    config.refuse_in_production(&mut problems);
    match problems.finish(Some(())) {
        Ok(()) => Finding::ok(AREA, "user", "one of its own"),
        Err(_) => Finding::fail(AREA, "user", "guest", "make a user of its own for AMQP_URL"),
    }
}

/// Consumers hold no large message, yet others on the same broker may, and its own memory
/// and disk are everybody's.
fn largest(bound: Bound) -> Finding {
    const CHECK: &str = "largest message";
    match bound {
        Bound::Bounded => Finding::ok(AREA, CHECK, "1 MiB or less"),
        Bound::Unbounded => {
            let advice = "set max_message_size = 1048576 in rabbitmq.conf, and restart the node";
            Finding::warn(AREA, CHECK, "it takes messages of more than 1 MiB", advice)
        }
        Bound::Unknown(why) => Finding::not_checked(AREA, CHECK, why),
    }
}

fn judge(found: Inspected) -> Finding {
    let Inspected { what: check, name, declared } = found;
    match declared {
        Declared::Right => Finding::ok(AREA, check, format!("{name}, as declared")),
        Declared::Missing => Finding::fail(AREA, check, format!("{name} is missing"), SETUP),
        Declared::Unknown(words) => Finding::fail(
            AREA,
            check,
            format!("RabbitMQ does not say what {name} is: {words}"),
            "leave it as it is: ask again, then see whether the user may read and declare it, and \
             whether the queue has a leader (docs/runbook.md)",
        ),
        Declared::Other(words) => Finding::fail(
            AREA,
            check,
            format!("{name} has other arguments: {words}"),
            format!(
                "stop relay, worker and todo when the queue is empty, delete {name}, run `onboard \
                 setup`: RabbitMQ changes no arguments"
            ),
        ),
    }
}

/// What the management API tells of one queue and its dead letters.
struct Told {
    queue: Value,
    dead_letters: Value,
    bindings: Value,
    dead_bindings: Value,
}

async fn managed(
    url: &SecretString,
    vhost: &str,
    topology: &Topology,
    extra: &ExtraConsumers,
) -> Vec<Finding> {
    match ask(url, vhost, topology).await {
        Ok((overview, told)) => {
            let version =
                overview.get("rabbitmq_version").and_then(Value::as_str).unwrap_or("unknown");
            let mut findings = vec![judge_version(AREA, version, LEAST, CURRENT)];
            for (of, told) in topology.queues.iter().zip(&told) {
                findings.push(binding("binding", &told.bindings, &of.name, &of.routing_key));
                let dead = &of.dead_letter_queue;
                findings.push(binding("dead-letter binding", &told.dead_bindings, dead, "#"));
            }
            let bounded: Vec<Queue> =
                extra.names().iter().map(onboard_events::registration_queue).collect();
            findings.push(policies(&topology.queues, &told, &bounded));
            findings.extend(bounds(&topology.queues, &told, &bounded));
            findings
        }
        Err(words) => {
            let advice = "mend AMQP_MANAGEMENT_URL (http://user:password@host:15672)";
            vec![Finding::warn(AREA, "management", words, advice)]
        }
    }
}

async fn ask(
    url: &SecretString,
    vhost: &str,
    topology: &Topology,
) -> Result<(Value, Vec<Told>), String> {
    let (management, vhost) = (Management::at(url)?, encoded(vhost));
    let overview = management.ask("overview").await?;
    let mut all = Vec::new();
    for of in &topology.queues {
        let (queue, dead) = (encoded(&of.name), encoded(&of.dead_letter_queue));
        let (from, dead_from) = (encoded(&of.exchange), encoded(&of.dead_letter_exchange));
        let bindings = format!("bindings/{vhost}/e/{from}/q/{queue}");
        let dead_bindings = format!("bindings/{vhost}/e/{dead_from}/q/{dead}");
        all.push(Told {
            queue: management.ask(&format!("queues/{vhost}/{queue}")).await?,
            dead_letters: management.ask(&format!("queues/{vhost}/{dead}")).await?,
            bindings: management.ask(&bindings).await?,
            dead_bindings: management.ask(&dead_bindings).await?,
        });
    }
    Ok((overview, all))
}

fn binding(check: &'static str, bindings: &Value, queue: &str, key: &str) -> Finding {
    let bound = bindings.as_array().into_iter().flatten().any(|one| one["routing_key"] == key);
    if bound {
        Finding::ok(AREA, check, format!("{queue} by {key}"))
    } else {
        Finding::fail(AREA, check, format!("nothing is bound to {queue} by {key}"), SETUP)
    }
}

/// The keys of a policy that a queue has.
fn policy(queue: &Value) -> impl Iterator<Item = &str> {
    let policy = queue["effective_policy_definition"].as_object();
    policy.into_iter().flat_map(|policy| policy.keys().map(String::as_str))
}

/// The queue of another program's consumer may be bounded: it refuses what is too
/// much, and the workflow tries again.
fn policies(queues: &[Queue], told: &[Told], bounded: &[Queue]) -> Finding {
    const CHECK: &str = "policies";
    let mut set: Vec<&str> = queues
        .iter()
        .zip(told)
        .flat_map(|(of, told)| {
            let may = bounded.contains(of);
            let of_queue = policy(&told.queue).filter(move |key| !(may && BOUNDING.contains(key)));
            of_queue.chain(policy(&told.dead_letters))
        })
        .collect();
    set.sort_unstable();
    set.dedup();
    let found = set.join(", ");
    if set.is_empty() {
        Finding::ok(AREA, CHECK, "none that changes these queues")
    } else if set.iter().any(|key| LOSING.contains(key)) {
        let advice = "take these queues out of the policy's pattern: it loses messages";
        Finding::fail(AREA, CHECK, found, advice)
    } else {
        Finding::warn(AREA, CHECK, found, "make sure that no policy changes what is declared")
    }
}

/// Whether the queue of each other program's consumer is bounded.
fn bounds(queues: &[Queue], told: &[Told], bounded: &[Queue]) -> Vec<Finding> {
    const CHECK: &str = "bound";
    let others = queues.iter().zip(told).filter(|(of, _)| bounded.contains(of));
    let judged = others.map(|(of, told)| {
        if policy(&told.queue).any(|key| key.starts_with("max-length")) {
            Finding::ok(AREA, CHECK, format!("{} is bounded", of.name))
        } else {
            Finding::warn(
                AREA,
                CHECK,
                format!("{} is not bounded", of.name),
                "run `onboard setup` with AMQP_MANAGEMENT_URL; without it, setup prints the command",
            )
        }
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;
    use onboard_events::TODO_QUEUE;
    use onboard_events::user_registered::ROUTING_KEY;
    use serde_json::json;

    fn told(queue: &Value, dead_letters: &Value) -> Vec<Told> {
        let of = |policy: &Value| json!({ "effective_policy_definition": policy });
        vec![Told {
            queue: of(queue),
            dead_letters: of(dead_letters),
            bindings: Value::Null,
            dead_bindings: Value::Null,
        }]
    }

    #[test]
    fn a_policy_that_loses_messages_fails_and_another_is_told() {
        let of = |definition: Value| {
            policies(&[TODO_QUEUE], &told(&json!({}), &definition), &[]).verdict
        };
        assert_eq!(of(json!({})), Verdict::Ok);
        assert_eq!(of(json!([])), Verdict::Ok);
        assert_eq!(of(json!({ "queue-leader-locator": "balanced" })), Verdict::Warn);
        assert_eq!(of(json!({ "message-ttl": 1, "queue-leader-locator": "x" })), Verdict::Fail);
    }

    #[test]
    fn only_the_queue_of_another_program_may_be_bounded() {
        let crm = [onboard_events::registration_queue(&"crm".parse().unwrap())];
        let (none, bound) = (json!({}), json!({ "max-length": 5, "overflow": "reject-publish" }));
        let bounded = told(&bound, &none);
        assert_eq!(policies(&crm, &bounded, &crm).verdict, Verdict::Ok);
        assert_eq!(policies(&[TODO_QUEUE], &bounded, &crm).verdict, Verdict::Fail);
        assert_eq!(policies(&crm, &told(&none, &bound), &crm).verdict, Verdict::Fail);
        let expires = told(&json!({ "max-length": 5, "expires": 1 }), &none);
        assert_eq!(policies(&crm, &expires, &crm).verdict, Verdict::Fail);
        assert_eq!(bounds(&crm, &bounded, &crm)[0].verdict, Verdict::Ok);
        assert_eq!(bounds(&crm, &told(&none, &none), &crm)[0].verdict, Verdict::Warn);
        assert!(bounds(&[TODO_QUEUE], &bounded, &crm).is_empty());
    }

    #[test]
    fn a_binding_counts_by_its_key() {
        let of = |bindings: &Value| binding("binding", bindings, "q", ROUTING_KEY).verdict;
        assert_eq!(of(&json!([{ "routing_key": "other" }])), Verdict::Fail);
        assert_eq!(of(&Value::Null), Verdict::Fail);
        assert_eq!(of(&json!([{ "routing_key": ROUTING_KEY }])), Verdict::Ok);
    }
}
