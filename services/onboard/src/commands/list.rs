//! `onboard list`: registrations by stage and age, the oldest first, then the
//! dead letters by reason.

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use onboard_contract::Stage;
use onboard_ops::{ListQuery, Listed, Listing};
use onboard_runtime::exit;

use super::operate::{OperateArgs, age, complain, cut, duration, print, run as operate};

/// Columns of a terminal.
const COLUMNS: usize = 80;

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
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
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
    let ListArgs { stage, stuck, older_than, limit, json, operate: target } = args;
    if stuck && stage == Some(StageArg::Acknowledged) {
        complain("nothing ACKNOWLEDGED is stuck: leave out --stuck or choose another --stage");
        return Ok(ExitCode::from(exit::USAGE));
    }
    let query = ListQuery { stage: stage.map(StageArg::stage), stuck, older_than, limit };
    operate(target, async |operator| {
        let mut begun = false;
        let listing = operator
            .list(&query, |row| {
                print(&if json { json_row(row, begun) } else { table_row(row, begun) });
                begun = true;
            })
            .await?;
        print(&if json { json_end(&listing, begun) } else { table_end(&listing, begun) });
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
    let head =
        format!("{:<36} {:<8} {:>4} {:>5} reason\n", "registration", "stage", "age", "tries");
    let old = row.age_ms.map_or_else(|| "?".to_owned(), age);
    let start = format!(
        "{:<36} {:<8} {old:>4} {:>5} ",
        row.row.registration_id.to_string(),
        row.row.stage.as_str(),
        row.tries
    );
    let room = COLUMNS.saturating_sub(start.chars().count());
    let line = format!("{start}{}", cut(&row.reason, room));
    format!("{}{}\n", if begun { "" } else { head.as_str() }, line.trim_end())
}

fn table_end(listing: &Listing, begun: bool) -> String {
    let mut lines = Vec::new();
    if begun {
        lines.push(String::new());
    }
    lines.push(match listing.listed {
        0 => "no registration to list".to_owned(),
        n if listing.more => format!("{n} registrations, and more: raise --limit"),
        1 => "1 registration".to_owned(),
        n => format!("{n} registrations"),
    });
    if let Some(letters) = &listing.dead_letters {
        lines.push(match letters.total {
            0 => "no dead letters".to_owned(),
            1 => "1 dead letter".to_owned(),
            n => format!("{n} dead letters"),
        });
        lines.extend(letters.by_reason.iter().map(|(why, count)| format!("{count:>8} {why}")));
        if letters.looked_at < letters.total {
            lines.push(format!("  of the first {}", letters.looked_at));
        }
    }
    lines.extend(listing.unreachable.iter().map(|who| format!("not asked: {who}")));
    lines.join("\n") + "\n"
}
