//! Reads every store for one event.

use mongodb::bson::{Document, doc};
use onboard_contract::names::ACTIVITY_FIND_ACKNOWLEDGEMENT;
use onboard_contract::{ConsumerName, EventId, Queue, UserId};
use onboard_events::{TodoId, UserRegistered};
use onboard_inbox::InboxRecord;
use onboard_mongo::{Field, field};
use onboard_runtime::clock;
use onboard_runtime::plain::said;
use onboard_temporal::{Account, Answering, Execution, PendingActivity, Temporal, TemporalError};
use onboard_todo::INBOX_NAMES;

use super::{Confirm, Letter, Record, Redriven, Subject, Todo, User, Workflow};
use crate::case::{Case, Looked, TodoOwner, WorkflowRun};
use crate::error::ask;
use crate::operator::id;
use crate::redrive::REDRIVES;
use crate::{Operator, OperatorError, letters, limit, routing};

/// Redrives shown, the youngest.
const REDRIVES_MAX: i64 = 20;

impl Operator {
    /// The whole record of a registration, or of another event; `None` when no store
    /// knows it.
    ///
    /// # Errors
    /// MongoDB failed. That another server is away is part of the record.
    pub async fn show(&self, subject: &Subject) -> Result<Option<Record>, OperatorError> {
        let (mut record, mut case) = (Record::default(), Case::default());
        let (event, user) = match subject {
            Subject::Registration(event) => (Some(*event), None),
            Subject::Email(email) => self.of_address(email, &mut record).await?,
            Subject::Odd(_) => (None, None),
        };
        let handled_for = if let Some(event) = event {
            self.gather(event, &mut record, &mut case).await?
        } else {
            // Nothing can be there.
            (case.workflow, case.inbox) = (Looked::Missing, Looked::Missing);
            None
        };
        if case.is_registration() {
            let user = user.or_else(|| record.outbox.as_ref()?.user_id).or(handled_for);
            self.gather_user(user, &mut record, &mut case).await?;
        }
        if record.knows_nothing() {
            return Ok(self.odd_row(&subject.words()).await?.map(Record::of_odd_row));
        }
        case.removed = self.removed().await?;
        record.judge(case);
        if let Ok(temporal) = self.temporal()
            && !record.complete
        {
            record.notes.extend(limit::note(temporal).await);
            record.notes.extend(routing::note(temporal).await);
        }
        Ok(Some(record))
    }

    async fn of_address(
        &self,
        forms: &[String],
        record: &mut Record,
    ) -> Result<(Option<EventId>, Option<UserId>), OperatorError> {
        let (users, mut found) = (self.mongo.users(), None);
        for form in forms {
            if found.is_none() {
                let find = users.find_one(doc! { "emailCanonical": form });
                found = ask("look up the user", find).await?;
            }
        }
        let Some(found) = found else { return Ok((None, None)) };
        let Some(user) = field::id(&found, "_id").known() else { return Ok((None, None)) };
        record.user = Some(read_user(user.into(), &found));
        // Other events may be about the user, too.
        let others =
            onboard_events::known().filter(|known| !onboard_events::is_registration(known));
        let others: Vec<&str> = others.map(|known| known.name).collect();
        let of_user = doc! { "aggregateId": id(user), "eventType": { "$nin": others } };
        let outbox = self.mongo.outbox();
        let find = outbox.find_one(of_user).projection(doc! { "_id": 1 });
        let row = ask("look up the user's outbox row", find).await?;
        let event = match row.and_then(|row| onboard_outbox::Row::read(&row).id.known()) {
            Some(event) => Some(event),
            None => self.handled(user.into()).await?,
        };
        Ok((event, Some(user.into())))
    }

    /// The event of a user whose row is gone.
    async fn handled(&self, user: UserId) -> Result<Option<EventId>, OperatorError> {
        let inbox = self.mongo.processed_events();
        let find = inbox.find_one(doc! { "todoId": id(TodoId::welcome(user).uuid()) });
        let record = ask("look up the user's inbox record", find).await?;
        Ok(record.and_then(|record| INBOX_NAMES.read(&record).event_id.known()))
    }

    /// Gathers what bears the event's id, and says whose the inbox says it is.
    async fn gather(
        &self,
        event: EventId,
        record: &mut Record,
        case: &mut Case,
    ) -> Result<Option<UserId>, OperatorError> {
        record.registration_id = Some(event);
        let document = self.find_document(event).await?;
        case.set_row(document.as_ref(), clock::now_ms(), self.overdue_ms());
        record.outbox.clone_from(&case.row);
        record.consumers = case.row.as_ref().map(|row| row.consumers.clone()).unwrap_or_default();
        record.redrives = self.redrives(event).await?;
        let asked = self.ask_temporal(event, case).await;
        let (found, account, progress) = asked.unwrap_or_else(|why| {
            record.unreachable.push(format!("Temporal: {why}"));
            (Looked::NotAsked, None, None)
        });
        record.confirm = account.as_ref().map(|account| confirm(account, progress.as_ref()));
        if let Looked::Found(_) = found {
            case.confirmed = Looked::of(record.confirm.as_ref().map(|confirm| confirm.publishes));
        }
        let answering = self.answering(found.found(), case).await;
        case.workflow = found.clone().map(|execution| WorkflowRun {
            answering: answering.clone(),
            failure: account.as_ref().and_then(|account| account.failure.clone()),
            task_failure: account.as_ref().and_then(|account| account.task_failure.clone()),
            ..WorkflowRun::from(execution)
        });
        if let Looked::Found(execution) = found {
            record.workflow = Some(workflow(execution, account.as_ref(), progress.as_ref()));
        }
        self.gather_letters(event, record, case).await?;
        if !case.is_registration() {
            return Ok(None);
        }
        let inbox = self.find_inbox(event).await?;
        let user = case.row.as_ref().and_then(|row| row.user_id);
        record.inbox = inbox.as_ref().map(|found| shown(found, user));
        let handled_for =
            inbox.as_ref().and_then(|inbox| inbox.aggregate_id.known().map(UserId::from));
        case.inbox = Looked::of(inbox.map(|found| vec![found]));
        Ok(handled_for)
    }

    /// Looks through the dead letters of the consumers of the event type, and of every
    /// consumer that the row names.
    async fn gather_letters(
        &self,
        event: EventId,
        record: &mut Record,
        case: &Case,
    ) -> Result<(), OperatorError> {
        let event_type = case.known_type().unwrap_or(UserRegistered::TYPE);
        let mut consumers: Vec<ConsumerName> = event_type.consumer_names().cloned().collect();
        let extra = self.extra_consumers().await?;
        consumers.extend(extra.into_iter().filter(|name| case.names(name)));
        for consumer in consumers {
            let mut found = Vec::new();
            let queue = Queue::for_event(event_type, &consumer);
            let looked = letters::look(&self.broker, queue, |letter| {
                if letter.event_id == Some(event) {
                    let (reason, detail) = (letter.reason.clone(), letter.detail.clone());
                    let consumer = Some(consumer.clone()).filter(|it| *it != onboard_events::TODO);
                    found.push(Letter { consumer, reason, detail });
                }
            });
            match looked.await {
                // `consumers list` says that the queue of another program is missing.
                Err(error) if error.is_missing() && consumer != onboard_events::TODO => (),
                Err(error) => {
                    record.unreachable.push(said(&error));
                    break;
                }
                Ok(_) => record.dead_letters.extend(found),
            }
        }
        Ok(())
    }

    async fn gather_user(
        &self,
        user: Option<UserId>,
        record: &mut Record,
        case: &mut Case,
    ) -> Result<(), OperatorError> {
        (case.user, case.todo) = (Looked::Missing, Looked::Missing);
        let Some(user) = user else { return Ok(()) };
        if record.user.is_none() {
            let users = self.mongo.users();
            let found = ask("load the user", users.find_one(doc! { "_id": id(user.uuid()) }));
            record.user = found.await?.as_ref().map(|found| read_user(user, found));
        }
        case.user = Looked::of(record.user.as_ref().map(|_| ()));
        let made = record.inbox.as_ref().and_then(|inbox| inbox.todo_id);
        let expected = made.unwrap_or_else(|| TodoId::welcome(user));
        let todo = self.find_todo(expected).await?;
        case.todo = Looked::of(todo.as_ref().map(|todo| owner(todo, user)));
        let own = todo.as_ref().filter(|todo| owner(todo, user) == TodoOwner::User);
        record.todo = own.map(|todo| Todo {
            todo_id: expected,
            title: field::text(todo, "title").map(str::to_owned).known(),
            created_at: field::time(todo, "createdAt").known(),
        });
        Ok(())
    }

    /// Asks for the workflow of the row's event type; without a row for that of each
    /// type in turn, until one is found.
    async fn ask_temporal(&self, event: EventId, case: &mut Case) -> Result<Asked, String> {
        let ask = async |temporal: &Temporal, case: &mut Case| {
            let types: Vec<_> = match &case.row {
                Some(row) => row.known_type.into_iter().collect(),
                None => onboard_events::known().collect(),
            };
            for event_type in types {
                let id = event_type.workflow_id(event);
                let Some(execution) = temporal.find(id.clone()).await? else { continue };
                case.event_type = Some(event_type);
                let account = temporal.account(id.clone()).await?;
                // What has ended has said it in its history; what runs is asked,
                // and without a worker nobody answers.
                let progress = match account.as_ref().and_then(|account| account.result.clone()) {
                    Some(result) => Some(result),
                    None => temporal.progress(id).await.ok(),
                };
                return Ok((Looked::Found(execution), account, progress));
            }
            Ok::<_, TemporalError>((Looked::Missing, None, None))
        };
        let temporal = self.temporal().map_err(said)?;
        ask(temporal, case).await.map_err(|error| said(&error))
    }

    /// Who is there to answer a workflow that asks a consumer.
    async fn answering(&self, run: Option<&Execution>, case: &Case) -> Vec<Answering> {
        let asks = |one: &PendingActivity| one.activity == ACTIVITY_FIND_ACKNOWLEDGEMENT;
        let asks = run.and_then(|run| run.pending.as_ref()).is_some_and(asks);
        let Ok(temporal) = self.temporal() else { return Vec::new() };
        if !asks {
            return Vec::new();
        }
        let answering = temporal.answering().await.unwrap_or_default();
        let is_awaited = |one: &Answering| match &case.row {
            Some(row) => row.awaited.is_empty() || row.awaited.contains(&one.consumer),
            None => true,
        };
        answering.into_iter().filter(is_awaited).collect()
    }

    async fn redrives(&self, event: EventId) -> Result<Vec<Redriven>, OperatorError> {
        const WHAT: &str = "read the redrives";
        let redrives = self.mongo.auth().collection::<Document>(REDRIVES);
        let find = redrives
            .find(doc! { "eventId": id(event.uuid()) })
            .sort(doc! { "_id": -1 })
            .limit(REDRIVES_MAX);
        let found: Vec<Document> = ask(WHAT, find).await?;
        Ok(found.iter().rev().map(redriven).collect())
    }
}

/// Whose a todo is.
pub(crate) fn owner(todo: &Document, user: UserId) -> TodoOwner {
    let own = field::id(todo, "userId") == Field::Is(user.uuid());
    if own { TodoOwner::User } else { TodoOwner::Another }
}

type Asked = (Looked<Execution>, Option<Account>, Option<onboard_contract::Progress>);

fn workflow(
    execution: Execution,
    account: Option<&Account>,
    progress: Option<&onboard_contract::Progress>,
) -> Workflow {
    let pending = execution.pending;
    let of_activity = || pending.as_ref().and_then(|activity| activity.paused.as_ref());
    let paused = execution.paused.as_ref().or_else(of_activity);
    let failure = pending
        .as_ref()
        .and_then(|activity| activity.last_failure.clone())
        .or_else(|| account.and_then(|account| account.failure.clone()));
    let of_task = account.and_then(|account| account.task_failure.clone());
    Workflow {
        workflow_id: execution.workflow_id,
        run_id: execution.run_id,
        status: execution.status.as_str(),
        history_events: execution.history_events,
        paused_by: paused.map(|pause| pause.by.clone()),
        paused_at: paused.and_then(|pause| pause.since_ms),
        paused_reason: paused.map(|pause| pause.reason.clone()),
        attempt: pending.as_ref().map(|activity| activity.attempt),
        next_try_at: pending.as_ref().and_then(|activity| activity.next_try_ms),
        pending_activity: pending.as_ref().map(|activity| activity.activity.clone()),
        last_failure: failure.map(|(word, message)| format!("{word}: {message}")).or(of_task),
        stage: progress.map(|progress| progress.stage.as_str()),
        overdue_checks: progress.map(|progress| progress.overdue_checks),
    }
}

/// The history is that of the last run; the workflow counts over all of them.
fn confirm(account: &Account, progress: Option<&onboard_contract::Progress>) -> Confirm {
    let told = progress.map_or(0, |progress| progress.publishes);
    Confirm {
        publishes: told.max(account.confirmed_publishes),
        last_confirm_at: account.last_confirm_ms,
        republish_requests: account.republish_requests,
    }
}

fn read_user(user: UserId, found: &Document) -> User {
    User {
        user_id: user.to_string(),
        email: field::text(found, "email").map(str::to_owned).known(),
        created_at: field::time(found, "createdAt").known(),
    }
}

/// What the record says about the row's user.
fn shown(found: &InboxRecord, user: Option<UserId>) -> super::InboxRecord {
    let conflict = user.and_then(|user| found.conflict_of(user.uuid()));
    let (todo_id, todo_deleted_at) =
        conflict.map_or((found.reference, found.deleted_at), |one| (one.reference, one.deleted_at));
    super::InboxRecord {
        todo_id: todo_id.known().map(TodoId::from),
        processed_at: found.processed_at.known(),
        acknowledged_at: found.acknowledged_at.known(),
        todo_deleted_at: todo_deleted_at.known(),
        conflicts: found.conflicts().len(),
    }
}

fn redriven(found: &Document) -> Redriven {
    let text = |name| field::text(found, name).known().unwrap_or_default().to_owned();
    let time = |name| field::time(found, name).known();
    Redriven {
        act: text("act"),
        actor: text("actor"),
        reason: text("reason"),
        at: time("at"),
        done_at: time("doneAt"),
    }
}
