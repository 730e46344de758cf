//! One connection: opened under a deadline, with the topology declared on it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, Event};
use onboard_runtime::Availability;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::nodes::{Address, Nodes};
use crate::screen::{self, Room};
use crate::{BrokerConfig, topology};

/// How long connecting and declaring may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one call on an open connection may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a connection is looked at, should its events have been missed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a broker that once did not answer has to say its first byte.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(3);
const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers.
    #[error("RabbitMQ did not answer within {} s", CONNECT_TIMEOUT.as_secs())]
    TimedOut,
    /// The connection was refused, by the network or by RabbitMQ.
    #[error("cannot connect to RabbitMQ")]
    Refused(#[source] lapin::Error),
    /// Something exists with other arguments than this build declares.
    #[error("RabbitMQ refuses the topology")]
    Topology(#[source] lapin::Error),
}

impl ConnectError {
    /// Whether another node may answer where this one did not.
    fn is_about_the_node(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Refused(error) => error.is_io_error(),
            Self::Topology(_) => false,
        }
    }
}

/// Opens connections under one name, which RabbitMQ's management page shows.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    config: BrokerConfig,
    name: String,
    /// lapin cannot end a handshake that never answers: its thread stays until
    /// the socket closes. So once a broker has not answered, it is knocked at
    /// with a socket of our own before lapin is let near it again.
    knock_first: bool,
    /// Where to connect next.
    nodes: Nodes,
    /// What a consumer's connection may hold of bodies that are too large.
    room: Option<Room>,
}

impl Dialer {
    pub(crate) fn new(config: &BrokerConfig, name: &str) -> Self {
        let (nodes, name) = (Nodes::new(&config.nodes), name.to_owned());
        Self { config: config.clone(), name, knock_first: false, nodes, room: None }
    }

    /// Opens connections that consume.
    pub(crate) fn for_consumer(config: &BrokerConfig, name: &str) -> Self {
        Self { room: Some(Room::default()), ..Self::new(config, name) }
    }

    /// The room of the connection that was opened last.
    pub(crate) fn room(&self) -> Room {
        self.room.clone().unwrap_or_default()
    }

    /// Connects and declares the topology.
    pub(crate) async fn open(&mut self) -> Result<Connection, ConnectError> {
        let opened = timeout(CONNECT_TIMEOUT, async {
            let connection = self.look().await?;
            topology::declare(&connection, &self.config.topology)
                .await
                .map_err(ConnectError::Topology)?;
            Ok(connection)
        });
        let opened = opened.await;
        self.knock_first |= opened.is_err();
        opened.unwrap_or(Err(ConnectError::TimedOut))
    }

    /// Connects once to each node, until one answers.
    async fn at_a_node(mut self, declares: bool) -> Result<Connection, ConnectError> {
        let mut left = self.config.nodes.len();
        loop {
            let connected = if declares { self.open().await } else { self.look().await };
            left = left.saturating_sub(1);
            match connected {
                Err(error) if left > 0 && error.is_about_the_node() => (),
                connected => return connected,
            }
        }
    }

    /// Connects and declares nothing.
    pub(crate) async fn look(&mut self) -> Result<Connection, ConnectError> {
        let addresses = self.nodes.addresses().await.map_err(unreachable)?;
        if self.knock_first && !knock(&self.config.uri, &addresses).await {
            return Err(ConnectError::TimedOut);
        }
        self.room = self.room.as_ref().map(|_| Room::for_consumer());
        let (uri, nodes) = (&self.config.uri, &self.nodes);
        let connected = connect_at(uri, &self.name, self.room(), nodes, addresses).await;
        self.knock_first = matches!(connected, Err(ConnectError::TimedOut));
        connected
    }
}

/// Connects and declares nothing: for those who look and must not repair.
pub(crate) async fn connect(config: &BrokerConfig, name: &str) -> Result<Connection, ConnectError> {
    Dialer::new(config, name).at_a_node(false).await
}

/// Connects and declares the topology.
pub(crate) async fn declare(config: &BrokerConfig, name: &str) -> Result<Connection, ConnectError> {
    Dialer::new(config, name).at_a_node(true).await
}

async fn connect_at(
    uri: &AMQPUri,
    name: &str,
    room: Room,
    nodes: &Nodes,
    addresses: Vec<Address>,
) -> Result<Connection, ConnectError> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let connecting = screen::connect(uri.clone(), properties, room, nodes.clone(), addresses);
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => connected.map_err(ConnectError::Refused),
        Err(_) => Err(ConnectError::TimedOut),
    }
}

/// No name could be looked up.
fn unreachable(error: io::Error) -> ConnectError {
    ConnectError::Refused(error.into())
}

/// Whether something that speaks AMQP answers. Only plain AMQP can be asked.
async fn knock(uri: &AMQPUri, addresses: &[Address]) -> bool {
    if uri.scheme == AMQPScheme::AMQPS {
        return true;
    }
    let answer = async {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.at).collect();
        let mut socket = TcpStream::connect(&*addresses).await?;
        socket.write_all(PROTOCOL_HEADER).await?;
        socket.read_u8().await
    };
    // A refusal is an answer too: lapin then says it in better words.
    timeout(KNOCK_TIMEOUT, answer).await.is_ok()
}

/// Waits until the connection is dead and says why; meanwhile it says when an
/// alarm blocks the connection and when it is lifted.
pub(crate) async fn died(connection: &Connection, availability: &Availability) -> String {
    let mut events = std::pin::pin!(connection.events_listener());
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Error(error)) => return error.to_string(),
                Some(Event::ConnectionBlocked(reason)) => {
                    alarm(true);
                    availability.down(&blocked(&reason));
                }
                Some(Event::ConnectionUnblocked) => {
                    alarm(false);
                    availability.up();
                }
                Some(_) => (),
                None => return "the connection is closed".to_owned(),
            },
            _ = looks.tick() => if !connection.status().connected() {
                return "the connection is closed".to_owned();
            },
        }
    }
}

/// Says whether an alarm blocks publishing.
pub(crate) fn alarm(blocks: bool) {
    metrics::gauge!("broker_blocked").set(if blocks { 1.0 } else { 0.0 });
}

fn blocked(reason: &str) -> String {
    format!("RabbitMQ takes no messages: alarm ({reason})")
}

/// Whether the connection answers now.
pub(crate) async fn probe(connection: &Connection) -> Result<(), String> {
    if connection.status().blocked() {
        return Err("blocked by an alarm".to_owned());
    }
    let channel = connection.create_channel().await.map_err(|error| error.to_string())?;
    channel.close(200, "probed".into()).await.map_err(|error| error.to_string())
}

/// Says goodbye, if RabbitMQ still listens.
pub(crate) async fn close(connection: &Connection) {
    let goodbye = connection.close(200, "stopping".into());
    if let Ok(Err(error)) = timeout(CALL_TIMEOUT, goodbye).await {
        tracing::debug!(%error, "the connection was closed before");
    }
}
