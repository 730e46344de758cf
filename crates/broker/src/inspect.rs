//! Whether exchanges and queues are what every side declares. Nothing here
//! makes what is missing: each is asked for passively first, and declared with
//! the right arguments only when it is there, which changes nothing.

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ErrorKind, ExchangeKind};
use tokio::time::timeout;

use crate::connection::{CALL_TIMEOUT, close, connect};
use crate::topology::{dead_letter_arguments, queue_arguments};
use crate::words::words;
use crate::{BrokerConfig, ConnectError};

/// What an exchange or queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declared {
    /// What it should be.
    Right,
    /// Not there.
    Missing,
    /// There, with other arguments; in RabbitMQ's words.
    Other(String),
    /// RabbitMQ did not say; why not.
    Unknown(String),
}

/// An exchange or a queue that was asked for.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// What it is, in words.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// What was found.
    pub declared: Declared,
}

/// Asks for everything but the bindings, which AMQP does not tell.
///
/// # Errors
/// RabbitMQ does not answer or refuses the connection.
pub async fn inspect(config: &BrokerConfig) -> Result<Vec<Inspected>, ConnectError> {
    let connection = connect(config, "onboard doctor").await?;
    let mut found = Vec::new();
    for of in &config.topology.queues {
        for (what, name) in
            [("exchange", &of.exchange), ("dead-letter exchange", &of.dead_letter_exchange)]
        {
            let declared = exchange(&connection, name).await;
            found.push(Inspected { what, name: name.to_string(), declared });
        }
        for (what, name, arguments) in [
            ("queue", &of.name, queue_arguments(of)),
            ("dead-letter queue", &of.dead_letter_queue, dead_letter_arguments()),
        ] {
            let declared = queue(&connection, name, arguments).await;
            found.push(Inspected { what, name: name.to_string(), declared });
        }
    }
    close(&connection).await;
    Ok(found)
}

/// The largest message that a broker of this system should take, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Where no queue is: what is published there is dropped.
const NOWHERE: &str = "onboard-doctor-nowhere";

/// Whether RabbitMQ takes messages of more than [`MESSAGE_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// It refuses them.
    Bounded,
    /// It takes them.
    Unbounded,
    /// It did not say; why not.
    Unknown(String),
}

/// Publishes a message of one byte too many to where no queue is.
///
/// # Errors
/// RabbitMQ does not answer or refuses the connection.
pub async fn bound(config: &BrokerConfig) -> Result<Bound, ConnectError> {
    let connection = connect(config, "onboard doctor").await?;
    let publish = async {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let body = vec![b' '; MESSAGE_BYTES_MAX + 1];
        let sent = channel.basic_publish("".into(), NOWHERE.into(), options, &body, properties);
        sent.await?.await
    };
    let bound = match timeout(CALL_TIMEOUT, publish).await {
        Ok(Ok(_)) => Bound::Unbounded,
        Ok(Err(error)) if is(&error, AMQPSoftError::PRECONDITIONFAILED) => Bound::Bounded,
        Ok(Err(error)) => Bound::Unknown(words(&error)),
        Err(_) => Bound::Unknown("no answer".to_owned()),
    };
    close(&connection).await;
    Ok(bound)
}

async fn exchange(connection: &Connection, name: &str) -> Declared {
    let declare = async |passive| {
        let channel = connection.create_channel().await?;
        let options = ExchangeDeclareOptions { passive, durable: true, ..Default::default() };
        let arguments = FieldTable::default();
        channel.exchange_declare(name.into(), ExchangeKind::Topic, options, arguments).await
    };
    judged(declare(true), declare(false)).await
}

async fn queue(connection: &Connection, name: &str, arguments: FieldTable) -> Declared {
    let declare = async |passive| {
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions { passive, durable: true, ..Default::default() };
        channel.queue_declare(name.into(), options, arguments.clone()).await.map(drop)
    };
    judged(declare(true), declare(false)).await
}

/// A failed declare closes its channel, so each has its own.
async fn judged(
    there: impl Future<Output = lapin::Result<()>>,
    right: impl Future<Output = lapin::Result<()>>,
) -> Declared {
    match timeout(CALL_TIMEOUT, there).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) if is_missing(&error) => return Declared::Missing,
        Ok(Err(error)) => return Declared::Unknown(words(&error)),
        Err(_) => return Declared::Unknown("no answer".to_owned()),
    }
    match timeout(CALL_TIMEOUT, right).await {
        Ok(Ok(())) => Declared::Right,
        Ok(Err(error)) if is(&error, AMQPSoftError::PRECONDITIONFAILED) => {
            Declared::Other(words(&error))
        }
        Ok(Err(error)) => Declared::Unknown(words(&error)),
        Err(_) => Declared::Unknown("no answer".to_owned()),
    }
}

/// Whether RabbitMQ says that something is not there.
pub(crate) fn is_missing(error: &lapin::Error) -> bool {
    is(error, AMQPSoftError::NOTFOUND)
}

/// Whether the user has not the right.
pub(crate) fn is_refused(error: &lapin::Error) -> bool {
    is(error, AMQPSoftError::ACCESSREFUSED)
}

fn is(error: &lapin::Error, kind: AMQPSoftError) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(said) if *said.kind() == AMQPErrorKind::Soft(kind))
}

impl BrokerConfig {
    /// The virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }
}
