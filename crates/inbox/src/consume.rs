//! Everything that a consumer runs, put together.

use std::sync::Arc;
use std::time::Duration;

use onboard_broker::Consumer;
use onboard_runtime::{Shutdown, Tasks};
use onboard_temporal::Temporal;

use crate::acknowledger::Acknowledger;
use crate::backlog::Backlog;
use crate::groups::GroupedInbox;
use crate::handler::Handler;
use crate::sweep::SweepSettings;
use crate::{Inbox, retention, sweep};

/// When the tasks of a consumer do their work.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// When the sweep looks.
    pub sweep: SweepSettings,
    /// How long inbox records are kept whose outbox row is gone.
    pub retention: Duration,
}

/// Starts to consume, to acknowledge, to sweep and to remove old records, until
/// the shutdown.
pub fn consume(
    consumer: Consumer,
    inbox: &Inbox,
    temporal: Temporal,
    settings: Settings,
    tasks: &Tasks,
    shutdown: Shutdown,
) {
    let retention = retention::run(inbox.clone(), settings.retention, shutdown.clone());
    tasks.spawn("retention", retention);
    let (inbox, backlog) = (GroupedInbox::new(inbox.clone()), Arc::new(Backlog::default()));
    let (tell, told) = (temporal.clone(), inbox.clone());
    let acknowledger = Acknowledger::start(tell, told, backlog.clone(), tasks, shutdown.clone());
    let sweep = sweep::run(temporal, inbox.clone(), backlog, settings.sweep, shutdown.clone());
    tasks.spawn("acknowledgement sweep", sweep);
    let handler = Handler::new(inbox, acknowledger, shutdown.clone());
    let consume = consumer.run(move |message| handler.clone().handle(message), shutdown);
    tasks.spawn("consumer", consume);
}
