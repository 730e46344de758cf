//! `onboard calibrate`: what password hashing costs on this machine, and which
//! settings follow from it. Needs no server.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use onboard_auth::hash::calibrate::{Measured, measure_all, propose, reuse_gain, threads_default};
use onboard_runtime::{Problems, exit};
use serde_json::{Value, json};

/// What to aim at.
#[derive(Debug, clap::Args)]
pub(crate) struct CalibrateArgs {
    /// Time one hash may take: 1ms to 10s. Default: 250ms.
    #[arg(long)]
    target: Option<String>,
    /// Passwords hashed at the same time, 1 to 256. Default: the number of CPUs.
    #[arg(long, env = "HASH_THREADS")]
    threads: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &CalibrateArgs) -> anyhow::Result<ExitCode> {
    let mut problems = Problems::default();
    let target = problems.duration_or(
        "--target",
        args.target.as_deref(),
        Duration::from_millis(250),
        Duration::from_millis(1)..=Duration::from_secs(10),
    );
    let cpus = u32::try_from(threads_default()).unwrap_or(1).min(256);
    let threads = problems.number_or("HASH_THREADS", args.threads.as_deref(), cpus, 1..=256);
    let (target, threads) = problems.finish(Some((target, threads)))?;
    if !args.json {
        say(&head(target, threads));
    }
    let tell = |one: &Measured| {
        if !args.json {
            say(&line(one, threads));
        }
    };
    let all = measure_all(threads as usize, target, tell)?;
    let Some(proposed) = propose(&all, target) else {
        anyhow::bail!("nothing was measured");
    };
    let gain = reuse_gain()?;
    if args.json {
        say(&report(&all, &proposed, (target, threads), gain).to_string());
    } else {
        say(&foot(&proposed, (target, threads), gain));
    }
    Ok(ExitCode::from(exit::DONE))
}

fn head(target: Duration, threads: u32) -> String {
    format!(
        "argon2id on this machine, {threads} at the same time; target {} ms per hash\n\n\
         {:>10} {:>11} {:>9} {:>9} {:>10} {:>12}",
        target.as_millis(),
        "memory KiB",
        "iterations",
        "p50 ms",
        "p95 ms",
        "hashes/s",
        "memory MiB",
    )
}

fn line(one: &Measured, threads: u32) -> String {
    format!(
        "{:>10} {:>11} {:>9.1} {:>9.1} {:>10.1} {:>12}",
        one.memory_kib,
        one.iterations,
        ms(one.p50),
        ms(one.p95),
        one.hashes_per_s,
        all_memory_mib(one, threads),
    )
}

fn foot(proposed: &Measured, (target, threads): (Duration, u32), gain: f64) -> String {
    let verdict = if proposed.p95 <= target {
        "The strongest within the target:"
    } else {
        "Nothing is within the target; this is the fastest that is strong enough:"
    };
    format!(
        "\nThe last column is the memory of all hashes at once, and is kept.\n\
         Fresh memory for each hash would take {gain:.2} times as long.\n\n\
         {verdict}\n  \
         ARGON2_MEMORY_KIB={}\n  ARGON2_ITERATIONS={}\n  ARGON2_PARALLELISM=1\n  \
         HASH_THREADS={threads}",
        proposed.memory_kib, proposed.iterations,
    )
}

fn report(
    all: &[Measured],
    proposed: &Measured,
    (target, threads): (Duration, u32),
    gain: f64,
) -> Value {
    let row = |one: &Measured| {
        json!({
            "memoryKib": one.memory_kib,
            "iterations": one.iterations,
            "p50Ms": ms(one.p50),
            "p95Ms": ms(one.p95),
            "hashesPerSecond": one.hashes_per_s,
            "memoryMib": all_memory_mib(one, threads),
        })
    };
    json!({
        "targetMs": ms(target),
        "threads": threads,
        "measured": all.iter().map(row).collect::<Vec<_>>(),
        "proposed": row(proposed),
        "withinTarget": proposed.p95 <= target,
        "freshMemoryFactor": gain,
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn all_memory_mib(one: &Measured, threads: u32) -> u64 {
    (u64::from(one.memory_kib) * u64::from(threads)).div_ceil(1024)
}

fn say(text: &str) {
    // Standard output may be closed; then there is nobody to tell.
    writeln!(std::io::stdout().lock(), "{text}").ok();
}
