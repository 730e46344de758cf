//! A collector: takes spans over OTLP as a real one does, and keeps them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message;
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::{App, Options, eventually};

/// A span as the collector has it; ids are hexadecimal.
#[derive(Debug, Clone)]
pub(crate) struct Exported {
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    /// Trace and span of each link.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) failed: bool,
    began_ns: u64,
    took_ns: u64,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<Exported>>>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

/// A running collector.
pub(crate) struct Collector {
    url: String,
    kept: Kept,
    _serving: JoinSet<()>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let kept = Kept::default();
        let service = TraceServiceServer::new(kept.clone());
        let serve = Server::builder().serve_with_incoming(service, incoming);
        let mut serving = JoinSet::new();
        serving.spawn(async { serve.await.expect("the collector serves") });
        Self { url, kept, _serving: serving }
    }

    /// Options with which every service exports to it, soon.
    pub(crate) fn of_all(&self, options: Options) -> Options {
        options.with("OTEL_EXPORTER_OTLP_ENDPOINT", &self.url).with("OTEL_BSP_SCHEDULE_DELAY", "20")
    }

    /// Everything that was sent, as it was sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.kept.bytes.lock().unwrap().clone()
    }

    pub(crate) fn spans(&self) -> Vec<Exported> {
        self.kept.spans.lock().unwrap().clone()
    }

    /// The spans of one trace, in the order in which they began.
    pub(crate) fn trace(&self, id: &str) -> Vec<Exported> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace == id);
        spans.sort_by_key(|span| span.began_ns);
        spans
    }

    /// Waits until the trace has what `count` spans of each name ask for, and
    /// returns it.
    pub(crate) async fn complete(&self, id: &str, expected: &[(&str, usize)]) -> Vec<Exported> {
        eventually("the trace is complete", async || {
            let spans = self.trace(id);
            let has = |(name, count): &(&str, usize)| {
                spans.iter().filter(|span| span.name == *name).count() >= *count
            };
            if expected.iter().all(has) { Ok(spans) } else { Err(tree(&spans)) }
        })
        .await
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        self.bytes.lock().unwrap().extend(request.encode_to_vec());
        for group in request.resource_spans {
            let resource = words(group.resource.unwrap_or_default().attributes);
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let spans = spans.map(|span| read(span, &resource));
            self.spans.lock().unwrap().extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn read(span: Span, resource: &BTreeMap<String, String>) -> Exported {
    Exported {
        kind: span.kind(),
        resource: resource.clone(),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        attributes: words(span.attributes),
        failed: span.status.is_some_and(|status| status.code == 2),
        began_ns: span.start_time_unix_nano,
        took_ns: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn words(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let word = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(yes)) => yes.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|one| (one.key, word(one.value))).collect()
}

/// The trace as a tree, one span a line: name, kind, service.
pub(crate) fn tree(spans: &[Exported]) -> String {
    draw(spans, |span| {
        let kind = span.kind.as_str_name().trim_start_matches("SPAN_KIND_").to_lowercase();
        format!("{} ({kind}, {})", span.name, span.resource["service.name"])
    })
}

/// The same with ids, attempts and times, for people.
pub(crate) fn tree_with_ids(spans: &[Exported]) -> String {
    let first_ns = spans.iter().map(|span| span.began_ns).min().unwrap_or_default();
    draw(spans, |span| {
        let mut line = format!("{} [{}]", span.name, span.resource["service.name"]);
        for name in ["attempt", "redelivered", "found"] {
            if let Some(value) = span.attributes.get(name) {
                write!(line, " {name}={value}").unwrap();
            }
        }
        let (at_ms, took_ms) = ((span.began_ns - first_ns) / 1_000_000, span.took_ns / 1_000_000);
        write!(line, " at {at_ms} ms, took {took_ms} ms, span {}", span.id).unwrap();
        if !span.parent.is_empty() && !spans.iter().any(|other| other.id == span.parent) {
            write!(line, ", below {} which a crash took along", span.parent).unwrap();
        }
        line
    })
}

fn draw(spans: &[Exported], line: impl Fn(&Exported) -> String) -> String {
    let root = |span: &Exported| !spans.iter().any(|other| other.id == span.parent);
    let mut open: Vec<(usize, &Exported)> =
        spans.iter().rev().filter(|span| root(span)).map(|span| (0, span)).collect();
    let mut text = String::new();
    while let Some((depth, span)) = open.pop() {
        writeln!(text, "{:indent$}{}", "", line(span), indent = depth * 2).unwrap();
        let children = spans.iter().rev().filter(|child| child.parent == span.id);
        open.extend(children.map(|child| (depth + 1, child)));
    }
    text
}

impl App {
    /// The lines a service has logged, as JSON.
    pub(crate) async fn log_of(&self, service: &str) -> Vec<serde_json::Value> {
        let home = super::shared_servers().await.home().dir().to_owned();
        let file = home.join("logs").join(format!("{service}-{}.log", self.id));
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
