//! The activity by which the consumer answers, as Temporal calls it; what it answers is
//! in `answer`.

#![allow(
    missing_docs,
    dead_code,
    reason = "the macro declares undocumented handles that only workflows would use"
)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use onboard_contract::names::ACTIVITY_FIND_ACKNOWLEDGEMENT;
use onboard_contract::{Acknowledged, Question};
use onboard_mongo::StoreError;
use onboard_poller::{Poller, Polling, of_activities};
use onboard_runtime::availability::chain;
use onboard_runtime::{Shutdown, trace};
use onboard_temporal::Temporal;
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::{ActivityContext, ActivityError, activities};
use tracing::Instrument;

use crate::{Answers, Effect};

/// How long answers may take to end once the process is asked to stop.
const GRACE: Duration = Duration::from_secs(5);

type Answer = Result<Option<Acknowledged>, StoreError>;

impl<F: Effect> Answers<F> {
    /// Polls the consumer's task queue until the shutdown.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn poll(self, temporal: &Temporal, shutdown: &Shutdown) -> std::io::Result<Polling> {
        let task_queue = temporal.task_queue_of(&self.consumer);
        let find = move |question: Question| -> BoxFuture<'static, Answer> {
            let answers = self.clone();
            Box::pin(async move { answers.find(&question).await })
        };
        let activities = Questions { find: Arc::new(find) };
        let options = move || Ok(of_activities(&task_queue, activities.clone(), GRACE));
        let poller =
            Poller { temporal: temporal.clone(), thread: "answers", options: Box::new(options) };
        poller.spawn(shutdown)
    }
}

/// The activity with what it asks.
#[derive(Clone)]
struct Questions {
    find: Arc<dyn Fn(Question) -> BoxFuture<'static, Answer> + Send + Sync>,
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Questions").finish_non_exhaustive()
    }
}

#[activities]
impl Questions {
    #[activity(name = ACTIVITY_FIND_ACKNOWLEDGEMENT)]
    async fn find_acknowledgement(
        self: Arc<Self>,
        ctx: ActivityContext,
        question: Question,
    ) -> Result<Option<Acknowledged>, ActivityError> {
        let event_id = question.event_id;
        let span = onboard_poller::span(ctx.info(), event_id, question.traceparent.as_ref());
        async {
            let answer = (self.find)(question).await.map_err(|error| failed(&error))?;
            tracing::info!(%event_id, found = answer.is_some(), "acknowledgement overdue");
            Ok(answer)
        }
        .instrument(span)
        .await
    }
}

/// Always to be tried again: MongoDB comes back, or somebody repairs the record. The
/// words hold no value of the record.
fn failed(error: &StoreError) -> ActivityError {
    let type_name = "MongoDb";
    trace::failed(&tracing::Span::current(), type_name);
    let failure = ApplicationFailure::builder(chain(error)).type_name(type_name.to_owned());
    ActivityError::application(failure.build())
}
