//! lapin's way to the network, with the screen in between.
//!
//! Above TLS, so that frames are seen. A host name with several addresses is tried
//! from another one on at each turn: a node that accepts connections and does not
//! answer must not be the only one that is ever asked.

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

use super::{Room, Screened};

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

/// Connects, with the addresses of the host in the order of this turn.
pub(crate) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
    room: Room,
    turn: usize,
) -> lapin::Result<Connection> {
    let tokio = Tokio::current();
    let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), Screening(tokio.clone())));
    let dial = move |uri: AMQPUri, _| {
        let (tokio, room) = (Runtime::new(tokio.clone()), room.clone());
        async move {
            let socket = open(&uri, &tokio, turn).await?;
            Ok(AsyncTcpStream::Plain(Screened::new(socket, room)))
        }
    };
    Connection::connector(uri, runtime, dial, properties).await
}

/// The addresses of the host, in the order of this turn.
pub(crate) async fn addresses(uri: &AMQPUri, turn: usize) -> io::Result<Vec<SocketAddr>> {
    let host = (uri.authority.host.as_str(), uri.authority.port);
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host(host).await?.collect();
    let first = turn.checked_rem(addresses.len()).unwrap_or_default();
    addresses.rotate_left(first);
    Ok(addresses)
}

async fn open(uri: &AMQPUri, tokio: &Runtime<Tokio>, turn: usize) -> io::Result<Socket> {
    let socket = AsyncTcpStream::connect(tokio, addresses(uri, turn).await?).await?;
    match uri.scheme {
        AMQPScheme::AMQP => Ok(socket),
        AMQPScheme::AMQPS => {
            let tls = OwnedTLSConfig::default();
            socket.into_tls(&uri.authority.host, tls.as_ref()).await
        }
    }
}
