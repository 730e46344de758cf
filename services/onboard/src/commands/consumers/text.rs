//! What `onboard consumers` says to people.

use std::fmt::Write as _;

use onboard_contract::ConsumerName;
use onboard_events::user_registered::USER_REGISTERED;
use onboard_http::timestamp::rfc3339;
use onboard_ops::{Backfilled, Retired, Standing};

use super::super::columns::{columns, fitted, folded};
use super::super::operate::{age, indented_command, wrapped};

/// Columns of everything in a line but the two names.
const NUMBERS: usize = 48;

/// One line per consumer, then what is wrong with them.
pub(super) fn table(consumers: &[Standing], columns: usize) -> String {
    let widest = |name: fn(&Standing) -> &str, head: &str| {
        let names = consumers.iter().map(|one| name(one).len());
        names.chain([head.len()]).max().unwrap_or_default()
    };
    let name = widest(|one| one.consumer.as_str(), "consumer");
    let queue = widest(|one| &one.queue, "queue");
    // The name of a queue follows from that of its consumer.
    let queue = if NUMBERS + name + queue <= columns { queue } else { 0 };
    let mut text = String::new();
    let head = ["consumer", "queue", "ready", "dead", "awaited", "oldest", ""];
    line(&mut text, (name, queue), head.map(str::to_owned));
    for one in consumers {
        let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let oldest = one.oldest_age_ms.map_or_else(|| "-".to_owned(), |ms| age(ms.max(0)));
        let cells = [
            one.consumer.to_string(),
            one.queue.clone(),
            number(one.messages),
            number(one.dead_letters),
            one.awaited.to_string(),
            oldest,
            if one.retired_at.is_some() { "retired".to_owned() } else { String::new() },
        ];
        line(&mut text, (name, queue), cells);
    }
    for one in consumers {
        for problem in &one.problems {
            writeln!(text, "{:<13} {}", "problem", folded(problem, 14, columns)).ok();
        }
    }
    text
}

fn line(text: &mut String, (name, queue): (usize, usize), columns: [String; 7]) {
    let [consumer, in_queue, ready, dead, awaited, oldest, state] = columns;
    let in_queue = if queue == 0 { String::new() } else { format!("{in_queue:<queue$} ") };
    let line = format!(
        "{consumer:<name$} {in_queue}{ready:>8} {dead:>7} {awaited:>7} {oldest:>6} {state}"
    );
    writeln!(text, "{}", line.trim_end()).ok();
}

/// What a backfill came to.
pub(super) fn backfilled(report: &Backfilled) -> String {
    let mut text = String::new();
    let (rows, consumer) = (report.rows, &report.consumer);
    let since = rfc3339(report.since);
    if report.dry_run {
        writeln!(text, "{rows} rows since {since} would expect {consumer}").ok();
    } else {
        writeln!(text, "{rows} rows since {since} were made to expect {consumer}").ok();
        writeln!(
            text,
            "{} workflows were started again; the relay sees to {} others",
            report.started, report.left_to_relay
        )
        .ok();
    }
    match report.oldest_row_at {
        Some(oldest) => writeln!(text, "rows reach back to {}", rfc3339(oldest)).ok(),
        None => writeln!(text, "there are no rows").ok(),
    };
    if let Some(before) = report.removed_before.filter(|before| *before > report.since) {
        let before = rfc3339(before);
        writeln!(text, "retention has removed rows from before {before}: their events are gone")
            .ok();
    }
    text.push_str(&recorded(report.dry_run, &report.run_id, &report.actor));
    fitted(&text, columns())
}

/// What a retirement came to.
pub(super) fn retired(report: &Retired, commands: &[String]) -> String {
    let consumer = &report.consumer;
    let mut text = format!(
        "{consumer} is retired: {} rows await it no more, {} workflows were told\n",
        report.rows, report.told
    );
    if report.not_told > 0 {
        writeln!(text, "{} workflows took no signal: run the command again", report.not_told).ok();
    }
    if report.still_awaited > 0 {
        writeln!(text, "{} new rows await it: see the warning", report.still_awaited).ok();
    }
    let mut text = fitted(&text, columns());
    writeln!(text, "{}", wrapped("warning", &warning(consumer))).ok();
    let what = "Its queue still gets every event. To unbind and delete it, messages included:";
    text.push_str(&fitted(what, columns()));
    for command in commands {
        writeln!(text, "{}", indented_command(command, 2)).ok();
    }
    text.push_str(&fitted(&recorded(false, &report.run_id, &report.actor), columns()));
    text
}

/// What an operator must do about processes that still have the setting.
pub(super) fn warning(consumer: &ConsumerName) -> String {
    format!(
        "new rows await {consumer} as long as an auth process has it in its setting: take \
         {consumer}:{USER_REGISTERED} out of EXTRA_CONSUMERS of every auth process and of \
         `onboard setup`, restart the auth processes, then run `onboard consumers retire \
         {consumer}` again"
    )
}

fn recorded(dry_run: bool, run: &str, actor: &str) -> String {
    if dry_run {
        "nothing was done (--dry-run)\n".to_owned()
    } else {
        format!("recorded as run {run} by {actor}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(name: &str) -> Standing {
        Standing {
            consumer: name.parse().unwrap(),
            queue: format!("{name}.user_registered"),
            dead_letter_queue: format!("{name}.user_registered.dlq"),
            messages: Some(1_000_000),
            dead_letters: None,
            awaited: 10_000,
            oldest_at: Some(0),
            oldest_age_ms: Some(7_200_000),
            retired_at: Some(0),
            problems: vec![format!("the queue {name}.user_registered.dlq is missing: run it")],
        }
    }

    #[test]
    fn the_table_fits_a_terminal_whatever_the_names() {
        let short = table(&[standing("crm")], 80);
        assert!(
            short.contains("crm.user_registered  1000000       -   10000     2h retired"),
            "{short}"
        );
        let long = table(&[standing("crm"), standing(&"a".repeat(32))], 80);
        for text in [short, long] {
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }
}
