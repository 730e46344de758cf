//! Logs: JSON on a pipe, pretty on a terminal, filtered by `RUST_LOG`. Traces:
//! every span of ours has ids, and goes to a collector when there is one.
//!
//! `RUST_LOG` decides about logs alone. A process that dies takes the spans that
//! were not sent yet along, and nothing else.

mod export;
mod line;
mod settings;

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::ExporterBuildError;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, fmt};

pub use export::Exporting;
pub use settings::{TraceArgs, Traces};

use self::line::Traced;

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info,temporalio_sdk_core=warn,temporalio_client=warn";
/// What holds whatever `RUST_LOG` says: lapin warns of a returned message with
/// its whole body, and no personal data goes into a log.
const ALWAYS: &str = "lapin=error,lapin::returned_messages=off";
/// A filter that lets no line through.
pub const SILENT: &str = "off";

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// JSON on a pipe, pretty on a terminal.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            other => Err(format!("{other:?} is none of auto, json, pretty")),
        }
    }
}

/// Installs logs alone: for tools, whose spans nobody follows. A second call
/// changes nothing.
pub fn install(format: LogFormat, filter: Option<&str>) {
    let installed = tracing_subscriber::registry().with(logs(format, filter)).try_init();
    once(installed);
}

/// Installs a service's logs and traces; what it returns is to be kept until
/// everything else has ended, and sends what waits when it is dropped. To be
/// called inside the runtime that carries the collector's connection.
///
/// # Errors
/// The exporter cannot be made.
pub fn install_traced(
    format: LogFormat,
    filter: Option<&str>,
    traces: &Traces,
) -> Result<Exporting, ExporterBuildError> {
    let exporting = Exporting::start(traces)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(exporting.provider.tracer("onboard"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_filter(filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO));
    let subscriber = tracing_subscriber::registry().with(spans).with(logs(format, filter));
    once(subscriber.try_init());
    Ok(exporting)
}

/// Spans of our own code. Libraries have theirs, and what we log stays in logs.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && *metadata.level() <= Level::INFO
        && metadata.target().starts_with("onboard")
}

/// To standard error.
fn logs<S>(format: LogFormat, filter: Option<&str>) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = match filter.unwrap_or(DEFAULT_FILTER) {
        SILENT => EnvFilter::new(SILENT),
        filter => EnvFilter::new(format!("{filter},{ALWAYS}")),
    };
    let json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    };
    let layer = fmt::layer().with_writer(std::io::stderr);
    if json {
        let line = fmt::format().json();
        let line = line.flatten_event(true).with_current_span(true).with_span_list(false);
        let layer = layer.event_format(Traced(line)).fmt_fields(JsonFields::new());
        layer.with_filter(filter).boxed()
    } else {
        layer.compact().with_filter(filter).boxed()
    }
}

fn once(installed: Result<(), TryInitError>) {
    if let Err(error) = installed {
        tracing::debug!(%error, "the subscriber was installed before");
    }
}
