//! How a process exports traces: OpenTelemetry's own variables. Off unless an
//! endpoint is set. Headers, time-outs, attributes of the resource and the
//! sizes of the batches are read by OpenTelemetry's SDK (`docs/tracing.md`).

use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;
use tonic::transport::Endpoint;

use crate::Problems;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Settings of the traces.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Traces")]
pub struct TraceArgs {
    /// Where traces are exported to, as `http://collector:4317` (OTLP over
    /// gRPC). Default: nowhere.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// The protocol; only `grpc` is spoken. Default: grpc.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL")]
    pub otlp_protocol: Option<String>,
    /// The service's name in traces. Default: `onboard-` and the service.
    #[arg(long, env = "OTEL_SERVICE_NAME")]
    pub trace_service_name: Option<String>,
    /// Which traces are exported: `always_on`, `always_off`, `traceidratio`, or
    /// these with `parentbased_` before them, which keeps to what the caller
    /// decided. Default: `parentbased_always_on`.
    #[arg(long, env = "OTEL_TRACES_SAMPLER")]
    pub traces_sampler: Option<String>,
    /// The share of traces for `traceidratio`, 0 to 1. Default: 1.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG")]
    pub traces_sampler_arg: Option<String>,
    /// How long a span waits for others before it is sent, in ms, 10 to 60000:
    /// what a crash can take along. Default: 1000.
    #[arg(long, env = "OTEL_BSP_SCHEDULE_DELAY")]
    pub traces_delay_ms: Option<String>,
    /// `true` exports nothing whatever else is set. Default: false.
    #[arg(long, env = "OTEL_SDK_DISABLED")]
    pub traces_disabled: Option<String>,
}

/// Checked settings of the traces.
#[derive(Debug, Clone)]
pub struct Traces {
    pub(super) service: String,
    pub(super) endpoint: Option<String>,
    pub(super) sampler: Sampler,
    pub(super) delay: Duration,
}

impl TraceArgs {
    /// Checks the settings of the service of that name, as `auth`.
    pub fn check(&self, service: &str, problems: &mut Problems) -> Traces {
        if set(self.otlp_protocol.as_ref()).is_some_and(|protocol| protocol != "grpc") {
            problems.push("OTEL_EXPORTER_OTLP_PROTOCOL", "only grpc is spoken");
        }
        let disabled = set(self.traces_disabled.as_ref()).map(str::to_ascii_lowercase);
        let disabled = problems.parse_or("OTEL_SDK_DISABLED", disabled.as_deref(), false);
        let endpoint = self.endpoint(problems).filter(|_| !disabled);
        let name = set(self.trace_service_name.as_ref()).map(str::to_owned);
        let delay_ms = set(self.traces_delay_ms.as_ref());
        let delay_ms = problems.number_or(DELAY, delay_ms, 1000, 10..=60_000);
        Traces {
            service: name.unwrap_or_else(|| format!("onboard-{service}")),
            endpoint,
            sampler: self.sampler(problems),
            delay: Duration::from_millis(delay_ms.into()),
        }
    }

    fn endpoint(&self, problems: &mut Problems) -> Option<String> {
        let text = set(self.otlp_endpoint.as_ref())?;
        let known = Endpoint::from_shared(text.to_owned())
            .is_ok_and(|url| matches!(url.uri().scheme_str(), Some("http" | "https")));
        if !known {
            problems.push(ENDPOINT, "is no URL such as http://collector:4317");
        }
        Some(text.to_owned())
    }

    fn sampler(&self, problems: &mut Problems) -> Sampler {
        let share = problems.parse_or(SAMPLER_ARG, set(self.traces_sampler_arg.as_ref()), 1.0);
        if !(0.0..=1.0).contains(&share) {
            problems.push(SAMPLER_ARG, "must lie between 0 and 1");
        }
        let name = set(self.traces_sampler.as_ref()).unwrap_or("parentbased_always_on");
        let root = match name.strip_prefix("parentbased_").unwrap_or(name) {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(share),
            _ => {
                problems.push(SAMPLER, format!("{name:?} is none of those that `--help` names"));
                Sampler::AlwaysOn
            }
        };
        if name.starts_with("parentbased_") { Sampler::ParentBased(Box::new(root)) } else { root }
    }
}

/// Set, and not to nothing: OpenTelemetry takes an empty variable for none.
fn set(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(args: &TraceArgs) -> Result<Traces, String> {
        let mut problems = Problems::default();
        let traces = args.check("auth", &mut problems);
        problems.finish(Some(traces)).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_exported_unless_there_is_an_endpoint() {
        let traces = checked(&TraceArgs::default()).unwrap();
        assert_eq!((traces.service.as_str(), traces.endpoint), ("onboard-auth", None));
        let empty = TraceArgs { otlp_endpoint: Some(String::new()), ..TraceArgs::default() };
        assert_eq!(checked(&empty).unwrap().endpoint, None);
        let url = Some("http://collector:4317".to_owned());
        let on = TraceArgs { otlp_endpoint: url.clone(), ..TraceArgs::default() };
        assert_eq!(checked(&on).unwrap().endpoint, url);
        let off = TraceArgs { traces_disabled: Some("TRUE".to_owned()), ..on };
        assert_eq!(checked(&off).unwrap().endpoint, None);
    }

    #[test]
    fn the_callers_decision_counts_unless_it_is_said_otherwise() {
        let sampler = |name: Option<&str>| {
            let args = TraceArgs {
                traces_sampler: name.map(str::to_owned),
                traces_sampler_arg: Some("0.25".to_owned()),
                ..TraceArgs::default()
            };
            format!("{:?}", checked(&args).unwrap().sampler)
        };
        assert_eq!(sampler(None), "ParentBased(AlwaysOn)");
        assert_eq!(sampler(Some("always_off")), "AlwaysOff");
        assert_eq!(
            sampler(Some("parentbased_traceidratio")),
            "ParentBased(TraceIdRatioBased(0.25))"
        );
    }

    #[test]
    fn every_problem_is_said_at_once() {
        let said = checked(&TraceArgs {
            otlp_endpoint: Some("collector:4317".to_owned()),
            otlp_protocol: Some("http/protobuf".to_owned()),
            traces_sampler: Some("sometimes".to_owned()),
            traces_sampler_arg: Some("2".to_owned()),
            traces_disabled: Some("perhaps".to_owned()),
            traces_delay_ms: Some("1".to_owned()),
            trace_service_name: None,
        })
        .unwrap_err();
        for setting in
            [ENDPOINT, "OTLP_PROTOCOL", "TRACES_SAMPLER:", SAMPLER_ARG, "DISABLED", DELAY]
        {
            assert!(said.contains(setting), "{setting}: {said}");
        }
    }
}
