//! The settings of a service's side to the Internet: proxies, limits by
//! address, connections, origins.

use onboard_runtime::{Environment, Problems, descriptors};

use crate::connections::{self, Bounds};
use crate::cors::Origins;
use crate::limit::{AddressLimits, Limit};
use crate::network::Networks;
use crate::trace::Adopted;
use std::time::Duration;

/// Requests of one address to everything that has no limit of its own: bursts
/// of 300, then 50 in a second.
const API: Limit = Limit::at(300, Duration::from_secs(6));
const PER_ADDRESS: u32 = 256;
const IN_ALL: u32 = 8192;
/// The longest `SHUTDOWN_DELAY`.
pub const SHUTDOWN_DELAY_MAX: Duration = Duration::from_secs(30);

/// Settings of the side to the Internet.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Edge")]
pub struct EdgeArgs {
    /// Networks of our own proxies, such as `10.0.0.0/8,2001:db8::/32`. What
    /// they say in X-Forwarded-For or Forwarded is believed. Default: none.
    #[arg(long, env = "TRUSTED_PROXIES")]
    pub trusted_proxies: Option<String>,
    /// Whose `traceparent` (W3C Trace Context) is adopted: `nobody`, `trusted-proxies` (those
    /// of `TRUSTED_PROXIES`, which must not pass on what a client sent) or `everybody`, which
    /// production refuses. The request of anybody else begins a trace with a link to
    /// theirs. Default: nobody; locally everybody.
    #[arg(long, env = "TRACEPARENT_FROM")]
    pub traceparent_from: Option<String>,
    /// Requests of one client address to all that has no limit of its own,
    /// as `300/6s`: 300 at once, and as many again within 6 seconds; `off`
    /// for no limit. All addresses of an IPv6 /56 together have 4 times as many, those of
    /// an IPv6 /48 or an IPv4 /24 16 times. Default: 300/6s.
    #[arg(long, env = "RATE_LIMIT_API")]
    pub rate_limit_api: Option<String>,
    /// Networks whose clients no limit by address holds for; limits by account
    /// always do. Default: none.
    #[arg(long, env = "RATE_LIMIT_EXEMPT")]
    pub rate_limit_exempt: Option<String>,
    /// Open connections of one address, 1 to 65536; more are closed at once. An IPv6 /56 has
    /// 4 times as many, an IPv6 /48 or an IPv4 /24 16 times.
    /// Trusted proxies and exempt networks have no such limit. Default: 256.
    #[arg(long, env = "CONNECTIONS_PER_ADDRESS")]
    pub connections_per_address: Option<String>,
    /// Open connections in all, 1 to 65536; more wait. Default: 8192.
    #[arg(long, env = "CONNECTIONS_MAX")]
    pub connections_max: Option<String>,
    /// Origins whose pages may use the API in a browser, such as
    /// `https://app.example.com`, with commas between them; `*` for all, which
    /// production refuses. Default: none.
    #[arg(long, env = "CORS_ORIGINS")]
    pub cors_origins: Option<String>,
    /// How long after the signal to stop requests are still taken, while
    /// `/readyz` says 503, so that load balancers go elsewhere (0s to 30s).
    /// Default: 0s.
    #[arg(long, env = "SHUTDOWN_DELAY")]
    pub shutdown_delay: Option<String>,
}

/// Checked settings of the side to the Internet.
#[derive(Debug, Clone)]
pub struct Edge {
    pub(crate) proxies: Networks,
    pub(crate) adopted: Adopted,
    pub(crate) exempt: Networks,
    pub(crate) bounds: Bounds,
    pub(crate) origins: Origins,
    pub(crate) shutdown_delay: Duration,
    /// `/readyz` and `/metrics` are for the second listener alone.
    pub(crate) api_alone: bool,
    limits: Vec<(&'static str, &'static [&'static str], Limit)>,
    api: Limit,
}

/// For what only machines of ours ask: health and metrics.
impl Default for Edge {
    fn default() -> Self {
        Self::with_bounds(Bounds::new(PER_ADDRESS, IN_ALL))
    }
}

impl Edge {
    pub(crate) fn with_bounds(bounds: Bounds) -> Self {
        Self {
            proxies: Networks::default(),
            adopted: Adopted::default(),
            exempt: Networks::default(),
            bounds,
            origins: Origins::None,
            shutdown_delay: Duration::ZERO,
            api_alone: false,
            limits: Vec::new(),
            api: Limit::Off,
        }
    }
}

impl EdgeArgs {
    /// Checks the settings.
    pub fn check(&self, environment: Environment, problems: &mut Problems) -> Edge {
        let proxies = self.trusted_proxies.as_deref();
        let proxies = problems.parse_or("TRUSTED_PROXIES", proxies, Networks::default());
        let adopted = self.traceparent_from.as_deref();
        let adopted = Adopted::check(adopted, environment, &proxies, problems);
        let exempt = self.rate_limit_exempt.as_deref();
        let origins = self.cors_origins.as_deref();
        let per_address = self.connections_per_address.as_deref();
        let in_all = self.connections_max.as_deref();
        let bounds = Bounds::new(
            problems.number_or("CONNECTIONS_PER_ADDRESS", per_address, PER_ADDRESS, 1..=65_536),
            problems.number_or("CONNECTIONS_MAX", in_all, IN_ALL, 1..=65_536),
        );
        if let Some(most) =
            descriptors::connections_max().filter(|max| *max < u64::from(bounds.in_all))
        {
            let why = format!("the limit of open files (ulimit -n) leaves room for {most}");
            problems.warn("CONNECTIONS_MAX", why);
        }
        let shutdown_delay = problems.duration_or(
            "SHUTDOWN_DELAY",
            self.shutdown_delay.as_deref(),
            Duration::ZERO,
            Duration::ZERO..=SHUTDOWN_DELAY_MAX,
        );
        let edge = Edge {
            proxies,
            adopted,
            exempt: problems.parse_or("RATE_LIMIT_EXEMPT", exempt, Networks::default()),
            bounds,
            origins: problems.parse_or("CORS_ORIGINS", origins, Origins::None),
            shutdown_delay,
            api_alone: environment.is_production(),
            limits: Vec::new(),
            api: problems.parse_or("RATE_LIMIT_API", self.rate_limit_api.as_deref(), API),
        };
        if environment.is_production() {
            edge.refuse_in_production(problems);
        }
        edge
    }
}

impl Edge {
    /// Limits requests of one address to these paths, instead of the general
    /// limit.
    #[must_use]
    pub fn limit(
        mut self,
        policy: &'static str,
        paths: &'static [&'static str],
        limit: Limit,
    ) -> Self {
        self.limits.push((policy, paths, limit));
        self
    }

    /// The networks whose clients no limit by address holds for.
    #[must_use]
    pub const fn exempt(&self) -> &Networks {
        &self.exempt
    }

    /// What its connections may make the process use, in bytes; those of streams are among them.
    /// `answer` is the most that an answer made for one client has.
    #[must_use]
    pub fn memory_max(&self, answer: u64) -> u64 {
        u64::from(self.bounds.in_all).saturating_mul(connections::bytes_max(answer))
    }

    pub(crate) fn address_limits(&self) -> AddressLimits {
        let limits = self
            .limits
            .iter()
            .fold(AddressLimits::new(self.exempt.clone()), |limits, (policy, paths, limit)| {
                limits.with(policy, paths, *limit)
            });
        limits.with("api-address", &[], self.api)
    }

    /// A limit that is off is the operator's word; these are slips.
    fn refuse_in_production(&self, problems: &mut Problems) {
        if self.origins == Origins::Any {
            problems.push("CORS_ORIGINS", "* is refused in production: name the origins");
        }
        if self.proxies.has_everyone() {
            let why = "the whole Internet is refused in production: anyone could say who they are";
            problems.push("TRUSTED_PROXIES", why);
        }
        if self.exempt.has_everyone() {
            let why = "the whole Internet is refused in production: turn limits off by name";
            problems.push("RATE_LIMIT_EXEMPT", why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(args: &EdgeArgs, environment: Environment) -> String {
        let mut problems = Problems::default();
        args.check(environment, &mut problems);
        problems.finish(Some(())).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn every_problem_is_said_at_once() {
        let junk = || Some("junk".to_owned());
        let args = EdgeArgs {
            trusted_proxies: junk(),
            traceparent_from: junk(),
            rate_limit_api: junk(),
            rate_limit_exempt: junk(),
            connections_per_address: Some("0".into()),
            connections_max: junk(),
            cors_origins: junk(),
            shutdown_delay: Some("1h".into()),
        };
        let text = problems(&args, Environment::Local);
        for setting in [
            "TRUSTED_PROXIES",
            "TRACEPARENT_FROM",
            "RATE_LIMIT_API",
            "RATE_LIMIT_EXEMPT",
            "CONNECTIONS_PER_ADDRESS",
            "CONNECTIONS_MAX",
            "CORS_ORIGINS",
            "SHUTDOWN_DELAY",
        ] {
            assert!(text.contains(setting), "{setting}: {text}");
        }
    }

    #[test]
    fn production_refuses_what_opens_everything_and_local_does_not() {
        let args = EdgeArgs {
            trusted_proxies: Some("0.0.0.0/0".into()),
            rate_limit_exempt: Some("10.0.0.0/8,::/0".into()),
            cors_origins: Some("*".into()),
            traceparent_from: Some("everybody".into()),
            rate_limit_api: Some("off".into()),
            ..EdgeArgs::default()
        };
        let text = problems(&args, Environment::Production);
        for setting in ["TRUSTED_PROXIES", "TRACEPARENT_FROM", "RATE_LIMIT_EXEMPT", "CORS_ORIGINS"]
        {
            assert!(text.contains(setting), "{setting}: {text}");
        }
        assert!(!text.contains("RATE_LIMIT_API"), "{text}");
        assert_eq!(problems(&args, Environment::Local), "");
        assert_eq!(problems(&EdgeArgs::default(), Environment::Production), "");
    }
}
