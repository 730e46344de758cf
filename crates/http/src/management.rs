//! A second listener, for health and metrics alone.
//!
//! Clients of the API need not reach `/metrics` and `/readyz`, and a flood of the API
//! must not keep the platform from asking whether the process lives. So these paths have a
//! socket of their own, with connections of their own. It opens before the service is ready and
//! closes last: a process that drains still says that it does.
//!
//! When the process dies here, probes get no answer.

use std::net::SocketAddr;
use std::time::Duration;

use onboard_runtime::{Environment, Problems, Readiness, Shutdown};

use crate::connections::{Bounds, Connections};
use crate::listener::Listener;
use crate::server::{complete, drain};
use crate::{Edge, ServerError, health, metrics};

/// How long answers in flight may take once everything else has ended: a check of readiness
/// takes two seconds at most.
pub const MANAGEMENT_DRAIN_MAX: Duration = Duration::from_secs(2);

/// How far the port is from that of the first listener, where no setting says it.
pub const PORT_DISTANCE: u16 = 100;

const SETTING: &str = "ONBOARD_MANAGEMENT_ADDRESS";
/// Open connections of one address, and in all: some that scrape, some that probe.
const PER_ADDRESS: u32 = 64;
const IN_ALL: u32 = 256;

/// Setting of the second listener.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ManagementArgs {
    /// Address of a second listener, for `/healthz`, `/readyz` and `/metrics` alone. In
    /// production a service with an API has one, at the host of `ONBOARD_HTTP_ADDRESS`, and
    /// answers `/readyz` and `/metrics` nowhere else. Default: none; in production the port of
    /// the API plus 100.
    #[arg(long, env = "ONBOARD_MANAGEMENT_ADDRESS")]
    pub management_address: Option<String>,
}

/// Checked setting of the second listener.
#[derive(Debug, Clone, Copy, Default)]
pub struct ManagementConfig {
    address: Option<SocketAddr>,
}

impl ManagementArgs {
    /// Checks the setting. A service that `has_api` has one in production, whatever the
    /// setting says. `http` is the address of the first listener.
    pub fn check(
        &self,
        environment: Environment,
        has_api: bool,
        http: SocketAddr,
        problems: &mut Problems,
    ) -> ManagementConfig {
        let address = match self.management_address.as_deref() {
            None if has_api && environment.is_production() => beside(http, problems),
            None => None,
            Some(text) => match text.parse() {
                Ok(address) => Some(address),
                Err(error) => {
                    problems.push(SETTING, error);
                    None
                }
            },
        };
        if address == Some(http) && http.port() != 0 {
            problems.push(SETTING, "is the address of ONBOARD_HTTP_ADDRESS; give it another port");
        }
        ManagementConfig { address }
    }
}

/// Where it listens unless it is told: wherever `http` is reached and nowhere else. Any
/// port of the first one is any port of this one.
fn beside(mut http: SocketAddr, problems: &mut Problems) -> Option<SocketAddr> {
    if http.port() != 0 {
        let Some(port) = http.port().checked_add(PORT_DISTANCE) else {
            let why = format!("is needed: {} plus {PORT_DISTANCE} is no port", http.port());
            problems.push(SETTING, why);
            return None;
        };
        http.set_port(port);
    }
    Some(http)
}

/// The second listener, if there is one: it listens and does not answer yet.
#[derive(Debug)]
pub struct Management {
    listener: Option<Listener>,
    readiness: Readiness,
}

impl Management {
    /// Listens where the setting says.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(
        config: ManagementConfig,
        readiness: &Readiness,
    ) -> Result<Self, ServerError> {
        metrics::install(&[]);
        let listener = match config.address {
            None => None,
            Some(address) => {
                let bound = Listener::bind(address).await;
                let bound = bound.map_err(|error| ServerError::Management(address, error))?;
                tracing::info!(address = %bound.address(), "listening for health and metrics");
                Some(bound)
            }
        };
        Ok(Self { listener, readiness: readiness.clone() })
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(Listener::address)
    }

    /// Answers while `work` goes on, and lets what is in flight end after it. A socket that
    /// breaks begins the shutdown: nobody could see any more how the process is.
    pub async fn during<T>(self, shutdown: &Shutdown, work: impl Future<Output = T>) -> T {
        let Some(listener) = self.listener else { return work.await };
        let over = Shutdown::new();
        let work = async {
            let done = work.await;
            over.begin();
            done
        };
        let serve = async {
            let served = serve(listener, self.readiness, (shutdown, &over)).await;
            if let Err(error) = served {
                tracing::error!(%error, "health and metrics cannot be asked for; stopping");
                shutdown.begin();
            }
        };
        tokio::join!(work, serve).0
    }
}

async fn serve(
    listener: Listener,
    readiness: Readiness,
    (shutdown, over): (&Shutdown, &Shutdown),
) -> std::io::Result<()> {
    let edge = Edge::with_bounds(Bounds::new(PER_ADDRESS, IN_ALL));
    let router = complete(health::routes(readiness), &edge, shutdown);
    let mut connections = Connections::new(router, over.clone(), &edge);
    let address = listener.address();
    listener.take_until(&mut connections, over.begun()).await?;
    drain(connections, address, MANAGEMENT_DRAIN_MAX).await;
    Ok(())
}

#[cfg(test)]
mod tests;
