//! `onboard list`: registrations, and the other events of the outbox, by stage and age,
//! the oldest first, then the dead letters by reason.

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use onboard_contract::Stage;
use onboard_events::user_registered::DEAD_LETTER_QUEUE;
use onboard_ops::{LetterSummary, ListQuery, Listed, Listing};
use onboard_runtime::exit;

use super::columns::{columns, fitted, row as line};
use super::operate::{
    OperateArgs, age, complain, duration, indented, indented_command, print, run as operate,
};

/// Arguments of `onboard list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only this stage. Without it: every registration that has not come to
    /// its end.
    #[arg(long, value_enum, ignore_case = true)]
    stage: Option<StageArg>,
    /// Only what stands still: PENDING for more than 30s or quarantined,
    /// STARTED for longer than an acknowledgement may take, STALLED.
    #[arg(long)]
    stuck: bool,
    /// Only registrations at least this old.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    older_than: Option<Duration>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    operate: OperateArgs,
}

/// A stage on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
enum StageArg {
    Pending,
    Started,
    Sent,
    Acknowledged,
    Stalled,
}

impl StageArg {
    const fn stage(self) -> Stage {
        match self {
            Self::Pending => Stage::Pending,
            Self::Started => Stage::Started,
            Self::Sent => Stage::Sent,
            Self::Acknowledged => Stage::Acknowledged,
            Self::Stalled => Stage::Stalled,
        }
    }
}

/// Lists, line by line as the rows are found.
pub(crate) fn run(args: ListArgs) -> anyhow::Result<ExitCode> {
    let ListArgs { stage, stuck, older_than, limit, operate: target } = args;
    let json = target.json;
    if stuck && stage == Some(StageArg::Acknowledged) {
        complain("nothing ACKNOWLEDGED is stuck: leave out --stuck or choose another --stage");
        return Ok(ExitCode::from(exit::USAGE));
    }
    let query = ListQuery { stage: stage.map(StageArg::stage), stuck, older_than, limit };
    operate(target, async |operator| {
        let (mut begun, mut noun) = (false, "registration");
        let listing = operator
            .list(&query, |row| {
                if !row.row.is_registration() {
                    noun = "event";
                }
                print(&if json { json_row(row, begun) } else { table_row(row, begun) });
                begun = true;
            })
            .await?;
        print(&if json { json_end(&listing, begun) } else { table_end(&listing, begun, noun) });
        Ok(if listing.unreachable.is_empty() { exit::DONE } else { exit::UNAVAILABLE })
    })
}

fn json_row(row: &Listed, begun: bool) -> String {
    let before = if begun { ",\n" } else { "{\"registrations\":[\n" };
    format!("{before}{}", serde_json::to_string(row).unwrap_or_default())
}

fn json_end(listing: &Listing, begun: bool) -> String {
    let before = if begun { "" } else { "{\"registrations\":[" };
    let rest = serde_json::to_string(listing).unwrap_or_default();
    format!("{before}\n],{}\n", rest.strip_prefix('{').unwrap_or("}"))
}

fn table_row(row: &Listed, begun: bool) -> String {
    let registration = row.row.is_registration();
    let id = if registration { "registration" } else { "event" };
    let head = format!("{id:<36} {:<12} {:>4} {:>5} reason\n", "stage", "age", "tries");
    let old = match row.age_ms {
        None => "?".to_owned(),
        Some(ms) if ms < 0 => format!("-{}", age(ms.saturating_neg())),
        Some(ms) => age(ms),
    };
    let start = format!(
        "{:<36} {:<12} {old:>4} {:>5} ",
        row.row.registration_id.to_string(),
        row.row.stage.as_str(),
        row.tries
    );
    let reason = match &row.row.event_type {
        Some(event_type) if !registration => format!("{event_type} {}", row.reason),
        Some(_) | None => row.reason.clone(),
    };
    let head = if begun { "" } else { head.as_str() };
    format!("{head}{}\n{}", line(&start, &reason, columns()), way_on(row).unwrap_or_default())
}

/// The command that lets the row go on, where there is one.
fn way_on(row: &Listed) -> Option<String> {
    let command = indented_command(row.next.as_ref()?, 4);
    Some(format!("{command}\n"))
}

fn table_end(listing: &Listing, begun: bool, noun: &str) -> String {
    let mut lines = Vec::new();
    if begun {
        lines.push(String::new());
    }
    lines.push(match listing.listed {
        0 => format!("no {noun} to list"),
        n if listing.more => format!("{n} {noun}s, and more: raise --limit"),
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    });
    lines.extend(odd_rows(listing));
    if let Some(letters) = &listing.dead_letters {
        lines.extend(letters_of(letters, ""));
    }
    let others = listing.dead_letters_by_queue.iter();
    let others = others.filter(|(queue, of)| of.total > 0 && *queue != DEAD_LETTER_QUEUE);
    lines.extend(others.flat_map(|(queue, of)| letters_of(of, &format!(" in {queue}"))));
    lines.extend(strangers(listing));
    lines.extend(listing.notes.iter().map(|note| indented(note, 0)));
    let unreachable = listing.unreachable.iter().map(|why| format!("not asked: {why}"));
    lines.extend(unreachable.map(|line| fitted(&line, columns()).trim_end().to_owned()));
    lines.join("\n") + "\n"
}

/// Workflows that nobody owns, each with the command that ends it.
fn strangers(listing: &Listing) -> Vec<String> {
    let mut lines = Vec::new();
    match listing.strangers.len() {
        0 => (),
        1 => lines.push("1 workflow that does not belong here or cannot go on".to_owned()),
        n => lines.push(format!("{n} workflows that do not belong here or cannot go on")),
    }
    for one in &listing.strangers {
        let words = format!("{} {}: {}", one.workflow_type, one.workflow_id, one.detail);
        lines.push(indented(&words, 2));
        lines.push(indented_command(&one.next, 4));
    }
    if listing.more_strangers {
        lines.push(
            "  of the first workflows on the task queue; `onboard audit` names all".to_owned(),
        );
    }
    lines
}

/// Rows that bear no event's id, each with what is wrong with it.
fn odd_rows(listing: &Listing) -> Vec<String> {
    let mut lines = match listing.odd_rows.len() {
        0 => return Vec::new(),
        1 => vec!["1 outbox row that is no event's".to_owned()],
        n => vec![format!("{n} outbox rows that are no event's")],
    };
    for row in &listing.odd_rows {
        lines.push(line(&format!("{:<36} ", row.id), &row.reason, columns()));
    }
    lines
}

fn letters_of(letters: &LetterSummary, place: &str) -> Vec<String> {
    let mut lines = vec![match letters.total {
        0 => "no dead letters".to_owned(),
        1 => format!("1 dead letter{place}"),
        n => format!("{n} dead letters{place}"),
    }];
    lines.extend(letters.by_reason.iter().map(|(why, count)| format!("{count:>8} {why}")));
    if letters.looked_at < letters.total {
        lines.push(format!("  of the first {}", letters.looked_at));
    }
    lines
}
