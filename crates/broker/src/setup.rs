//! `onboard setup`: connect once, declare, close. Safe to run twice at once.

use crate::connection::{close, declare};
use crate::{BrokerConfig, ConnectError};

/// Declares the exchanges, queues and bindings of the topology.
///
/// # Errors
/// RabbitMQ does not answer, refuses the connection, or has something of the
/// same name with other arguments.
pub async fn setup(config: &BrokerConfig) -> Result<(), ConnectError> {
    let connection = declare(config, "onboard setup").await?;
    close(&connection).await;
    Ok(())
}
