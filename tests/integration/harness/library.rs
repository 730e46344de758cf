//! The store as the services use it, on an application's databases.

use onboard_ops::{Databases, DatabasesArgs, DatabasesConfig};
use onboard_runtime::Problems;

use super::App;

impl App {
    pub(crate) async fn mongo(&self) -> Databases {
        Databases::new(&self.mongo_config()).await.unwrap()
    }

    pub(super) fn mongo_config(&self) -> DatabasesConfig {
        let mut args = DatabasesArgs::at(self.places.mongodb_uri.clone());
        args.outbox.mongodb_auth_database = Some(format!("auth-{}", self.names));
        args.todo.mongodb_todo_database = Some(format!("todo-{}", self.names));
        args.check(&mut Problems::default()).unwrap()
    }
}
