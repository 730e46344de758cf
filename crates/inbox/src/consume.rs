//! Everything that a consumer runs, put together.

use std::sync::Arc;

use onboard_broker::Consumer;
use onboard_runtime::{Shutdown, Tasks};

use crate::acknowledger::Acknowledger;
use crate::backlog::Backlog;
use crate::groups::GroupedInbox;
use crate::handler::Handler;
use crate::{Acknowledge, Effect, Inbox, SweepSettings, sweep};

/// What a consumer is put together from.
pub struct Consuming<F, A> {
    /// Brings the messages.
    pub consumer: Consumer,
    /// Where the records are.
    pub inbox: Inbox,
    /// What the consumer makes of an event.
    pub effect: F,
    /// How the consumer acknowledges.
    pub acknowledge: A,
    /// When it looks for what it has not acknowledged.
    pub sweep: SweepSettings,
}

impl<F: Effect, A: Acknowledge> Consuming<F, A> {
    /// Starts to consume, to acknowledge and to sweep, until the shutdown.
    pub fn start(self, tasks: &Tasks, shutdown: Shutdown) {
        let Self { consumer, inbox, effect, acknowledge, sweep } = self;
        let (inbox, backlog) = (GroupedInbox::new(inbox, effect), Arc::new(Backlog::default()));
        let (to, noting) = (acknowledge.clone(), inbox.clone());
        let acknowledger =
            Acknowledger::start(to, noting, backlog.clone(), tasks, shutdown.clone());
        let sweep = sweep::run(acknowledge, inbox.clone(), backlog, sweep, shutdown.clone());
        tasks.spawn("acknowledgement sweep", sweep);
        let queue = consumer.queue().name.clone();
        let handler = Handler::new(inbox, acknowledger, queue, shutdown.clone());
        let consume = consumer.run(move |message| handler.clone().handle(message), shutdown);
        tasks.spawn("consumer", consume);
    }
}
