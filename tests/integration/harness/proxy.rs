//! A TCP proxy in front of a server, which loses what a test asks it to lose.
//!
//! It forwards bytes both ways. A rule watches one way for some bytes (a
//! command's name, a frame's head) and then acts on that connection alone, so
//! that a test cuts at exactly one step: the commit, the confirm, the start.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// What happens to a connection on which the bytes were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is cut; the bytes are not passed on.
    Cut,
    /// It is cut in the middle: only so many of the bytes read are passed on.
    CutAfter(usize),
    /// The bytes are passed on; instead of the answer comes the end.
    CutAtAnswer,
    /// The bytes are passed on, if they go to the server; from then on nothing
    /// comes back, and it stays open.
    Silence,
    /// The bytes that were read are lost, and everything else passes.
    Lose,
}

#[derive(Debug)]
struct Rule {
    way: Way,
    seen: Vec<u8>,
    act: Act,
    times: usize,
}

/// The state that all connections share.
#[derive(Debug, Default)]
struct Shared {
    rule: Mutex<Option<Rule>>,
    connections: AtomicUsize,
    acted: AtomicUsize,
    bytes: [AtomicUsize; 2],
}

/// What the operator of the proxy has switched.
#[derive(Debug, Clone, Copy, Default)]
struct Switches {
    refuses: bool,
    held: Option<Way>,
    cuts: usize,
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    switches: watch::Sender<Switches>,
    _running: JoinSet<()>,
}

impl Proxy {
    /// In front of `host:port`.
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (switches, seen) = watch::channel(Switches::default());
        let mut running = JoinSet::new();
        running.spawn(accept(listener, server.to_owned(), Arc::clone(&shared), seen));
        Self { address, shared, switches, _running: running }
    }

    /// Where clients connect.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, at the next `times` places where `seen` goes by that way.
    pub(crate) fn when(&self, way: Way, seen: &[u8], act: Act, times: usize) {
        let rule = Rule { way, seen: seen.into(), act, times };
        self.shared.rule.lock().unwrap().replace(rule);
    }

    /// Forgets the rule; what is silent stays so until it is cut.
    pub(crate) fn pass(&self) {
        self.shared.rule.lock().unwrap().take();
    }

    /// Cuts every connection there is.
    pub(crate) fn cut_all(&self) {
        self.switches.send_modify(|now| now.cuts += 1);
    }

    /// Whether new connections are refused: accepted and closed.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.switches.send_modify(|now| now.refuses = refuses);
    }

    /// Holds everything back that goes this way, until `None`; nothing is lost.
    pub(crate) fn hold(&self, way: Option<Way>) {
        self.switches.send_modify(|now| now.held = way);
    }

    /// How many connections were made through it.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How often the rules have acted.
    pub(crate) fn acted(&self) -> usize {
        self.shared.acted.load(Ordering::SeqCst)
    }

    /// How many bytes went through that way.
    pub(crate) fn bytes(&self, way: Way) -> usize {
        self.shared.bytes[way as usize].load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    server: String,
    shared: Arc<Shared>,
    switches: watch::Receiver<Switches>,
) {
    let mut running = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while running.try_join_next().is_some() {}
        if switches.borrow().refuses {
            continue;
        }
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (server, shared) = (server.clone(), Arc::clone(&shared));
        running.spawn(connection(client, server, shared, switches.clone()));
    }
}

/// One connection; when either side ends or it is cut, both sockets close.
async fn connection(
    client: TcpStream,
    server: String,
    shared: Arc<Shared>,
    mut switches: watch::Receiver<Switches>,
) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let after = Mutex::new(None);
    let pump = |way| Pump { way, shared: &shared, switches: switches.clone(), after: &after };
    let (up, down) = (pump(Way::ToServer), pump(Way::ToClient));
    let cuts = switches.borrow().cuts;
    tokio::select! {
        () = up.run(from_client, to_server) => (),
        () = down.run(from_server, to_client) => (),
        _ = switches.wait_for(|now| now.cuts != cuts) => (),
    }
}

/// One direction of one connection.
struct Pump<'a> {
    way: Way,
    shared: &'a Shared,
    switches: watch::Receiver<Switches>,
    /// What a rule has left to do on the way back.
    after: &'a Mutex<Option<Act>>,
}

/// What becomes of bytes that were read.
enum Fate {
    Pass,
    Swallow,
    CutAfter(usize),
}

impl Pump<'_> {
    async fn run(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        let mut window = Vec::new();
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let way = self.way;
            if self.switches.wait_for(|now| now.held != Some(way)).await.is_err() {
                return;
            }
            let (pass, ends) = match self.fate(&mut window, &buffer[..count]) {
                Fate::Pass => (count, false),
                Fate::Swallow => (0, false),
                Fate::CutAfter(few) => (few.min(count), true),
            };
            self.shared.bytes[way as usize].fetch_add(pass, Ordering::SeqCst);
            if to.write_all(&buffer[..pass]).await.is_err() || ends {
                return;
            }
        }
    }

    fn fate(&self, window: &mut Vec<u8>, bytes: &[u8]) -> Fate {
        if self.way == Way::ToClient {
            match *self.after.lock().unwrap() {
                Some(Act::Silence) => return Fate::Swallow,
                Some(_) => return Fate::CutAfter(0),
                None => (),
            }
        }
        match self.rule(window, bytes) {
            None => Fate::Pass,
            Some(Act::Cut) => Fate::CutAfter(0),
            Some(Act::Lose) => Fate::Swallow,
            Some(Act::CutAfter(few)) => Fate::CutAfter(few),
            Some(act @ (Act::CutAtAnswer | Act::Silence)) => {
                *self.after.lock().unwrap() = Some(act);
                if self.way == Way::ToServer { Fate::Pass } else { Fate::Swallow }
            }
        }
    }

    /// What the rule says to these bytes, if they end what it looks for.
    fn rule(&self, window: &mut Vec<u8>, bytes: &[u8]) -> Option<Act> {
        let mut rule = self.shared.rule.lock().unwrap();
        let now = rule.as_mut().filter(|rule| rule.way == self.way && rule.times > 0)?;
        window.extend_from_slice(bytes);
        let seen = window.windows(now.seen.len()).any(|window| window == now.seen);
        window.drain(..window.len().saturating_sub(now.seen.len() - 1));
        if !seen {
            return None;
        }
        window.clear();
        now.times -= 1;
        self.shared.acted.fetch_add(1, Ordering::SeqCst);
        Some(now.act)
    }
}
