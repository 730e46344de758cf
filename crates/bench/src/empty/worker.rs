//! A worker for the real workflow whose activities do nothing but tell that
//! they ran; on a thread of its own, as the real one.

#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unused_async,
    reason = "the macro declares undocumented handles that only workflows would use, and wants \
              async functions"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use onboard_contract::workflow::{EventRef, PublishRef, Published, RecordRef};
use onboard_contract::{EventId, UserId};
use onboard_events::{Acknowledgement, TodoId};
use onboard_runtime::Shutdown;
use onboard_workflows::UserRegistration;
use onboard_workflows::activities::{
    CheckTodoAcknowledgement, MarkOutboxSent, PublishUserRegistered, RecordAcknowledgement,
};
use temporalio_client::Client;
use temporalio_sdk::activities::{ActivityContext, ActivityError, activities};
use temporalio_sdk::runtime::RuntimeOptions;
use temporalio_sdk::{Runtime, WorkerOptions};
use tokio::sync::{mpsc, oneshot};

/// More than the activities of a run tell: none of them ever waits.
const TOLD_MAX: usize = 16_384;
/// How long the last polls may take to end.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// What an activity tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// The publish of an event has begun.
    Publishing(EventId, Instant),
    /// The last activity of an event has run.
    Recorded(EventId, Instant),
}

#[derive(Debug, Clone)]
struct EmptyActivities {
    told: mpsc::Sender<Told>,
}

impl EmptyActivities {
    async fn tell(&self, told: Told) {
        // Without a listener the run is over.
        self.told.send(told).await.ok();
    }
}

#[activities]
impl EmptyActivities {
    #[activity(definition = PublishUserRegistered)]
    async fn publish_user_registered(
        self: Arc<Self>,
        _ctx: ActivityContext,
        event: PublishRef,
    ) -> Result<Option<Published>, ActivityError> {
        self.tell(Told::Publishing(event.event_id, Instant::now())).await;
        Ok(event.tells_refusal.then_some(Published::Confirmed))
    }

    #[activity(definition = MarkOutboxSent)]
    async fn mark_outbox_sent(
        self: Arc<Self>,
        _ctx: ActivityContext,
        _event: EventRef,
    ) -> Result<(), ActivityError> {
        Ok(())
    }

    #[activity(definition = CheckTodoAcknowledgement)]
    async fn check_todo_acknowledgement(
        self: Arc<Self>,
        _ctx: ActivityContext,
        event: EventRef,
    ) -> Result<Option<Acknowledgement>, ActivityError> {
        Ok(Some(acknowledgement(event.event_id)))
    }

    #[activity(definition = RecordAcknowledgement)]
    async fn record_acknowledgement(
        self: Arc<Self>,
        _ctx: ActivityContext,
        record: RecordRef,
    ) -> Result<(), ActivityError> {
        self.tell(Told::Recorded(record.event_id, Instant::now())).await;
        Ok(())
    }
}

/// What a todo service that has nothing to do would say of an event.
pub(super) fn acknowledgement(event_id: EventId) -> Acknowledgement {
    Acknowledgement { event_id, todo_id: TodoId::welcome(UserId::from(event_id.uuid())) }
}

/// The thread that polls. Dropped, it ends by itself.
pub(super) struct Worker {
    told: mpsc::Receiver<Told>,
    stop: Shutdown,
    ended: oneshot::Receiver<anyhow::Result<()>>,
}

impl Worker {
    pub(super) fn spawn(client: Client, task_queue: &'static str) -> anyhow::Result<Self> {
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let (end, ended) = oneshot::channel();
        let stop = Shutdown::new();
        let (stopping, handle) = (stop.clone(), tokio::runtime::Handle::current());
        std::thread::Builder::new()
            .name(task_queue.to_owned())
            .spawn(move || {
                let polling = poll(client, task_queue, EmptyActivities { told: tell }, &stopping);
                end.send(handle.block_on(polling)).ok();
            })
            .context("the thread of the empty shape cannot be started")?;
        Ok(Self { told, stop, ended })
    }

    /// What an activity tells next.
    pub(super) async fn told(&mut self) -> anyhow::Result<Told> {
        match self.told.recv().await {
            Some(told) => Ok(told),
            None => match (&mut self.ended).await {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) | Err(_) => bail!("the worker of the empty shape has ended"),
            },
        }
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.begin();
        match tokio::time::timeout(STOPPED_WITHIN, &mut self.ended).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => Err(anyhow!("the thread of the empty shape has died")),
            Err(_) => Err(anyhow!("the worker of the empty shape does not stop")),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.begin();
    }
}

async fn poll(
    client: Client,
    task_queue: &str,
    activities: EmptyActivities,
    stop: &Shutdown,
) -> anyhow::Result<()> {
    let runtime = Runtime::from_current_tokio(RuntimeOptions::default()).map_err(fault)?;
    let options = WorkerOptions::new(task_queue)
        .register_workflow::<UserRegistration>()
        .map_err(fault)?
        .register_activities(activities)
        .build();
    let options = onboard_worker::tuned(options);
    let mut worker = temporalio_sdk::Worker::new(&runtime, client, options).map_err(fault)?;
    let end = worker.shutdown_handle();
    let mut run = std::pin::pin!(worker.run());
    tokio::select! {
        ended = &mut run => ended.map_err(fault),
        () = stop.begun() => {
            end();
            run.await.map_err(fault)
        }
    }
}

fn fault(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into())
}
