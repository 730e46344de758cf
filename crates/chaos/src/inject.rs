//! Carries the plan out, and remembers what was done.
//!
//! A fault whose target happens not to run at its moment (it was killed and is
//! about to come back) waits for it a little, is then skipped, and counted as
//! such. Whatever is broken for a while is mended by the same code path;
//! [`mend`] does it once more for everything, at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;
use onboard_stack::{Component, State};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::management::Management;
use crate::plan::{Fault, Kind, Plan};
use crate::stage::Stage;

/// How long a fault waits for a target that does not run.
const BEGUN_WITHIN: Duration = Duration::from_secs(10);
/// How long RabbitMQ may take to be there again.
const BOUND_WITHIN: Duration = Duration::from_mins(3);
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// What has been done, and what is broken now.
#[derive(Debug, Default)]
pub(crate) struct Injected {
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    done: Vec<Fault>,
    skipped: usize,
    now: BTreeMap<String, Kind>,
}

impl Injected {
    /// Faults done so far.
    pub(crate) fn count(&self) -> usize {
        self.log().done.len()
    }

    /// What is broken now.
    pub(crate) fn now(&self) -> BTreeMap<String, Kind> {
        self.log().now.clone()
    }

    /// Faults done, and how many were skipped.
    pub(crate) fn close(self) -> (Vec<Fault>, usize) {
        let log = self.log.into_inner().unwrap_or_else(PoisonError::into_inner);
        (log.done, log.skipped)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Breaks what the plan says, when it says so; ends when all is mended.
///
/// # Errors
/// The stage lacks a component of the plan.
pub(crate) async fn inject(stage: &Stage, plan: &Plan, injected: &Injected) -> anyhow::Result<()> {
    let began = Instant::now();
    let management = stage.management()?;
    let all = plan.faults.iter().map(|fault| {
        let (management, component) = (&management, stage.find(&fault.target));
        async move {
            let breaking = Breaking { component: component?, management, injected, fault };
            sleep_until(began + Duration::from_millis(fault.at_ms)).await;
            breaking.perform().await;
            anyhow::Ok(())
        }
    });
    join_all(all).await.into_iter().collect()
}

/// Ends every fault, wanted or forgotten: wakes, starts and binds everything.
pub(crate) async fn mend(stage: &Stage) -> anyhow::Result<()> {
    for component in stage.stack().components() {
        // One that does not run needs no waking; it is started.
        component.thaw().await.ok();
        component.request_start().await?;
    }
    // A request to unbind may have been carried out and not been answered.
    bind(&stage.management()?).await
}

struct Breaking<'a> {
    component: &'a Component,
    management: &'a Management,
    injected: &'a Injected,
    fault: &'a Fault,
}

impl Breaking<'_> {
    async fn perform(&self) {
        if !self.begun().await {
            self.injected.log().skipped += 1;
            return;
        }
        let Fault { target, kind, lasts_ms, .. } = self.fault;
        {
            let mut log = self.injected.log();
            log.done.push(self.fault.clone());
            log.now.insert(target.clone(), *kind);
        }
        sleep(Duration::from_millis(*lasts_ms)).await;
        self.end().await;
        self.injected.log().now.remove(target);
    }

    /// Begins as soon as the target runs; false when it does not for long.
    async fn begun(&self) -> bool {
        let until = Instant::now() + BEGUN_WITHIN;
        while self.begin().await.is_err() {
            if Instant::now() >= until {
                return false;
            }
            sleep(TRY_AGAIN).await;
        }
        true
    }

    async fn begin(&self) -> anyhow::Result<()> {
        match self.fault.kind {
            Kind::Kill => self.component.kill().await,
            Kind::Freeze => self.component.freeze().await,
            Kind::Restart if self.component.status().state == State::Stopped => {
                anyhow::bail!("it is stopped already")
            }
            Kind::Restart => self.component.stop().await,
            Kind::Disconnect => self.management.close_connections().await,
            Kind::Unbind => self.management.unbind().await,
        }
    }

    async fn end(&self) {
        let ended = match self.fault.kind {
            Kind::Kill | Kind::Disconnect => Ok(()),
            Kind::Freeze => self.component.thaw().await,
            Kind::Restart => self.component.request_start().await,
            Kind::Unbind => bind(self.management).await,
        };
        // Mended already: killed while it was frozen, for one. Settling starts
        // and wakes everything once more.
        drop(ended);
    }
}

/// The broker may be away just now; a binding is not forgotten for that.
async fn bind(management: &Management) -> anyhow::Result<()> {
    let bound = async {
        while management.bind().await.is_err() {
            sleep(TRY_AGAIN).await;
        }
    };
    let bound = timeout(BOUND_WITHIN, bound).await;
    bound.context("RabbitMQ does not take the queue's binding back")
}
