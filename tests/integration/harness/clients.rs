//! The connections of a test to its application's servers, made once: a test
//! asks again and again, and a connection costs more than a question.

use lapin::{Channel, ConnectionProperties};
use temporalio_client::{ClientOptions, Connection, ConnectionOptions, Url};
use tokio::sync::{Mutex, OnceCell};

use super::Places;

#[derive(Default)]
pub(super) struct Clients {
    mongo: OnceCell<mongodb::Client>,
    temporal: OnceCell<temporalio_client::Client>,
    broker: Mutex<Option<lapin::Connection>>,
}

impl Clients {
    pub(super) async fn mongo(&self, places: &Places) -> mongodb::Client {
        let connect = async || mongodb::Client::with_uri_str(&places.mongodb_uri).await.unwrap();
        self.mongo.get_or_init(connect).await.clone()
    }

    pub(super) async fn temporal(&self, places: &Places) -> temporalio_client::Client {
        let connect = async || {
            let address = format!("http://{}", places.temporal_address);
            let options = ConnectionOptions::new(address.parse::<Url>().unwrap()).build();
            let connection = Connection::connect(options).await.unwrap();
            temporalio_client::Client::new(connection, ClientOptions::new("default").build())
                .unwrap()
        };
        self.temporal.get_or_init(connect).await.clone()
    }

    /// A channel of its own, to be closed; the connection is made anew when the
    /// broker has ended it.
    pub(super) async fn channel(&self, url: &str) -> Channel {
        let mut broker = self.broker.lock().await;
        if !broker.as_ref().is_some_and(|connection| connection.status().connected()) {
            let connected = lapin::Connection::connect(url, ConnectionProperties::default()).await;
            *broker = Some(connected.unwrap());
        }
        broker.as_ref().unwrap().create_channel().await.unwrap()
    }

    /// Ends the connection to the broker.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.broker.lock().await.take() {
            // The broker may have ended it before.
            connection.close(200, "the test ends".into()).await.ok();
        }
    }
}
