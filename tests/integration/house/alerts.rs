//! Alerts, their cases, the runbook, the tests of the runbook and the dashboard
//! belong together: nothing of one is missing in another.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use syn::visit::{self, Visit};

use crate::harness::{Entry, Prometheus, RULES};

const OBSERVABILITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/observability");

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(OBSERVABILITY).join(file)).unwrap()
}

/// The names in `alerts.yml`.
fn alerts() -> BTreeSet<String> {
    let rules = std::fs::read_to_string(RULES).unwrap();
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 15, "{names:?}");
    names
}

#[test]
fn every_alert_has_a_case_that_fires_and_one_that_does_not() {
    let cases = read("alerts_test.yml") + &read("alerts_long_test.yml");
    for alert in alerts() {
        let silent = format!("alertname: {alert}, exp_alerts: [] }}");
        assert!(cases.contains(&silent), "{alert} is never silent");
        let fires =
            cases.contains(&format!("alertname: {alert}\n        exp_alerts:\n          - "));
        assert!(fires, "{alert} never fires");
    }
}

#[tokio::test]
async fn every_alert_says_what_to_do_and_leads_to_its_entry_of_the_runbook() {
    let prometheus = Prometheus::watch(&[]).await;
    let rules = prometheus.rules().await;
    let rules: Vec<&Value> = rules.iter().filter(|rule| rule["type"] == "alerting").collect();
    assert_eq!(rules.len(), alerts().len());
    for rule in rules {
        let name = rule["name"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["page", "ticket"].contains(&severity), "{name}: {severity:?}");
        let notes = &rule["annotations"];
        for note in ["summary", "description"] {
            assert!(notes[note].as_str().is_some_and(|text| text.len() > 10), "{name}: {note}");
        }
        let url = notes["runbook_url"].as_str().unwrap_or_default();
        let anchor = url.strip_prefix("docs/runbook.md#").unwrap_or_default();
        let entry = Entry::all().into_iter().find(|entry| slug(&entry.title) == anchor);
        let entry = entry.unwrap_or_else(|| panic!("{name} leads to {url:?}, which is not there"));
        assert!(entry.alerts().iter().any(|alert| alert == name), "{:?} of {name}", entry.title);
    }
}

/// An anchor as GitHub makes it of a title.
fn slug(title: &str) -> String {
    let kept = |char: &char| char.is_alphanumeric() || [' ', '-', '_'].contains(char);
    title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_into_the_runbook_leads_to_an_entry() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("README.md"), Path::new(OBSERVABILITY).join("README.md")];
    files_below(&root.join("docs"), "md", &mut files);
    let anchors: BTreeSet<String> = Entry::all().iter().map(|entry| slug(&entry.title)).collect();
    let mut links = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let own = file.ends_with("docs/runbook.md");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let Some((place, anchor)) = link.split_once('#') else { continue };
            if place.ends_with("runbook.md") || (own && place.is_empty()) {
                links += 1;
                assert!(anchors.contains(anchor), "{} links to {link}", file.display());
            }
        }
    }
    assert!(links > 10, "{links}");
}

#[test]
fn every_entry_names_its_alerts_or_is_an_operation_and_has_all_its_parts() {
    let known = alerts();
    for entry in Entry::all() {
        let named = entry.alerts();
        assert!(named.iter().all(|alert| known.contains(alert)), "{:?}: {named:?}", entry.title);
        let operation = entry.is_operation();
        assert!(
            operation || !named.is_empty(),
            "{:?} has no line Alert: and none Operation.",
            entry.title
        );
        let parts: &[&[&str]] = if operation {
            &[&["When", "Symptom"], &["Steps", "Fix"], &["Verify"]]
        } else {
            &[&["Symptom"], &["Meaning"], &["Check"], &["Fix"], &["Verify"], &["Prevent"]]
        };
        for one_of in parts {
            assert!(one_of.iter().any(|part| entry.has(part)), "{:?}: {one_of:?}", entry.title);
        }
    }
}

/// `Entry::named("…")` in the tests' own sources.
#[derive(Default)]
struct Exercised(BTreeSet<String>);

impl<'ast> Visit<'ast> for Exercised {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = &*call.func
            && let [.., entry, named] = &path.path.segments.iter().collect::<Vec<_>>()[..]
            && entry.ident == "Entry"
            && named.ident == "named"
            && let Some(syn::Expr::Lit(title)) = call.args.first()
            && let syn::Lit::Str(title) = &title.lit
        {
            self.0.insert(title.value());
        }
        visit::visit_expr_call(self, call);
    }
}

fn files_below(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            files_below(&entry.path(), extension, found);
        } else if entry.path().extension().is_some_and(|its| its == extension) {
            found.push(entry.path());
        }
    }
}

#[test]
fn every_entry_of_the_runbook_is_exercised_by_a_test() {
    let mut files = Vec::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration");
    files_below(&here, "rs", &mut files);
    let mut exercised = Exercised::default();
    for file in files {
        exercised.visit_file(&syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap());
    }
    let titles: BTreeSet<String> = Entry::all().into_iter().map(|entry| entry.title).collect();
    assert!(titles.len() > 10, "{titles:?}");
    let left: Vec<_> = titles.difference(&exercised.0).collect();
    assert!(left.is_empty(), "no test follows these entries: {left:#?}");
}

/// Metrics of the exporters and of Prometheus itself, not named in our sources.
const FOREIGN: [&str; 4] = ["up", "ALERTS", "process_", "temporal_"];

/// Every string in the sources of the program that could name a metric.
fn metrics_of_the_program() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for part in ["services", "crates", "activities", "events", "workflows"] {
        files_below(&root.join(part), "rs", &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let quoted = text.split('"');
        names.extend(quoted.filter(|word| is_name(word)).map(str::to_owned));
    }
    names
}

fn is_name(word: &str) -> bool {
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    word.contains('_') && word.chars().all(plain)
}

/// The metrics an expression names: words before `{`, `[`, `)` or at its end
/// that look like one of ours.
fn named(expression: &str) -> Vec<String> {
    let mut plain = String::new();
    let (mut in_braces, mut in_quotes) = (false, false);
    for char in expression.chars() {
        match char {
            '"' => in_quotes = !in_quotes,
            '{' if !in_quotes => in_braces = true,
            '}' if !in_quotes => in_braces = false,
            _ if in_braces || in_quotes => (),
            _ => plain.push(char),
        }
    }
    let word = |char: char| !(char.is_ascii_alphanumeric() || char == '_' || char == ':');
    let words = plain.split(word);
    let functions = ["histogram_quantile", "failure_reason", "__rate_interval"];
    words
        .filter(|word| (word.contains('_') || *word == "up") && !functions.contains(word))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_panel_of_the_dashboard_and_every_rule_asks_for_metrics_that_exist() {
    let known = metrics_of_the_program();
    let prometheus = Prometheus::watch(&[]).await;
    let rules = prometheus.rules().await;
    let recorded: BTreeSet<&str> = rules.iter().filter_map(|rule| rule["name"].as_str()).collect();
    let mut asked: Vec<String> =
        rules.iter().map(|rule| rule["query"].as_str().unwrap().to_owned()).collect();
    let dashboard: Value = serde_json::from_str(&read("grafana/dashboards/onboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    for target in panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
        asked.push(target["expr"].as_str().unwrap().replace("$__rate_interval", "1m"));
    }
    assert!(asked.len() > 70, "{}", asked.len());
    for expression in asked {
        prometheus.query(&expression).await;
        for name in named(&expression) {
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
            let exists = known.contains(&name)
                || base.is_some_and(|base| known.contains(base))
                || recorded.contains(name.as_str())
                || FOREIGN.iter().any(|foreign| name.starts_with(foreign));
            assert!(exists, "nothing makes {name}, which is asked for in {expression}");
        }
    }
}
