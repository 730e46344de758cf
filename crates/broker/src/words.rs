//! What tools tell a person of RabbitMQ's errors: what RabbitMQ says, without the words
//! of lapin.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError};
use onboard_runtime::Plain;

use crate::inspect::is_refused;
use crate::{ConnectError, DeadLettersError};

const START: &str = "start RabbitMQ, or mend AMQP_URL or the network";

impl Plain for ConnectError {
    fn words(&self) -> String {
        match self {
            Self::TimedOut => "RabbitMQ does not answer".to_owned(),
            Self::Refused(error) if is_refused(error) => {
                "RabbitMQ refuses the user or the password of AMQP_URL".to_owned()
            }
            Self::Refused(error) if is_no_vhost(error) => {
                "RabbitMQ does not let this user into the virtual host of AMQP_URL".to_owned()
            }
            Self::Refused(error) if error.is_io_error() => {
                format!("RabbitMQ does not answer: {}", words(error))
            }
            Self::Refused(error) | Self::Topology(error) => format!("{self}: {}", words(error)),
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Refused(error) if is_refused(error) => {
                Some("give those of a user that RabbitMQ knows")
            }
            Self::Refused(error) if is_no_vhost(error) => {
                Some("make the virtual host, or give the user its permissions")
            }
            Self::TimedOut | Self::Refused(_) => Some(START),
            Self::Topology(_) => Some("`onboard doctor` says what differs"),
        }
    }
}

impl Plain for DeadLettersError {
    fn words(&self) -> String {
        match self {
            Self::Connect(error) => error.words(),
            Self::Call { source, .. } => format!("{self}: {}", words(source)),
            Self::TimedOut { .. } => self.to_string(),
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Connect(error) => error.remedy(),
            Self::Call { .. } | Self::TimedOut { .. } => None,
        }
    }
}

/// Whether the virtual host is not there, or not for this user.
fn is_no_vhost(error: &lapin::Error) -> bool {
    let not_allowed = AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED);
    matches!(error.kind(), ErrorKind::ProtocolError(said) if *said.kind() == not_allowed)
}

/// RabbitMQ's own words, or what the network did.
pub(crate) fn words(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(said) => said.get_message().to_string(),
        ErrorKind::IOError(error) => error.kind().to_string(),
        ErrorKind::MissingHeartbeatError => "it sent no heartbeat in time".to_owned(),
        ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidConnectionState(_)
        | ErrorKind::InvalidChannel(_) => "the connection was lost".to_owned(),
        _ => error.to_string(),
    }
}
