//! Every metric the program records is in the catalogue, whether a test makes
//! it happen or not: so it has a help text, begins at zero, and is documented.

use std::collections::BTreeSet;
use std::path::Path;

use onboard::metrics::catalogue;

use super::steps::sources;

#[test]
fn what_is_recorded_is_what_is_in_the_catalogue() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let code = ["activities", "crates", "events", "services", "workflows"];
    let recorded: BTreeSet<String> = code
        .iter()
        .flat_map(|code| sources(&root.join(code)))
        .flat_map(|file| recorded(&std::fs::read_to_string(file).unwrap()))
        .collect();
    let known: BTreeSet<String> =
        catalogue().iter().map(|(metric, _)| metric.name.to_owned()).collect();
    assert_eq!(recorded, known);
}

#[test]
fn a_metric_is_seen_wherever_its_name_stands() {
    let code = r#"metrics::counter!("a_total").increment(1); metrics::gauge!(
            "b", "stage" => stage).set(1.0); metrics::histogram!(name).record(1.0);
        #[cfg(test)] mod tests { fn f() { metrics::counter!("c_total"); } }"#;
    assert_eq!(recorded(code), ["a_total", "b"]);
}

/// The names in calls of the recording macros, tests apart.
fn recorded(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let calls = ["metrics::counter!(", "metrics::gauge!(", "metrics::histogram!("]
        .into_iter()
        .flat_map(|call| code.split(call).skip(1));
    let name =
        |call: &str| call.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned);
    calls.filter_map(name).collect()
}
