//! How a registration is answered, and how long its answer is remembered.

use std::time::Duration;

use onboard_events::ExtraConsumers;
use onboard_outbox::ExtraConsumersArgs;
use onboard_runtime::Problems;

use super::mode::Mode;

/// Settings of registration.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Registration")]
pub struct RegisterArgs {
    /// `explicit` tells that an address is taken (409); `silent` answers a
    /// taken and a free address the same (202), after the same time. Default:
    /// explicit.
    #[arg(long, env = "REGISTRATION_MODE", hide_env_values = true)]
    pub registration_mode: Option<String>,
    /// In silent mode, answers leave at multiples of this time: 50ms to 5s.
    /// Choose it well above what a registration takes. Default: 500ms.
    #[arg(long, env = "REGISTRATION_QUANTUM", hide_env_values = true)]
    pub registration_quantum: Option<String>,
    /// How long the answer to a request with an Idempotency-Key is remembered:
    /// 1m to 30d. Default: 24h.
    #[arg(long, env = "IDEMPOTENCY_KEY_LIFETIME", hide_env_values = true)]
    pub idempotency_key_lifetime: Option<String>,
    /// Streams of events of registrations that may be open at the same time: 0 to 65536;
    /// more are answered with 503. Default: 1024.
    #[arg(long, env = "REGISTRATION_STREAMS_MAX", hide_env_values = true)]
    pub registration_streams_max: Option<String>,
    /// Who a registration waits for.
    #[command(flatten)]
    pub consumers: ExtraConsumersArgs,
}

/// Checked settings of registration.
#[derive(Debug, Clone)]
pub struct RegisterConfig {
    pub(crate) mode: Mode,
    pub(crate) key_lifetime: Duration,
    pub(crate) streams_max: usize,
    pub(crate) extra_consumers: ExtraConsumers,
}

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

impl RegisterArgs {
    /// Checks the settings.
    pub fn check(&self, problems: &mut Problems) -> RegisterConfig {
        let quantum = problems.duration_or(
            "REGISTRATION_QUANTUM",
            self.registration_quantum.as_deref(),
            Duration::from_millis(500),
            Duration::from_millis(50)..=Duration::from_secs(5),
        );
        let key_lifetime = problems.duration_or(
            "IDEMPOTENCY_KEY_LIFETIME",
            self.idempotency_key_lifetime.as_deref(),
            DAY,
            MINUTE..=DAY * 30,
        );
        let mode = match self.registration_mode.as_deref() {
            None | Some("explicit") => Mode::Explicit,
            Some("silent") => Mode::Silent { quantum },
            Some(_) => {
                problems.push("REGISTRATION_MODE", "must be explicit or silent");
                Mode::Explicit
            }
        };
        let streams = self.registration_streams_max.as_deref();
        let streams = problems.number_or("REGISTRATION_STREAMS_MAX", streams, 1024_u32, 0..=65_536);
        RegisterConfig {
            mode,
            key_lifetime,
            streams_max: usize::try_from(streams).unwrap_or(usize::MAX),
            extra_consumers: self.consumers.check(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mode: &str, quantum: &str, lifetime: &str) -> Result<RegisterConfig, String> {
        let args = RegisterArgs {
            registration_mode: Some(mode.into()),
            registration_quantum: Some(quantum.into()),
            idempotency_key_lifetime: Some(lifetime.into()),
            ..RegisterArgs::default()
        };
        let mut problems = Problems::default();
        let config = args.check(&mut problems);
        problems.finish(Some(config)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_taken_address_is_told_unless_somebody_asks_for_silence() {
        let config = RegisterArgs::default().check(&mut Problems::default());
        assert_eq!((config.mode, config.key_lifetime), (Mode::Explicit, DAY));
        let config = check("silent", "1s", "2h").unwrap();
        assert_eq!(config.mode, Mode::Silent { quantum: Duration::from_secs(1) });
        assert_eq!(config.key_lifetime, Duration::from_hours(2));
    }

    #[test]
    fn every_wrong_setting_is_named() {
        let text = check("quiet", "49ms", "59s").unwrap_err();
        for name in ["REGISTRATION_MODE", "REGISTRATION_QUANTUM", "IDEMPOTENCY_KEY_LIFETIME"] {
            assert!(text.contains(name), "{text}");
        }
        assert!(check("explicit", "5s", "30d").is_ok());
        assert!(check("explicit", "5001ms", "30d").is_err());
        assert!(check("explicit", "5s", "31d").is_err());
    }
}
