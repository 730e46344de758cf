//! Resident memory of each service, at rest and under load.
//!
//! `VmRSS` of `/proc/<pid>/status`: it counts the program's own pages too,
//! which all services share. So what a service has for itself (`RssAnon`) is
//! shown beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use onboard_auth::hash::calibrate::threads_default;
use onboard_chaos::Live;
use tokio::time::interval;

use crate::bed::AUTH;
use crate::load::People;
use crate::register::CLIENTS;
use crate::rest::at_rest;
use crate::{Bed, Figure, Scale, Scenario, Target};

const LOOK_EVERY: Duration = Duration::from_millis(250);
const REST: Duration = Duration::from_mins(5);
/// The memory of one hash.
const HASH_MIB: f64 = 19.0;

/// Resident and anonymous memory in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Resident {
    pub(crate) all_mib: f64,
    pub(crate) own_mib: f64,
}

pub(crate) async fn run(bed: &Bed, scale: Scale, live: &Live) -> anyhow::Result<Vec<Figure>> {
    let idle = look(bed)?;
    let length = scale.pick(Duration::from_secs(20), Duration::from_secs(2));
    let (people, url) = (People::new()?, bed.register_url(AUTH)?);
    let mongo = bed.mongo().await?;
    let work = async {
        people.closed(&url, CLIENTS, length).await;
        at_rest(&mongo, REST, live).await
    };
    let mut peak = BTreeMap::new();
    let watched = meanwhile(work, || {
        raise(&mut peak, look(bed)?);
        Ok(())
    });
    watched.await??;
    let hashing = f64::from(u32::try_from(threads_default()).unwrap_or(1)) * HASH_MIB;
    let mut figures = Vec::new();
    for service in bed.services() {
        let (idle, peak) = (of(&idle, service), of(&peak, service));
        let apart = if service == AUTH { hashing } else { 0.0 };
        figures.push(named(service, "idle", idle.all_mib).aim(Target::AtMost(20.0)));
        figures.push(named(service, "idle, its own", idle.own_mib));
        let loaded = (peak.all_mib - apart).max(0.0);
        figures.push(named(service, "under load", loaded).aim(Target::AtMost(60.0)));
        figures.push(named(service, "under load, its own", (peak.own_mib - apart).max(0.0)));
    }
    Ok(figures)
}

/// Looks again and again while the work goes on.
pub(crate) async fn meanwhile<T>(
    work: impl Future<Output = T>,
    mut look: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<T> {
    let mut work = std::pin::pin!(work);
    let mut clock = interval(LOOK_EVERY);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            _ = clock.tick() => look()?,
        }
    }
}

type Memory = BTreeMap<&'static str, Resident>;

fn look(bed: &Bed) -> anyhow::Result<Memory> {
    bed.services().map(|service| Ok((service, resident(bed, service)?))).collect()
}

/// What a component holds now.
pub(crate) fn resident(bed: &Bed, component: &str) -> anyhow::Result<Resident> {
    let pid = bed.component(component)?.status().pid;
    let pid = pid.with_context(|| format!("{component} does not run"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
    };
    let found = mib("VmRSS:").zip(mib("RssAnon:"));
    let (all_mib, own_mib) = found.with_context(|| format!("{component} shows no memory"))?;
    Ok(Resident { all_mib, own_mib })
}

fn raise(peak: &mut Memory, now: Memory) {
    for (service, now) in now {
        let peak = peak.entry(service).or_default();
        peak.all_mib = peak.all_mib.max(now.all_mib);
        peak.own_mib = peak.own_mib.max(now.own_mib);
    }
}

fn of(memory: &Memory, service: &str) -> Resident {
    memory.get(service).copied().unwrap_or_default()
}

fn named(service: &str, when: &str, mib: f64) -> Figure {
    Figure::new(Scenario::Memory, &format!("{service}, {when}"), mib, "MiB")
}
