//! Readiness: which servers a process needs, and whether they answer now.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};

/// How long one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

type Probe = dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// One server a process depends on. The probe's error is a short word for
/// operators; it must carry no address with a password in it.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    probe: Arc<Probe>,
}

impl Check {
    /// A check of the server `name`.
    pub fn new<F, Fut>(name: &'static str, probe: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { name, probe: Arc::new(move || Box::pin(probe())) }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

/// All checks of a process.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    checks: Vec<Check>,
}

/// What a check found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The server.
    pub name: &'static str,
    /// Nothing, or what is wrong.
    pub problem: Option<String>,
}

impl Readiness {
    /// A process that needs these.
    #[must_use]
    pub const fn new(checks: Vec<Check>) -> Self {
        Self { checks }
    }

    /// Asks all servers at the same time, each with a short time-out. What several
    /// checks find about one server is said once: a problem, if one of them has any.
    pub async fn check(&self) -> Vec<Found> {
        let found = join_all(self.checks.iter().map(|check| async {
            let outcome = tokio::time::timeout(CHECK_TIMEOUT, (check.probe)()).await;
            let problem = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(problem)) => Some(problem),
                Err(_) => Some(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
            };
            Found { name: check.name, problem }
        }));
        let mut servers: Vec<Found> = Vec::new();
        for Found { name, problem } in found.await {
            match servers.iter_mut().find(|server| server.name == name) {
                Some(server) => server.problem = server.problem.take().or(problem),
                None => servers.push(Found { name, problem }),
            }
        }
        servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_is_named() {
        let readiness = Readiness::new(vec![
            Check::new("mongo", || async { Ok(()) }),
            Check::new("temporal", std::future::pending),
        ]);
        let found = readiness.check().await;
        let bad: Vec<_> = found.iter().filter(|f| f.problem.is_some()).map(|f| f.name).collect();
        assert_eq!(bad, ["temporal"]);
    }

    #[tokio::test]
    async fn of_two_checks_of_a_server_the_one_with_a_problem_counts() {
        let good = || Check::new("rabbitmq", || async { Ok(()) });
        let bad = || Check::new("rabbitmq", || async { Err("away".to_owned()) });
        for checks in [vec![good(), bad()], vec![bad(), good()]] {
            let found = Readiness::new(checks).check().await;
            let found: Vec<_> = found.iter().map(|one| one.problem.as_deref()).collect();
            assert_eq!(found, [Some("away")]);
        }
    }
}
