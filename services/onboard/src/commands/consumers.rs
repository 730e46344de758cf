//! `onboard consumers`: who consumes the events, how far each of them is, and
//! consumers that come late or leave. Safe to interrupt and to run again.

mod text;

use std::process::ExitCode;

use clap::Subcommand;
use onboard_contract::ConsumerName;
use onboard_ops::{Change, Refusal, Retired};
use onboard_runtime::{clock, exit};
use serde_json::json;

use super::actor::ActorArgs;
use super::audit::when::{Since, since};
use super::columns::columns;
use super::operate::{ChangeArgs, OperateArgs, complain, print, run as operate};

/// Arguments of `onboard consumers`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsumersArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List every consumer: its queue, its dead letters, who waits for it.
    List(ListArgs),
    /// Send events of the past to a consumer that came later.
    Backfill(BackfillArgs),
    /// Let no event wait for a consumer any more.
    Retire(RetireArgs),
}

/// Arguments of `onboard consumers list`.
#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    operate: OperateArgs,
}

/// Arguments of `onboard consumers backfill`.
#[derive(Debug, clap::Args)]
struct BackfillArgs {
    /// The consumer, which `EXTRA_CONSUMERS` names and `onboard setup` has noted.
    #[arg(value_name = "NAME")]
    name: ConsumerName,
    /// Events of registrations since: a duration back from now, such as `30d`, or
    /// a time in UTC, such as `2026-01-31T12:00:00Z`.
    #[arg(long, value_parser = since, value_name = "WHEN")]
    since: Since,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    operate: OperateArgs,
}

/// Arguments of `onboard consumers retire`.
#[derive(Debug, clap::Args)]
struct RetireArgs {
    /// The consumer. Take it out of `EXTRA_CONSUMERS` of every process first.
    #[arg(value_name = "NAME")]
    name: ConsumerName,
    /// Why. Kept with the change and on every row.
    #[arg(long, value_name = "TEXT", value_parser = said)]
    reason: String,
    #[command(flatten)]
    actor: ActorArgs,
    #[command(flatten)]
    operate: OperateArgs,
}

fn said(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("say why".to_owned()) } else { Ok(text.to_owned()) }
}

/// Lists the consumers, or changes what rows expect.
pub(crate) fn run(args: ConsumersArgs) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::List(args) => list(args),
        Verb::Backfill(args) => backfill(args),
        Verb::Retire(args) => retire(args),
    }
}

fn list(args: ListArgs) -> anyhow::Result<ExitCode> {
    let json = args.operate.json;
    operate(args.operate, async |operator| {
        let consumers = operator.consumers().await?;
        print(&if json {
            format!("{:#}\n", json!({ "consumers": consumers }))
        } else {
            text::table(&consumers, columns())
        });
        Ok(exit::DONE)
    })
}

fn backfill(args: BackfillArgs) -> anyhow::Result<ExitCode> {
    let change = Change {
        consumer: args.name,
        reason: args.change.reason(),
        actor: args.change.actor.name(),
        dry_run: args.change.dry_run,
    };
    let json = args.operate.json;
    operate(args.operate, async |operator| {
        let since_ms = args.since.ms(clock::now_ms());
        Ok(match operator.backfill(&change, since_ms).await? {
            Ok(report) => {
                print(&if json {
                    format!("{:#}\n", json!(report))
                } else {
                    text::backfilled(&report)
                });
                exit::DONE
            }
            Err(refusal) => refused(&refusal),
        })
    })
}

fn retire(args: RetireArgs) -> anyhow::Result<ExitCode> {
    let change = Change {
        consumer: args.name,
        reason: args.reason,
        actor: args.actor.name(),
        dry_run: false,
    };
    let json = args.operate.json;
    operate(args.operate, async |operator| {
        Ok(match operator.retire(&change).await? {
            Ok(report) => {
                let commands = commands(&change.consumer, operator.vhost());
                print(&if json {
                    document(&report, &commands)
                } else {
                    text::retired(&report, &commands)
                });
                if report.not_told + report.still_awaited == 0 { exit::DONE } else { exit::NO }
            }
            Err(refusal) => refused(&refusal),
        })
    })
}

fn refused(refusal: &Refusal) -> u8 {
    complain(&refusal.to_string());
    exit::NO
}

fn document(report: &Retired, commands: &[String]) -> String {
    let mut document = json!(report);
    if let Some(fields) = document.as_object_mut() {
        fields.insert("warning".to_owned(), text::warning(&report.consumer).into());
        fields.insert("commands".to_owned(), commands.into());
    }
    format!("{document:#}\n")
}

/// What unbinds the consumer's queue and deletes it, in this order.
fn commands(consumer: &ConsumerName, vhost: &str) -> Vec<String> {
    let of = onboard_events::registration_queue(consumer);
    let vhost = quoted(vhost);
    vec![
        format!(
            "rabbitmqadmin --vhost={vhost} delete binding source={} destination_type=queue \
             destination={} properties_key={}",
            of.exchange, of.name, of.routing_key
        ),
        format!("rabbitmqctl delete_queue --vhost {vhost} {}", of.name),
        format!("rabbitmqctl delete_queue --vhost {vhost} {}", of.dead_letter_queue),
        format!("rabbitmqadmin --vhost={vhost} delete exchange name={}", of.dead_letter_exchange),
        format!("rabbitmqctl clear_policy --vhost {vhost} onboard-{consumer}"),
    ]
}

/// For a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_unbind_the_queue_before_they_delete_it() {
        let commands = commands(&"crm".parse().unwrap(), "it's");
        assert_eq!(
            commands[0],
            r"rabbitmqadmin --vhost='it'\''s' delete binding source=user.events destination_type=queue destination=crm.user_registered properties_key=user.registered"
        );
        assert_eq!(commands[1], r"rabbitmqctl delete_queue --vhost 'it'\''s' crm.user_registered");
        assert!(commands[2].ends_with("crm.user_registered.dlq"));
        assert!(commands[3].ends_with("name=crm.user_registered.dlx"));
        assert!(commands[4].ends_with("onboard-crm"));
    }
}
