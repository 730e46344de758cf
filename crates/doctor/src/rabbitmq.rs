//! RabbitMQ: the exchange, the queues and their arguments over AMQP; versions,
//! bindings and policies over the management API, when it is named.

use std::time::Duration;

use onboard_broker::BrokerConfig;
use onboard_broker::inspect::{Declared, inspect};
use onboard_contract::names::{
    DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE, EXCHANGE, QUEUE, ROUTING_KEY,
};
use onboard_runtime::Problems;
use onboard_runtime::availability::chain;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::finding::REACHABLE;
use crate::{Area, Finding, Patient, judge_version};

const AREA: Area = Area::RabbitMq;
/// Quorum queues with at-least-once dead-lettering.
const LEAST: (u32, u32) = (3, 10);
/// What `docker-compose.yml` runs is of this line. The tests run 3.10, which gets
/// no fixes any more.
const CURRENT: (u32, u32) = (4, 0);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Keys of a policy that take messages away.
const LOSING: [&str; 5] =
    ["message-ttl", "expires", "max-length", "max-length-bytes", "delivery-limit"];
const SETUP: &str = "run `onboard setup`; it is safe to repeat";

pub(crate) async fn examine(patient: &Patient) -> Vec<Finding> {
    let declared = match inspect(&patient.broker).await {
        Ok(declared) => declared,
        Err(error) => {
            let advice = "start RabbitMQ, or mend AMQP_URL, its rights or the network";
            return vec![Finding::fail(AREA, REACHABLE, chain(&error), advice)];
        }
    };
    let mut findings = vec![Finding::ok(AREA, REACHABLE, "it answers")];
    if patient.environment.is_production() {
        findings.push(user(&patient.broker));
    }
    findings.extend(declared.into_iter().map(|(name, found)| judge(name, found)));
    match &patient.management {
        Some(url) => findings.extend(managed(url, patient.broker.vhost()).await),
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

fn judge(name: &str, found: Declared) -> Finding {
    let check = match name {
        EXCHANGE => "exchange",
        DEAD_LETTER_EXCHANGE => "dead-letter exchange",
        QUEUE => "queue",
        _ => "dead-letter queue",
    };
    match found {
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

async fn managed(url: &SecretString, vhost: &str) -> Vec<Finding> {
    match ask(url, vhost).await {
        Ok([overview, queue, dead_letters, bindings, dead_bindings]) => {
            let version =
                overview.get("rabbitmq_version").and_then(Value::as_str).unwrap_or("unknown");
            vec![
                judge_version(AREA, version, LEAST, CURRENT),
                binding("binding", &bindings, ROUTING_KEY),
                binding("dead-letter binding", &dead_bindings, "#"),
                policies(&queue, &dead_letters),
            ]
        }
        Err(words) => {
            let advice = "mend AMQP_MANAGEMENT_URL (http://user:password@host:15672)";
            vec![Finding::warn(AREA, "management", words, advice)]
        }
    }
}

async fn ask(url: &SecretString, vhost: &str) -> Result<[Value; 5], String> {
    let client = Client::builder().timeout(ANSWER_WITHIN).build().map_err(|e| chain(&e))?;
    let base = url.expose_secret().trim_end_matches('/');
    let vhost = utf8_percent_encode(vhost, NON_ALPHANUMERIC);
    let answer = async |path: String| {
        let asked = client.get(format!("{base}/api/{path}")).send().await;
        // Without the URL, which holds the password.
        let answer = asked.map_err(|error| chain(&error.without_url()))?;
        match answer.status().as_u16() {
            200 => answer.json::<Value>().await.map_err(|error| chain(&error.without_url())),
            404 => Ok(Value::Null),
            status => Err(format!("the management API answers {status}")),
        }
    };
    Ok([
        answer("overview".to_owned()).await?,
        answer(format!("queues/{vhost}/{QUEUE}")).await?,
        answer(format!("queues/{vhost}/{DEAD_LETTER_QUEUE}")).await?,
        answer(format!("bindings/{vhost}/e/{EXCHANGE}/q/{QUEUE}")).await?,
        answer(format!("bindings/{vhost}/e/{DEAD_LETTER_EXCHANGE}/q/{DEAD_LETTER_QUEUE}")).await?,
    ])
}

fn binding(check: &'static str, bindings: &Value, key: &str) -> Finding {
    let bound = bindings.as_array().into_iter().flatten().any(|one| one["routing_key"] == key);
    if bound {
        Finding::ok(AREA, check, key)
    } else {
        Finding::fail(AREA, check, format!("nothing is bound by {key}"), SETUP)
    }
}

fn policies(queue: &Value, dead_letters: &Value) -> Finding {
    const CHECK: &str = "policies";
    let mut set: Vec<&str> = [queue, dead_letters]
        .into_iter()
        .filter_map(|one| one["effective_policy_definition"].as_object())
        .flat_map(|policy| policy.keys().map(String::as_str))
        .collect();
    set.sort_unstable();
    set.dedup();
    let found = set.join(", ");
    if set.is_empty() {
        Finding::ok(AREA, CHECK, "none for these queues")
    } else if set.iter().any(|key| LOSING.contains(key)) {
        let advice = "take these queues out of the policy's pattern: it loses messages";
        Finding::fail(AREA, CHECK, found, advice)
    } else {
        Finding::warn(AREA, CHECK, found, "make sure that no policy changes what is declared")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;
    use serde_json::json;

    #[test]
    fn a_policy_that_loses_messages_fails_and_another_is_told() {
        let of = |definition: Value| {
            let queue = json!({ "effective_policy_definition": definition });
            policies(&json!({}), &queue).verdict
        };
        assert_eq!(of(json!({})), Verdict::Ok);
        assert_eq!(of(json!([])), Verdict::Ok);
        assert_eq!(of(json!({ "queue-leader-locator": "balanced" })), Verdict::Warn);
        assert_eq!(of(json!({ "message-ttl": 1, "queue-leader-locator": "x" })), Verdict::Fail);
    }

    #[test]
    fn a_binding_counts_by_its_key() {
        let bindings = json!([{ "routing_key": "other" }]);
        assert_eq!(binding("binding", &bindings, ROUTING_KEY).verdict, Verdict::Fail);
        assert_eq!(binding("binding", &Value::Null, ROUTING_KEY).verdict, Verdict::Fail);
        let bindings = json!([{ "routing_key": ROUTING_KEY }]);
        assert_eq!(binding("binding", &bindings, ROUTING_KEY).verdict, Verdict::Ok);
    }
}
