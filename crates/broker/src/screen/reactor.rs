//! lapin's way to the network, with the screen in between.
//!
//! Above TLS, so that frames are seen.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

use super::{Room, Screened};
use crate::nodes::{Address, Nodes};

/// How long an address has to accept a connection when another one follows.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

type Socket = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// tokio, whose sockets are screened.
#[derive(Debug, Clone)]
pub(super) struct Screening(Tokio);

impl Reactor for Screening {
    type TcpStream = Screened<Socket>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async { Ok(Screened::new(AsyncTcpStream::Plain(connecting.await?), Room::default())) }
    }
}

/// Connects to the first of these addresses that accepts.
pub(crate) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
    room: Room,
    nodes: Nodes,
    addresses: Vec<Address>,
) -> lapin::Result<Connection> {
    let tokio = Tokio::current();
    let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), Screening(tokio.clone())));
    let dial = move |uri: AMQPUri, _| {
        let (tokio, room) = (Runtime::new(tokio.clone()), room.clone());
        let (nodes, addresses) = (nodes.clone(), addresses.clone());
        async move {
            let socket = open(&uri.scheme, &tokio, &nodes, &addresses).await?;
            Ok(AsyncTcpStream::Plain(Screened::new(socket, room)))
        }
    };
    Connection::connector(uri, runtime, dial, properties).await
}

async fn open(
    scheme: &AMQPScheme,
    tokio: &Runtime<Tokio>,
    nodes: &Nodes,
    addresses: &[Address],
) -> io::Result<Socket> {
    let mut failed = io::ErrorKind::AddrNotAvailable.into();
    for (asked, address) in addresses.iter().enumerate() {
        nodes.asks(*address);
        let dial = AsyncTcpStream::connect(tokio, vec![address.at]);
        let socket = if asked + 1 == addresses.len() {
            dial.await
        } else {
            timeout(DIAL_TIMEOUT, dial).await.unwrap_or_else(|late| Err(late.into()))
        };
        match (socket, scheme) {
            (Ok(socket), AMQPScheme::AMQP) => return Ok(socket),
            (Ok(socket), AMQPScheme::AMQPS) => {
                let tls = OwnedTLSConfig::default();
                return socket.into_tls(nodes.host(*address), tls.as_ref()).await;
            }
            (Err(error), _) => failed = error,
        }
    }
    Err(failed)
}
