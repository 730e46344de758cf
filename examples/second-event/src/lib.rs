//! A second event with an outbox of its own: `ORDER_PLACED`, written in the
//! transaction of the order and delivered to the consumer `shipping`.
//!
//! The engine delivers it with the guarantee of a registration. A process that
//! dies before the commit leaves neither order nor row.

use mongodb::bson::{Document, Uuid as BsonUuid, doc};
use mongodb::{Client, Database};
use onboard_contract::message::Workflow;
use onboard_contract::{ConsumerName, EventConsumer, EventId, EventType, EventVersion};
use onboard_outbox::NewRow;
use onboard_runtime::clock;
use uuid::Uuid;

/// The event types that this program adds.
pub static EVENTS: &[&EventType] = &[&ORDER_PLACED];

/// An order was placed.
pub static ORDER_PLACED: EventType = EventType {
    name: "ORDER_PLACED",
    version: EventVersion {
        number: 1,
        versioned_name: "example.order.placed.v1",
        data_schema: "urn:second-event:schema:order.placed:1",
        check: |payload| Ok(payload.required::<String>("item").map(drop)?),
    },
    earlier: &[],
    exchange: "order.events",
    routing_key: "order.placed",
    source: "urn:second-event:orders",
    workflow: Workflow::Delivery,
    consumers: &[EventConsumer::plain(ConsumerName::constant("shipping"))],
};

/// Places an order: the order and its event, or nothing.
///
/// # Errors
/// MongoDB failed.
pub async fn place_order(orders: &Database, item: &str) -> mongodb::error::Result<EventId> {
    let (order_id, event_id) = (Uuid::new_v4(), EventId::from(clock::ordered_id()));
    let id = BsonUuid::from_bytes(order_id.into_bytes());
    let row = NewRow {
        event_type: &ORDER_PLACED,
        event_id,
        aggregate_type: "Order",
        aggregate_id: order_id,
        payload: doc! { "orderId": id, "item": item },
        traceparent: None,
        created_at_ms: clock::now_ms(),
        // The order's first event.
        aggregate_version: Some(1),
        expects: &[],
    };
    let row = row.checked().map_err(mongodb::error::Error::custom)?;
    let (orders, client): (_, &Client) = (orders.clone(), orders.client());
    let mut session = client.start_session().await?;
    let order = doc! { "_id": id, "item": item };
    session
        .start_transaction()
        .and_run2(async move |session| {
            for (collection, document) in [("orders", &order), ("outbox", &row)] {
                let collection = orders.collection::<Document>(collection);
                collection.insert_one(document).session(&mut *session).await?;
            }
            Ok(())
        })
        .await?;
    Ok(event_id)
}
