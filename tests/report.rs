//! Prints what the integration tests that ran just before cost (the harness'
//! `costs` writes it): the slowest, and where the seconds and the CPU went.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a report of the tests"
)]

use std::path::Path;

use serde_json::Value;

const SLOWEST: usize = 20;
const PHASES: [&str; 8] =
    ["Servers", "Setup", "Start", "Registration", "Command", "Waiting", "Finish", "Body"];

fn main() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("costs.json");
    // Without integration tests there is nothing to report.
    let Ok(text) = std::fs::read_to_string(&file) else { return };
    std::fs::remove_file(&file).unwrap();
    let costs: Value = serde_json::from_str(&text).unwrap();
    slowest(&costs);
    phases(&costs);
    programs(&costs);
    let (wall, cpu) = (number(&costs["seconds"]), number(&costs["cpuSeconds"]));
    println!("\nall integration tests: {wall:.0} s, {cpu:.0} CPU seconds, servers included");
}

fn slowest(costs: &Value) {
    let mut tests: Vec<&Value> = costs["tests"].as_array().unwrap().iter().collect();
    tests.sort_by(|one, other| number(&other["seconds"]).total_cmp(&number(&one["seconds"])));
    println!(
        "\nthe slowest tests: seconds in all, of which servers, setup, start, waiting, finish"
    );
    for test in tests.iter().take(SLOWEST) {
        print!("{:7.1}", number(&test["seconds"]));
        for phase in ["Servers", "Setup", "Start", "Waiting", "Finish"] {
            print!("{:6.1}", number(&test["phases"][phase]));
        }
        println!("  {}", test["name"].as_str().unwrap());
    }
}

fn phases(costs: &Value) {
    println!("\nphase of a test      seconds  CPU seconds");
    for phase in PHASES {
        let of = |what: &str| number(&costs["phases"][what][phase]);
        println!("{phase:<18}{:>10.0}{:>13.0}", of("seconds"), of("cpuSeconds"));
    }
}

fn programs(costs: &Value) {
    let programs = costs["programs"].as_object().unwrap();
    let mut programs: Vec<_> = programs.iter().collect();
    programs.sort_by(|one, other| number(&other.1[0]).total_cmp(&number(&one.1[0])));
    println!("\nprogram          processes  CPU seconds");
    for (program, of) in programs.iter().filter(|(_, of)| number(&of[0]) >= 1.0) {
        println!("{program:<18}{:>8}{:>13.0}", of[1], number(&of[0]));
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}
