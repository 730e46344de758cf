//! `onboard redrive`: dead letters and registrations that stand still back to
//! work, through their workflow. Safe to interrupt and to run again.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use onboard_ops::redrive::Told;
use onboard_ops::{Item, Order, Outcome, Report, Selection};
use onboard_runtime::exit;

use super::columns::{columns, fitted};
use super::operate::{
    ChangeArgs, OperateArgs, complain, duration, print, run as operate, say as tell,
};

/// Arguments of `onboard redrive`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct RedriveArgs {
    /// Registrations or dead letters (by message id).
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All dead letters.
    #[arg(long)]
    dead_letters: bool,
    /// Registrations whose acknowledgement is overdue.
    #[arg(long)]
    stalled: bool,
    /// Registrations whose workflow ended without success, or is lost.
    #[arg(long)]
    failed: bool,
    /// Rows that the relay has put off or quarantined.
    #[arg(long)]
    quarantined: bool,
    /// All of the four above. Without --reason and --yes it asks first on a terminal, and
    /// is refused elsewhere.
    #[arg(long)]
    all: bool,
    /// Do not ask before --all.
    #[arg(long)]
    yes: bool,
    /// Only dead letters with this reason, as `onboard list` shows it; means
    /// --dead-letters.
    #[arg(long, value_name = "WORD", conflicts_with = "all")]
    cause: Option<String>,
    /// Only what is at least this old.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    older_than: Option<Duration>,
    /// At most so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Also remove dead letters that are no events; wants a --reason.
    #[arg(long, requires = "reason")]
    discard: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    operate: OperateArgs,
}

impl RedriveArgs {
    /// The exit code where --all may not go on: nobody has said yes, nor why.
    fn refused(&self) -> anyhow::Result<Option<u8>> {
        let said = self.yes || self.change.dry_run || self.change.says_why();
        if said || !self.all {
            return Ok(None);
        }
        if !std::io::stdin().is_terminal() {
            complain(
                "--all wants a --reason, or --yes; `onboard redrive --all --dry-run` shows what \
                 would be done",
            );
            return Ok(Some(exit::USAGE));
        }
        let question = "Redrive all dead letters, and all registrations that are stalled, failed \
                        or quarantined? `--dry-run` shows them first. [y/N] ";
        let question = format!("{} ", fitted(question, columns()).trim_end());
        std::io::stderr().lock().write_all(question.as_bytes())?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(None);
        }
        complain("nothing was done");
        Ok(Some(exit::NO))
    }

    fn order(&self) -> Order {
        let all = self.all;
        Order {
            selection: Selection {
                ids: self.ids.clone(),
                dead_letters: all || self.dead_letters || self.cause.is_some(),
                stalled: all || self.stalled,
                failed: all || self.failed,
                quarantined: all || self.quarantined,
            },
            cause: self.cause.clone(),
            older_than: self.older_than,
            limit: self.limit,
            reason: self.change.reason(),
            actor: self.change.actor.name(),
            dry_run: self.change.dry_run,
            discard: self.discard,
        }
    }
}

/// Redrives; done only when nothing that was asked for is left.
pub(crate) fn run(args: RedriveArgs) -> anyhow::Result<ExitCode> {
    let order = args.order();
    if order.selection.is_empty() {
        complain(
            "choose what to redrive: ids, --dead-letters (or --cause WORD), --stalled, --failed, \
             --quarantined or --all; with --dry-run first. `onboard list --stuck` shows what \
             there is",
        );
        return Ok(ExitCode::from(exit::USAGE));
    }
    if let Some(code) = args.refused()? {
        return Ok(ExitCode::from(code));
    }
    let json = args.operate.json;
    operate(args.operate, async |operator| {
        let bar = bar(json);
        let mut items = Vec::new();
        let mut told = |told: Told<'_>| match told {
            Told::Letters(total) => bar.set_length(total.into()),
            Told::Looked => bar.inc(1),
            Told::Item(item) if json && order.dry_run => items.push(json_item(item)),
            Told::Item(item) if !json => bar.suspend(|| say(item)),
            Told::Item(_) => (),
        };
        // Boxed, or the future of the command would be large.
        let report = Box::pin(operator.redrive(&order, &mut told)).await;
        bar.finish_and_clear();
        let report = report?;
        if json {
            print(&document(&report, items));
        } else {
            tell(&summary(&report));
        }
        Ok(if report.left_total == 0 { exit::DONE } else { exit::NO })
    })
}

/// On a terminal only: indicatif draws nothing elsewhere.
fn bar(json: bool) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {pos} of {len} dead letters looked at")
    {
        bar.set_style(style);
    }
    bar
}

/// What is done is counted at the end; what is left, or would be done, is
/// named at once.
fn say(item: &Item) {
    let Item { id, cause, outcome, without } = item;
    match outcome {
        Outcome::Would(act) => tell(&format!("would {:<14} {id} ({cause})", act.as_str())),
        Outcome::Left(why) => tell(&format!("left {id}: {why}")),
        Outcome::Done(_) | Outcome::Finished => (),
    }
    if !without.is_empty() {
        tell(&format!("{id} goes back without {}", without.join(", ")));
    }
}

fn json_item(item: &Item) -> serde_json::Value {
    let (act, outcome) = match &item.outcome {
        Outcome::Done(act) => (Some(act.as_str()), "done"),
        Outcome::Would(act) => (Some(act.as_str()), "would"),
        Outcome::Finished => (None, "finished"),
        Outcome::Left(_) => (None, "left"),
    };
    serde_json::json!({ "id": item.id, "cause": item.cause, "act": act, "outcome": outcome })
}

fn document(report: &Report, items: Vec<serde_json::Value>) -> String {
    let mut document = serde_json::to_value(report).unwrap_or_default();
    if report.dry_run
        && let Some(fields) = document.as_object_mut()
    {
        fields.insert("items".to_owned(), items.into());
    }
    format!("{document:#}\n")
}

fn summary(report: &Report) -> String {
    let mut lines = Vec::new();
    for (act, count) in &report.acts {
        lines.push(format!("{count:>8} {}", act.as_str()));
    }
    if report.finished > 0 {
        lines.push(format!("{:>8} were at their end before", report.finished));
    }
    if report.left_total > 0 {
        lines.push(format!("{:>8} could not be redriven, see above", report.left_total));
    }
    let idle = lines.is_empty();
    if idle {
        lines.push("nothing to redrive".to_owned());
    }
    if let Some(letters) = report.dead_letters_left {
        lines.push(format!("{letters:>8} left among the dead letters"));
    }
    if report.dry_run {
        lines.push("nothing was done (--dry-run)".to_owned());
    } else if !idle {
        lines.push(format!("recorded as redrive {} by {}", report.redrive_id, report.actor));
    }
    lines.join("\n") + "\n"
}
