//! The names of an application on its servers: two databases and a virtual host,
//! prepared as `onboard setup` does it, by the same code without a process of
//! its own.
//!
//! Making and removing names costs mongod and RabbitMQ more than most tests do.
//! So the harness uses names on the shared servers again. It empties them when
//! they hold only what `setup` makes, and removes them otherwise.

use std::sync::{Mutex, PoisonError};

use futures::future::join_all;
use mongodb::bson::{Document, doc};
use onboard_auth::keys::manage::Manager;
use onboard_auth::store::{By, Witness};
use onboard_broker::{BrokerArgs, BrokerConfig};
use onboard_contract::Topology;
use onboard_events::ExtraConsumers;
use onboard_ops::{Databases, DatabasesConfig};
use onboard_outbox::{Consumers, note_namespace};
use onboard_runtime::{Problems, Secret, SecretArgs};
use onboard_temporal::{TemporalArgs, TemporalConfig, setup as temporal};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::servers::shared;
use super::{App, Places, eventually};

/// Names that nobody uses now.
static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// What the virtual host of new names holds.
static DEFINITIONS: OnceCell<Value> = OnceCell::const_new();

/// Names that were given back, on these servers.
pub(super) fn free(places: &Places) -> Option<String> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    free.pop_if(|_| is_shared(places))
}

fn is_shared(places: &Places) -> bool {
    shared().is_some_and(|servers| *places == Places::of(servers))
}

/// The servers, as the application's settings name them.
struct Config {
    mongo: DatabasesConfig,
    broker: BrokerConfig,
    temporal: TemporalConfig,
    secret: Secret,
    extra: ExtraConsumers,
}

impl App {
    /// Prepares everything the services need, less what is there already when
    /// the names are used again.
    pub(super) async fn prepare_names(&self, used_again: bool) {
        let config = self.config();
        if !used_again {
            self.create_vhost().await;
            tokio::join!(
                eventually("MongoDB is prepared", async || config.mongo.prepare().await),
                eventually("RabbitMQ is prepared", async || {
                    onboard_broker::setup(&config.broker).await
                }),
            );
        }
        if is_shared(&self.places) && config.extra.names().is_empty() {
            DEFINITIONS.get_or_init(|| self.definitions()).await;
        }
        if !config.extra.names().is_empty() {
            self.prepare_consumers(&config).await;
        }
        let namespace = namespace(&self.places, &config.temporal).await;
        let mongo = Databases::new(&config.mongo).await.unwrap();
        note_namespace(mongo.of_auth(), &namespace).await.unwrap();
        let who = || "the tests".to_owned();
        let by = By::Operator { actor: who(), os_user: who() };
        let witness = Witness { by, kept_ms: 86_400_000 };
        Manager::new(mongo.of_auth(), config.secret).ensure(&witness).await.unwrap();
    }

    /// The consumers of other programs, as `onboard setup` adds them.
    async fn prepare_consumers(&self, config: &Config) {
        let declared = async || onboard_broker::setup(&config.broker).await;
        eventually("the queues of other programs are declared", declared).await;
        let mongo = Databases::new(&config.mongo).await.unwrap();
        Consumers::new(mongo.of_auth()).note(&config.extra).await.unwrap();
    }

    /// Ends the use of the names: empties them for the next application, or
    /// removes them.
    pub(super) async fn give_names_back(&self) {
        if is_shared(&self.places) {
            self.remove_extra_queues().await;
        }
        if is_shared(&self.places) && self.names_are_as_made().await {
            self.empty_databases().await;
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.names.clone());
        } else {
            self.drop_databases().await;
            self.delete_vhost().await;
        }
        self.clients.close().await;
    }

    async fn names_are_as_made(&self) -> bool {
        let mongo = Databases::new(&self.config().mongo).await.unwrap();
        let (definitions, lacking) = tokio::join!(self.definitions(), mongo.lacking());
        DEFINITIONS.get() == Some(&definitions)
            && lacking.is_ok_and(|lacking| lacking.is_empty())
            && self.queue_depths().await == (0, 0)
            // An acknowledgement that came last may not have been taken.
            && self.acknowledgements_left().await == 0
            && !self.profiled().await
            && !self.has_indexed_lists().await
    }

    /// Exchanges, queues, bindings and policies, whatever the virtual host's name
    /// and the order that RabbitMQ lists them in, which depends on that name.
    async fn definitions(&self) -> Value {
        let path = format!("definitions/{}", self.names);
        let answer = self.management(Method::GET, &path, None).await;
        let text = answer.text().await.unwrap();
        let mut all: Value = serde_json::from_str(&text.replace(&self.names, "names")).unwrap();
        let lists = all.as_object_mut().unwrap().values_mut().filter_map(Value::as_array_mut);
        lists.for_each(|list| list.sort_by_key(Value::to_string));
        all
    }

    /// Whether a test had MongoDB keep a profile.
    async fn profiled(&self) -> bool {
        for database in [self.auth_database().await, self.todo_database().await] {
            let names = database.list_collection_names().await.unwrap();
            if names.iter().any(|name| name.starts_with("system.")) {
                return true;
            }
        }
        false
    }

    async fn empty_databases(&self) {
        for database in [self.auth_database().await, self.todo_database().await] {
            let names = database.list_collection_names().await.unwrap();
            let emptied = names.iter().map(async |name| {
                database.collection::<Document>(name).delete_many(doc! {}).await.unwrap();
            });
            join_all(emptied).await;
        }
    }

    fn config(&self) -> Config {
        let mut problems = Problems::default();
        let broker = BrokerArgs { amqp_url: Some(self.amqp_url()), ..BrokerArgs::default() };
        let temporal = TemporalArgs {
            temporal_address: Some(self.places.temporal_address.clone()),
            ..TemporalArgs::default()
        };
        let secret = SecretArgs {
            auth_secret_file: Some(self.setting("AUTH_SECRET_FILE").into()),
            ..SecretArgs::default()
        };
        let extra = self.extra_consumers();
        Config {
            mongo: self.mongo_config(),
            broker: broker.check(onboard_events::topology(&extra), &mut problems).unwrap(),
            extra,
            temporal: temporal.check(&mut problems).unwrap(),
            secret: secret.check(&mut problems).unwrap(),
        }
    }
}

/// Prepares the namespace, that of the shared Temporal once, and returns its id.
async fn namespace(places: &Places, config: &TemporalConfig) -> String {
    static SHARED: OnceCell<String> = OnceCell::const_new();
    let prepare = async || {
        eventually("Temporal is prepared", async || temporal::prepare(config).await).await;
        temporal::namespace_id(config).await.unwrap()
    };
    if shared().is_some_and(|servers| places.temporal_address == servers.temporal_address()) {
        SHARED.get_or_init(prepare).await.clone()
    } else {
        prepare().await
    }
}
