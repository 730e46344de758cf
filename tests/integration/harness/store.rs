//! What a test reads and breaks in MongoDB, with the driver itself.

use futures::TryStreamExt;
use mongodb::bson::{self, Bson, Document, doc};
use mongodb::{Client, Collection, Database};
use onboard_contract::{EventId, UserId};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use super::App;

impl App {
    async fn client(&self) -> Client {
        self.clients.mongo(&self.places).await
    }

    pub(crate) async fn auth_database(&self) -> Database {
        self.client().await.database(&format!("auth-{}", self.names))
    }

    pub(crate) async fn todo_database(&self) -> Database {
        self.client().await.database(&format!("todo-{}", self.names))
    }

    pub(crate) async fn users(&self) -> Collection<Document> {
        self.auth_database().await.collection("users")
    }

    pub(crate) async fn outbox(&self) -> Collection<Document> {
        self.auth_database().await.collection("outbox")
    }

    pub(crate) async fn inbox(&self) -> Collection<Document> {
        self.todo_database().await.collection("processed_events")
    }

    pub(crate) async fn todos(&self) -> Collection<Document> {
        self.todo_database().await.collection("todos")
    }

    /// The outbox row of a registration.
    pub(crate) async fn row(&self, event: EventId) -> Document {
        let row = self.outbox().await.find_one(doc! { "_id": binary(event.uuid()) }).await;
        row.unwrap().expect("the outbox row exists")
    }

    /// The user of a registration.
    pub(crate) async fn registered_user(&self, event: EventId) -> UserId {
        uuid_of(self.row(event).await.get("aggregateId").unwrap()).into()
    }

    /// How many todos a user has.
    pub(crate) async fn todos_of(&self, user: UserId) -> u64 {
        let todos = self.todos().await;
        todos.count_documents(doc! { "userId": binary(user.uuid()) }).await.unwrap()
    }

    /// Rows that are not SENT or not acknowledged.
    pub(crate) async fn unfinished_rows(&self) -> u64 {
        let unfinished =
            doc! { "$or": [{ "status": { "$ne": "SENT" } }, { "acknowledgedAt": null }] };
        self.outbox().await.count_documents(unfinished).await.unwrap()
    }

    /// Rows that carry a reason why they are not started.
    pub(crate) async fn rows_with_error(&self) -> u64 {
        let failed = doc! { "lastError": { "$type": "string" } };
        self.outbox().await.count_documents(failed).await.unwrap()
    }

    /// Every user has one outbox row, one inbox record and one welcome todo.
    pub(crate) async fn assert_one_todo_each(&self) {
        let users = self.users().await.distinct("_id", doc! {}).await.unwrap();
        let rows = self.outbox().await.count_documents(doc! {}).await.unwrap();
        assert_eq!(users.len() as u64, rows, "users and outbox rows");
        let inbox = self.inbox().await;
        let todos = self.todos().await;
        let of_users = doc! { "userId": { "$in": users.clone() } };
        let records = inbox.count_documents(of_users.clone()).await.unwrap();
        assert_eq!(records, rows, "inbox records and outbox rows");
        let welcome = todos.count_documents(of_users.clone()).await.unwrap();
        let owners = todos.distinct("userId", of_users).await.unwrap();
        assert_eq!((welcome, owners.len()), (rows, users.len()), "todos and their owners");
    }

    /// Makes MongoDB commands of the `failing` service fail, as long as the
    /// returned guard lives or until [`FailPoint::off`]. A mongod has one such
    /// fail point, so tests take turns.
    pub(crate) async fn fail_commands(&self, mode: Document, mut data: Document) -> FailPoint {
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        data.insert("appName", &self.id);
        let admin = self.client().await.database("admin");
        let on = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
        let before = number(&admin.run_command(on).await.unwrap(), "count");
        FailPoint { admin, before, _turn: turn }
    }

    /// Has MongoDB refuse every update of a row that breaks the validator, or lets it
    /// take them again: another application uses the database after this one.
    pub(crate) async fn refuses_damaged_rows(&self, refuses: bool) {
        let level = if refuses { "strict" } else { "moderate" };
        let set = doc! { "collMod": "outbox", "validationLevel": level };
        self.auth_database().await.run_command(set).await.unwrap();
    }

    pub(crate) async fn drop_databases(&self) {
        self.auth_database().await.drop().await.unwrap();
        self.todo_database().await.drop().await.unwrap();
    }

    /// Whether an index has ever held a list, as a stranger may have written one: MongoDB
    /// plans with that index otherwise ever after.
    pub(super) async fn has_indexed_lists(&self) -> bool {
        for database in [self.auth_database().await, self.todo_database().await] {
            for name in database.list_collection_names().await.unwrap() {
                let collection = database.collection::<Document>(&name);
                for index in collection.list_index_names().await.unwrap() {
                    let explain = doc! { "explain": { "find": &name, "hint": index } };
                    let plan = database.run_command(explain).await.unwrap().to_string();
                    if plan.contains("\"isMultiKey\": true") {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// The sessions of the application with a transaction that waits for its next command.
    pub(crate) async fn idle_sessions(&self) -> Vec<Document> {
        let client = Client::with_uri_str(&self.places.mongodb_uri).await.unwrap();
        let idle = [
            doc! { "$currentOp": { "allUsers": true, "idleSessions": true } },
            doc! { "$match": { "type": "idleSession", "appName": &self.id } },
        ];
        let found = client.database("admin").aggregate(idle).await.unwrap();
        found.try_collect().await.unwrap()
    }

    /// Ends the transactions that dead processes of the application have left, and says
    /// how many: the server itself would do it after a minute. Only connections that are
    /// named after the application are looked at.
    pub(crate) async fn end_orphans(&self) -> usize {
        let client = Client::with_uri_str(&self.places.mongodb_uri).await.unwrap();
        let admin = client.database("admin");
        let found = self.idle_sessions().await;
        let id = |session: &Document| session.get_document("lsid").unwrap().get("id").cloned();
        let ids: Vec<Document> = found.iter().map(|one| doc! { "id": id(one) }).collect();
        let left = ids.len();
        // An empty list would end the sessions of every test: MongoDB takes it for all.
        if left > 0 {
            admin.run_command(doc! { "killSessions": ids }).await.unwrap();
        }
        left
    }
}

/// A fail point that is on.
pub(crate) struct FailPoint {
    admin: Database,
    /// How often it had hit for those before: the server counts for all.
    before: i64,
    _turn: MutexGuard<'static, ()>,
}

impl FailPoint {
    /// Switches it off.
    pub(crate) async fn off(self) {
        let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
        self.admin.run_command(off).await.unwrap();
    }

    /// How often it has hit so far.
    pub(crate) async fn hits(&self) -> i64 {
        let ask = doc! { "getParameter": 1, "failpoint.failCommand": 1 };
        let answer = self.admin.run_command(ask).await.unwrap();
        let point = answer.get_document("failpoint.failCommand").unwrap();
        number(point, "timesEntered") - self.before
    }
}

/// A number that the server may write in either size.
fn number(document: &Document, field: &str) -> i64 {
    document.get_i64(field).or_else(|_| document.get_i32(field).map(i64::from)).unwrap()
}

/// An id as it is stored.
pub(crate) fn binary(id: Uuid) -> bson::Uuid {
    bson::Uuid::from_bytes(id.into_bytes())
}

/// A stored UUID.
pub(super) fn uuid_of(value: &Bson) -> Uuid {
    let Bson::Binary(binary) = value else { panic!("{value} is no UUID") };
    Uuid::from_slice(&binary.bytes).unwrap()
}
