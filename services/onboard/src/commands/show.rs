//! `onboard show`: the whole record of one registration, or of another event, with every
//! missing link named and what to do next.

use std::fmt::Write as _;
use std::process::ExitCode;

use onboard_auth::email;
use onboard_contract::EventId;
use onboard_events::user_registered::USER_REGISTERED;
use onboard_ops::{Record, Subject};
use onboard_runtime::exit;
use onboard_temporal::command;

use super::operate::{OperateArgs, complain, print, run as operate, wrapped, wrapped_command};

/// Arguments of `onboard show`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The id of a registration or of another event, or a user's e-mail address. Also
    /// the id of an outbox row that is no event's, as `onboard list` names it.
    #[arg(value_name = "ID or E-MAIL")]
    subject: String,
    #[command(flatten)]
    operate: OperateArgs,
}

fn subject(text: &str) -> Subject {
    if let Ok(event) = text.parse::<EventId>() {
        return Subject::Registration(event);
    }
    match email::candidates(text) {
        forms if forms.is_empty() => Subject::Odd(text.to_owned()),
        forms => Subject::Email(forms),
    }
}

/// Shows; done only when nothing is missing.
pub(crate) fn run(args: ShowArgs) -> anyhow::Result<ExitCode> {
    let ShowArgs { subject, operate: target } = args;
    let json = target.json;
    operate(target, async |operator| {
        let subject = self::subject(&subject);
        let Some(record) = operator.show(&subject).await? else {
            if let Subject::Odd(_) = subject {
                complain("neither a registration's id (a UUID), nor an e-mail address, nor a row");
                return Ok(exit::USAGE);
            }
            complain("nothing is known about it: no user, no row, no workflow, no message");
            return Ok(exit::NO);
        };
        if json {
            print(&format!("{}\n", serde_json::to_string_pretty(&record).unwrap_or_default()));
        } else {
            print(&text(&record));
        }
        Ok(match (record.complete, record.unreachable.is_empty()) {
            (true, _) => exit::DONE,
            (false, true) => exit::NO,
            (false, false) => exit::UNAVAILABLE,
        })
    })
}

/// What a registration has.
const PARTS: [&str; 6] = ["user", "outbox", "workflow", "confirm", "inbox", "todo"];

/// A value of the record as JSON has it, so that both say the same.
fn text(record: &Record) -> String {
    let value = serde_json::to_value(record).unwrap_or_default();
    let mut text = String::new();
    let id = record.registration_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let registration = record.is_registration();
    writeln!(text, "{:<13} {id}", if registration { "registration" } else { "event" }).ok();
    let (all, of_any_event) = (&PARTS[..], &["outbox", "workflow", "confirm"][..]);
    if record.odd_row.is_some() {
        section(&mut text, "row", value.get("oddRow"));
    }
    for name in if registration { all } else { of_any_event } {
        let name = *name;
        section(&mut text, name, value.get(name));
        if name == "outbox" {
            consumers(&mut text, record);
        }
    }
    for name in ["deadLetters", "redrives"] {
        for entry in value.get(name).and_then(|list| list.as_array()).into_iter().flatten() {
            section(&mut text, name.trim_end_matches('s'), Some(entry));
        }
    }
    for (heading, lines) in
        [("missing", &record.missing), ("note", &record.notes), ("not asked", &record.unreachable)]
    {
        for line in lines {
            writeln!(text, "{}", wrapped(heading, line)).ok();
        }
    }
    for line in &record.next {
        let command = command::BEGINS.iter().any(|begin| line.starts_with(begin));
        let folded = if command { wrapped_command("next", line) } else { wrapped("next", line) };
        writeln!(text, "{folded}").ok();
    }
    writeln!(text, "{}", if record.complete { "complete" } else { "not complete" }).ok();
    text
}

/// Said where a row expects more than the todo service, or did.
fn consumers(text: &mut String, record: &Record) {
    let plain = matches!(&*record.consumers, [one] if one.consumer == onboard_events::TODO);
    let mut name = "consumers";
    for one in record.consumers.iter().filter(|_| !plain) {
        writeln!(text, "{}", wrapped(name, &one.words())).ok();
        name = "";
    }
}

fn section(text: &mut String, name: &str, part: Option<&serde_json::Value>) {
    let Some(fields) = part.and_then(|part| part.as_object()) else {
        writeln!(text, "{name:<13} -").ok();
        return;
    };
    let mut name = name;
    // That of a registration goes without saying.
    let says_nothing = |field: &str, value: &serde_json::Value| {
        field == "awaited" || (field == "eventType" && value == USER_REGISTERED)
    };
    for (field, value) in fields.iter().filter(|(field, value)| !says_nothing(field, value)) {
        let value = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        writeln!(text, "{}", wrapped(name, &format!("{field} {value}"))).ok();
        name = "";
    }
}
