//! Spans on their way to a collector: OTLP over gRPC, in batches, from a thread
//! of its own.
//!
//! Nobody ever waits for it. A span that has ended goes into a bounded queue,
//! and is dropped when that is full; a collector that is away or frozen is said
//! once. A process that dies takes what was not sent yet along: a second's worth.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};

use super::settings::Traces;
use crate::availability::chain;
use crate::clock;

/// How long what waits may take to be sent when the process stops.
const FLUSH_MAX: Duration = Duration::from_secs(2);
/// The process's spans. Dropped at its end, it sends what waits.
#[derive(Debug)]
pub struct Exporting {
    pub(super) provider: SdkTracerProvider,
    exports: bool,
}

impl Exporting {
    /// Spans with ids; exported when there is an endpoint. To be called inside
    /// the runtime that is to carry the connection.
    pub(super) fn start(traces: &Traces) -> Result<Self, ExporterBuildError> {
        let builder = SdkTracerProvider::builder()
            .with_sampler(traces.sampler.clone())
            .with_resource(resource(&traces.service));
        let exporter = traces.endpoint.as_deref().map(Exporter::to).transpose()?;
        let exports = exporter.is_some();
        let provider = match exporter {
            Some(exporter) => builder.with_span_processor(batches(exporter, traces.delay)).build(),
            None => builder.build(),
        };
        Ok(Self { provider, exports })
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        if self.exports && self.provider.shutdown_with_timeout(FLUSH_MAX).is_err() {
            tracing::debug!("the last spans were not sent");
        }
    }
}

fn resource(service: &str) -> Resource {
    // Adds OTEL_RESOURCE_ATTRIBUTES.
    Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", clock::random_id().to_string()))
        .build()
}

fn batches(exporter: Exporter, delay: Duration) -> BatchSpanProcessor {
    // The rest is of OTEL_BSP_*; unless that says otherwise, 2048 spans wait at
    // most.
    let config = BatchConfigBuilder::default().with_scheduled_delay(delay).build();
    BatchSpanProcessor::builder(exporter).with_batch_config(config).build()
}

/// Says once when the collector goes away and once when it is back.
struct Exporter {
    inner: opentelemetry_otlp::SpanExporter,
    away: AtomicBool,
}

impl Exporter {
    fn to(endpoint: &str) -> Result<Self, ExporterBuildError> {
        let inner = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .build()?;
        Ok(Self { inner, away: AtomicBool::new(false) })
    }

    fn note(&self, exported: &OTelSdkResult) {
        match exported {
            Ok(()) if self.away.swap(false, Ordering::Relaxed) => {
                tracing::info!("the collector takes spans again");
            }
            Err(error) if !self.away.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    error = chain(error),
                    "the collector takes no spans; they are dropped until it does"
                );
            }
            Ok(()) | Err(_) => (),
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.inner.export(batch).await;
        self.note(&exported);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}
