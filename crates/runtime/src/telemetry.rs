//! Logs: JSON on a pipe, pretty on a terminal, filtered by `RUST_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info,temporalio_sdk_core=warn,temporalio_client=warn";
/// What holds whatever `RUST_LOG` says: lapin warns of a returned message with
/// its whole body, and no personal data goes into a log.
const ALWAYS: &str = "lapin=error,lapin::returned_messages=off";

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

/// Installs the process's one subscriber. A second call changes nothing.
pub fn install(format: LogFormat, filter: Option<&str>) {
    let filter = EnvFilter::new(format!("{},{ALWAYS}", filter.unwrap_or(DEFAULT_FILTER)));
    let json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = if json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.compact().try_init()
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "the subscriber was installed before");
    }
}
