//! A listening socket, which hands over the connections that it takes.
//!
//! When the process dies here, the kernel closes the socket.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use tokio::net::TcpListener;

use crate::connections::Connections;

/// A socket that listens; nobody is answered yet.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens, so that the address (port 0 included) is known before anything is answered.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands connections over until `left` ends, then closes the socket. Only a socket that
    /// will never accept again is an error.
    pub(crate) async fn take_until(
        self,
        connections: &mut Connections,
        left: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut left = pin!(left);
        loop {
            tokio::select! {
                () = &mut left => return Ok(()),
                accepted = self.socket.accept(), if connections.has_room() => {
                    connections.take(accepted).await?;
                }
                () = connections.one_ended() => (),
            }
        }
    }
}
