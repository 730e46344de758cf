//! The depth of every queue and of its dead letters, as metrics; NaN while it
//! is not known.

use onboard_broker::{BrokerConfig, Depth, watch_depths};
use onboard_runtime::Shutdown;

/// Looks until the shutdown.
pub(crate) async fn run(config: BrokerConfig, shutdown: Shutdown) {
    watch_depths(&config, "worker depths", publish, shutdown).await;
}

fn publish(queue: &str, depth: Option<Depth>) {
    let messages = depth.map_or(f64::NAN, |depth| f64::from(depth.messages));
    let consumers = depth.map_or(f64::NAN, |depth| f64::from(depth.consumers));
    metrics::gauge!("queue_messages", "queue" => queue.to_owned()).set(messages);
    metrics::gauge!("queue_consumers", "queue" => queue.to_owned()).set(consumers);
}
