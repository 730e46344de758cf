//! The one trace of a registration, as `tracing` spans and W3C `traceparent`s.
//!
//! Every process continues the trace that a request, a row, a workflow's input
//! or a message names; so one trace id goes from the HTTP request to the
//! acknowledgement. Spans have ids whether or not they are exported
//! (`telemetry`): logs and stored `traceparent`s need them anyway. Spans
//! that a process had not exported when it died are missing from the trace; later
//! spans still join it, because their parents are ids that were stored.

use onboard_contract::TraceParent;
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The span that is entered now; none outside of spans.
#[must_use]
pub fn current() -> Option<TraceParent> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| traceparent(span))
}

/// A span, which begins with this; none when spans have no ids.
#[must_use]
pub fn of(span: &Span) -> Option<TraceParent> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| traceparent(span))
}

/// Makes a span that was not entered yet the child of another process's.
/// Without a parent it stays where it is.
pub fn continues(span: &Span, parent: Option<&TraceParent>) {
    let Some(parent) = parent.and_then(remote) else { return };
    // Fails without a subscriber only.
    span.set_parent(Context::new().with_remote_span_context(parent)).ok();
}

/// Links a span to another, which may belong to another trace.
pub fn links(span: &Span, to: &TraceParent) {
    if let Some(to) = remote(to) {
        span.add_link(to);
    }
}

/// Says that what the span stands for did not succeed. The reason is a constant
/// word: an error's text may name more than a trace should hold.
pub fn failed(span: &Span, reason: &'static str) {
    span.set_status(Status::error(reason));
    span.set_attribute(ERROR_TYPE, reason);
}

const ERROR_TYPE: &str = "error.type";

fn traceparent(span: &SpanContext) -> TraceParent {
    let trace = u128::from_be_bytes(span.trace_id().to_bytes());
    let id = u64::from_be_bytes(span.span_id().to_bytes());
    TraceParent::new(trace, id, span.is_sampled())
}

fn remote(parent: &TraceParent) -> Option<SpanContext> {
    let flags = if parent.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let context = SpanContext::new(
        TraceId::from_hex(parent.trace_id()).ok()?,
        SpanId::from_hex(parent.span_id()).ok()?,
        flags,
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    #[test]
    fn a_traceparent_comes_back_as_it_was() {
        for text in [SAMPLED, NOT_SAMPLED] {
            let parsed = TraceParent::parse(text).unwrap();
            assert_eq!(traceparent(&remote(&parsed).unwrap()).as_str(), text);
        }
    }

    #[test]
    fn without_a_subscriber_nothing_has_an_id_and_nothing_breaks() {
        let span = Span::none();
        continues(&span, TraceParent::parse(SAMPLED).ok().as_ref());
        failed(&span, "away");
        assert_eq!(of(&span), None);
        assert_eq!(current(), None);
    }
}
