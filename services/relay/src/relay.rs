//! The relay's four stops and the channels between them.
//!
//! `hand_over` takes new rows and `sweep` claims late ones (`claim`), `start` starts their
//! workflows, `note` writes that down. They run side by side, with bounded channels between
//! them: when one is slow, those before it wait, and the change stream lets rows go
//! to the sweep. When the shutdown begins nothing more is taken; what was
//! taken is started and noted. A crash anywhere leaves rows due, or lets them become due again.
//! Beside them `room` holds back, `rebuild` looks for lost workflows and `mend` for rows
//! that no other look finds, the latter two in the relay that leads (`lead`). `share` says
//! which rows are this relay's. Each stop takes what it needs, and no stop knows another.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use onboard_outbox::relays::Relays;
use onboard_outbox::{Outbox, watch_outbox};
use onboard_runtime::{Shutdown, Tasks};
use onboard_temporal::Temporal;
use tokio::sync::mpsc;

use crate::claim::Claims;
use crate::config::Settings;
use crate::hand_over::{self, Accept};
use crate::held::Held;
use crate::input::Input;
use crate::lead::Lead;
use crate::rebuild::{self, Rebuild};
use crate::room::{self, Count, Room};
use crate::servers::Servers;
use crate::share::Share;
use crate::start::{self, Starts};
use crate::sweep::{self, Sweep};
use crate::{mend, note};

/// How long rows in work may take once the process is asked to stop.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// Rows that wait to be started, beside the page they come from:
/// enough to bridge the claim of the next page.
const AHEAD: usize = 16;

/// Runs the four stops in the background.
pub(crate) fn spawn(
    (outbox, temporal): (&Outbox, &Temporal),
    settings: Settings,
    (lead, share, relays): (&Lead, Share, Relays),
    (tasks, shutdown): (&Tasks, &Shutdown),
) {
    let (held, room) = (Held::default(), Arc::new(Room::default()));
    let servers = Arc::new(Servers::new(settings.claim_lease));
    let concurrency = usize::try_from(settings.concurrency).unwrap_or(1);
    let input = Input { overdue: settings.overdue, plan: settings.plan };
    let claims = Claims {
        outbox: outbox.clone(),
        servers: Arc::clone(&servers),
        lease: settings.claim_lease,
        concurrency,
    };
    let (handed, taken) = mpsc::channel(hand_over::WAITING_MAX);
    let (ready, to_start) = mpsc::channel(AHEAD);
    let (started, to_note) = mpsc::channel(note::WAITING_MAX);

    let watching = Accept {
        held: held.clone(),
        share: share.clone(),
        room: Arc::clone(&room),
        servers: Arc::clone(&servers),
        handed,
    };
    let (watched, stop) = (outbox.clone(), shutdown.clone());
    tasks.spawn("watch the outbox", async move {
        watch_outbox(watched, |inserted| watching.accept(inserted), stop).await;
    });
    let quick = hand_over::run(temporal.clone(), taken, ready.clone(), shutdown.clone());
    tasks.spawn("hand over", quick);
    let (changes, of_sharing) = (share.clone(), Arc::clone(&servers));
    tasks.spawn("share", hand_over::look_at_changes(changes, of_sharing, shutdown.clone()));
    let complete = Sweep {
        temporal: temporal.clone(),
        claims,
        held,
        share,
        room: Arc::clone(&room),
        interval: settings.sweep_interval,
    };
    tasks.spawn("sweep", sweep::run(complete, ready, shutdown.clone()));
    let starts = Starts {
        outbox: outbox.clone(),
        temporal: temporal.clone(),
        servers: Arc::clone(&servers),
        room: Arc::clone(&room),
        input,
        concurrency,
        passed_at_ms: AtomicI64::new(0),
    };
    tasks.spawn("start", start::run(starts, to_start, started, shutdown.clone()));
    let lost = Rebuild {
        outbox: outbox.clone(),
        temporal: temporal.clone(),
        room: Arc::clone(&room),
        input,
        after: settings.rebuild_after,
        rate: settings.rebuild_rate,
        concurrency,
    };
    tasks.spawn("rebuild", rebuild::run(lost, lead.clone(), shutdown.clone()));
    let (of_mending, stop) = (Arc::clone(&servers), shutdown.clone());
    let mending = mend::run(outbox.clone(), of_mending, lead.clone(), stop);
    tasks.spawn("unfinished rows", mending);
    let count = Count {
        outbox: outbox.clone(),
        relays,
        lead: lead.clone(),
        most: u64::from(settings.unsent_max),
    };
    tasks.spawn("room", room::run(room, count, shutdown.clone()));
    tasks.spawn("note", note::run(outbox.clone(), servers, to_note, shutdown.clone()));
}
