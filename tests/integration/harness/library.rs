//! The store as the services use it, on an application's databases.

use onboard_runtime::Problems;
use onboard_store::{Mongo, MongoArgs};

use super::App;

impl App {
    pub(crate) async fn mongo(&self) -> Mongo {
        let args = MongoArgs {
            mongodb_uri: Some(self.places.mongodb_uri.clone()),
            mongodb_auth_database: Some(format!("auth-{}", self.id)),
            mongodb_todo_database: Some(format!("todo-{}", self.id)),
            ..MongoArgs::default()
        };
        let config = args.check(&mut Problems::default()).unwrap();
        Mongo::new(&config).await.unwrap()
    }
}
