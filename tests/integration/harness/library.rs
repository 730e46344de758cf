//! The store as the services use it, on an application's databases.

use onboard_runtime::Problems;
use onboard_store::{Mongo, MongoArgs, MongoConfig};

use super::App;

impl App {
    pub(crate) async fn mongo(&self) -> Mongo {
        Mongo::new(&self.mongo_config()).await.unwrap()
    }

    pub(super) fn mongo_config(&self) -> MongoConfig {
        let args = MongoArgs {
            mongodb_uri: Some(self.places.mongodb_uri.clone()),
            mongodb_auth_database: Some(format!("auth-{}", self.names)),
            mongodb_todo_database: Some(format!("todo-{}", self.names)),
            ..MongoArgs::default()
        };
        args.check(&mut Problems::default()).unwrap()
    }
}
