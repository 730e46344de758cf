//! A log line knows its trace: `trace_id` and `span_id` stand at the top level
//! of every line that is written inside a span, exported or not.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Puts the ids of the span that is entered before a JSON line's own fields.
/// They come from the trace and not from the log's own view of spans, so no
/// `RUST_LOG` hides them.
pub(super) struct Traced<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let trace = Context::current();
        let span = trace.span();
        let span = span.span_context();
        match line.strip_prefix('{').filter(|_| span.is_valid()) {
            Some(rest) => {
                let (trace_id, span_id) = (span.trace_id(), span.span_id());
                write!(writer, r#"{{"trace_id":"{trace_id}","span_id":"{span_id}",{rest}"#)
            }
            None => writer.write_str(&line),
        }
    }
}
