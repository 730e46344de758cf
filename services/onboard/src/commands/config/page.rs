//! How the settings are printed.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::columns::{folded, row};
use super::settings::Setting;

const INDENT: usize = 4;

const HEAD: &str = "\
# Settings

Every environment variable of every service and tool, printed by `onboard config --markdown` from the
definitions that read them; a test holds this page to them. Each has a flag of the same meaning, which
wins over the variable. A variable with a `_FILE` variant may be given as the file that holds the value.
Secrets are never printed, not even by `--help`. A process checks all of its settings before it does
anything, names every problem at once and ends with exit code 64. OpenTelemetry's SDK reads a few more by
itself (headers, time-outs, attributes, batches): [tracing](tracing.md#switching-it-on).
";

/// For people on a terminal.
pub(super) fn text(settings: &[Setting], columns: usize) -> String {
    let mut text = String::new();
    let width = settings.iter().map(|one| one.variable.len()).max().unwrap_or_default();
    for (section, members) in sections(settings) {
        writeln!(text, "{section}").ok();
        for one in members {
            let secret = if one.file.is_some() { ", secret" } else { "" };
            let start = format!("  {:<width$}  ", one.variable);
            let first = row(&start, &format!("{}{secret}", one.default), columns);
            writeln!(text, "{first}").ok();
            for words in [&one.meaning, &format!("For: {}.", one.subcommands.join(", "))] {
                writeln!(text, "{:INDENT$}{}", "", folded(words, INDENT, columns)).ok();
            }
        }
        text.push('\n');
    }
    text
}

/// For programs.
pub(super) fn json(settings: &[Setting]) -> String {
    let all: Vec<Value> = settings
        .iter()
        .map(|one| {
            json!({
                "variable": one.variable,
                "flag": one.flag,
                "default": one.default,
                "secret": one.file.is_some(),
                "file": one.file,
                "section": one.section,
                "subcommands": one.subcommands,
                "meaning": one.meaning,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "settings": all }))
}

/// The page of the documentation.
pub(super) fn markdown(settings: &[Setting]) -> String {
    let mut page = HEAD.to_owned();
    for (section, members) in sections(settings) {
        write!(page, "\n## {section}\n\n").ok();
        page.push_str("| variable | default | who reads it | meaning |\n|---|---|---|---|\n");
        for one in members {
            let secret = if one.file.is_some() { "Secret. " } else { "" };
            let file = one.file.as_ref().map(|file| format!(" Or `{file}`.")).unwrap_or_default();
            let flag = one.flag.as_ref().map(|flag| format!("<br>`{flag}`")).unwrap_or_default();
            writeln!(
                page,
                "| `{}`{flag} | {} | {} | {secret}{}{file} |",
                one.variable,
                cell(&one.default),
                one.subcommands.join(", "),
                cell(&one.meaning),
            )
            .ok();
        }
    }
    page
}

fn sections(settings: &[Setting]) -> Vec<(&str, Vec<&Setting>)> {
    let mut sections: Vec<(&str, Vec<&Setting>)> = Vec::new();
    for one in settings {
        match sections.last_mut() {
            Some((section, members)) if *section == one.section => members.push(one),
            _ => sections.push((&one.section, vec![one])),
        }
    }
    sections
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
