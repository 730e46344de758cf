//! Requests by client address: one policy for each path that costs much, and
//! one for everything else. Health checks and metrics have no limit.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::network::Networks;
use crate::{Client, Problem, health};

use super::{Limit, NetworkBuckets, Standing};

/// The limits of a server by client address.
#[derive(Debug, Default)]
pub struct AddressLimits {
    exempt: Networks,
    policies: Vec<Policy>,
}

#[derive(Debug)]
struct Policy {
    name: &'static str,
    paths: &'static [&'static str],
    buckets: NetworkBuckets<()>,
}

impl AddressLimits {
    /// No limits, and these networks exempt from those to come.
    #[must_use]
    pub const fn new(exempt: Networks) -> Self {
        Self { exempt, policies: Vec::new() }
    }

    /// Limits requests to these paths, or to all that no earlier policy has
    /// when there are none.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        paths: &'static [&'static str],
        limit: Limit,
    ) -> Self {
        if let Limit::At(rate) = limit {
            self.policies.push(Policy { name, paths, buckets: NetworkBuckets::new(rate) });
        }
        self
    }

    fn check(&self, path: &str, client: Client) -> Option<Result<Standing, Standing>> {
        let policy = self.policies.iter().find(|policy| policy.covers(path))?;
        if health::is_watched(path) || client.is_in(&self.exempt) {
            return None;
        }
        let standing = |level| Standing::new(policy.name, policy.buckets.rate(), level);
        let taken = policy.buckets.take(&(), client.network(), Instant::now());
        Some(taken.map(standing).map_err(standing))
    }
}

impl Policy {
    fn covers(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.contains(&path)
    }
}

/// Lets a request pass, or answers 429.
pub(crate) async fn limit(
    State(limits): State<Arc<AddressLimits>>,
    client: Client,
    request: Request,
    next: Next,
) -> Response {
    match limits.check(request.uri().path(), client) {
        None => next.run(request).await,
        Some(Err(standing)) => Problem::rate_limited(standing).into_response(),
        Some(Ok(standing)) => {
            let mut response = next.run(request).await;
            standing.add_to(response.headers_mut());
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LOGIN: &str = "/login";

    fn limits() -> AddressLimits {
        AddressLimits::new("192.0.2.0/24".parse().unwrap())
            .with("login", &[LOGIN], Limit::at(2, Duration::from_secs(2)))
            .with("off", &["/off"], Limit::Off)
            .with("api", &[], Limit::at(3, Duration::from_secs(3)))
    }

    /// How many of ten get through.
    fn passed(limits: &AddressLimits, path: &str, address: &str) -> usize {
        let client = Client::at(address.parse().unwrap());
        (0..10).filter(|_| !matches!(limits.check(path, client), Some(Err(_)))).count()
    }

    #[tokio::test(start_paused = true)]
    async fn each_policy_and_each_network_has_its_own_bucket() {
        let limits = limits();
        assert_eq!(passed(&limits, LOGIN, "198.51.100.1"), 2);
        assert_eq!(passed(&limits, LOGIN, "198.51.100.2"), 2);
        assert_eq!(passed(&limits, "/else", "198.51.100.1"), 3);
        assert_eq!(passed(&limits, "/other", "198.51.100.1"), 0, "shares with /else");
        assert_eq!(passed(&limits, "/off", "198.51.100.3"), 3, "falls to the rest");
        assert_eq!(passed(&limits, LOGIN, "2001:db8::1"), 2);
        assert_eq!(passed(&limits, LOGIN, "2001:db8::2"), 0, "the same /64");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(passed(&limits, LOGIN, "198.51.100.1"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_networks_of_one_customer_have_a_multiple_of_one() {
        let limits = limits();
        let of_56 = (0..=255).map(|n| passed(&limits, LOGIN, &format!("2001:db8:0:{n:x}::1")));
        assert_eq!(of_56.sum::<usize>(), 2 * 4);
        let of_24 = (0..=255).map(|n| passed(&limits, LOGIN, &format!("198.51.100.{n}")));
        assert_eq!(of_24.sum::<usize>(), 2 * 16);
        let exempt = (0..=255).map(|n| passed(&limits, LOGIN, &format!("192.0.2.{n}")));
        assert_eq!(exempt.sum::<usize>(), 2560);
        assert_eq!(passed(&limits, LOGIN, "198.51.101.1"), 2, "the next /24");
    }

    #[tokio::test(start_paused = true)]
    async fn the_exempt_and_what_watches_are_never_limited() {
        let limits = limits();
        assert_eq!(passed(&limits, LOGIN, "192.0.2.77"), 10);
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(passed(&limits, path, "198.51.100.1"), 10, "{path}");
        }
    }
}
