//! A second consumer: `crm` makes a customer of every registered user, once each.
//!
//! Inbox record and customer are in one transaction; the acknowledgement goes over
//! the broker. A process that dies anywhere gets the message again, or finds what it
//! has not acknowledged in its inbox.

use std::time::Duration;

use clap::Parser as _;
use mongodb::bson::{self, Document, doc};
use mongodb::{ClientSession, Collection};
use onboard_broker::{BrokerArgs, Consumer, Publisher};
use onboard_contract::{ConsumerName, EventError, Topology};
use onboard_events::UserRegistered;
use onboard_inbox::{
    Arrived, Consuming, Effect, Inbox, InboxNames, OverBroker, SweepSettings, Turn,
};
use onboard_runtime::telemetry::{self, LogFormat};
use onboard_runtime::{Problems, Shutdown, Tasks, lifecycle};

const CRM: ConsumerName = ConsumerName::constant("crm");

#[derive(clap::Parser)]
struct Args {
    #[arg(env = "MONGODB_URI", hide_env_values = true)]
    mongodb_uri: String,
    #[arg(env = "CRM_DATABASE", default_value = "crm")]
    database: String,
    #[command(flatten)]
    broker: BrokerArgs,
}

#[derive(Clone)]
struct Customers(Collection<Document>);

impl Effect for Customers {
    type Event = UserRegistered;

    fn decode(&self, body: &[u8]) -> Result<Arrived<UserRegistered>, EventError> {
        let event = UserRegistered::parse(body)?;
        let (user, customer) = (event.user_id.uuid(), event.user_id.uuid());
        Ok(Arrived::new(event.event_id, user, customer, event))
    }

    async fn apply(
        &self,
        session: &mut ClientSession,
        events: &[&Arrived<UserRegistered>],
        _: Turn,
    ) -> mongodb::error::Result<()> {
        for Arrived { reference, event, .. } in events {
            let id = bson::Uuid::from_bytes(reference.into_bytes());
            let customer = doc! { "$setOnInsert": { "email": &event.email } };
            let update = self.0.update_one(doc! { "_id": id }, customer).upsert(true);
            update.session(&mut *session).await?;
        }
        Ok(())
    }
}

/// Runs the consumer, with settings from the environment, until SIGINT or SIGTERM.
///
/// # Errors
/// A setting is missing or MongoDB is unavailable at the start.
pub fn main() -> anyhow::Result<()> {
    telemetry::install(LogFormat::Auto, None);
    tokio::runtime::Runtime::new()?.block_on(run(Args::try_parse_from(["second-consumer"])?))
}

async fn run(args: Args) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let broker = args.broker.check(Topology::default(), &mut problems);
    let broker = problems.finish(broker)?;
    let shutdown = Shutdown::new();
    let tasks = Tasks::new(shutdown.clone());
    lifecycle::listen_for_signals(&tasks)?;
    let database = onboard_mongo::client(&args.mongodb_uri).await?.database(&args.database);
    let inbox = Inbox::new(&database, InboxNames::PLAIN);
    inbox.prepare().await?;
    let publisher = Publisher::start(&broker, "crm publisher", &tasks, shutdown.clone());
    let (queue, name) = (onboard_events::registration_queue(&CRM), "crm consumer");
    let consumer = Consumer::new(&broker, queue, name, 256, publisher.clone());
    let effect = Customers(database.collection("customers"));
    let acknowledge = OverBroker::new(CRM, publisher.clone());
    let sweep = SweepSettings::default();
    Consuming { consumer, inbox, effect, acknowledge, sweep }.start(&tasks, shutdown);
    tasks.drained(Duration::from_secs(15)).await;
    publisher.close().await;
    Ok(())
}
