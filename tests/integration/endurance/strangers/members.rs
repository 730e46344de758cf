//! The members, how each is written, and whether it has ended well.

use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use onboard_contract::EventId;
use onboard_mongo::raw_document::readable;
use serde_json::{Value, json};

use super::odd::names_of;
use crate::harness::{Account, App, PASSWORD, Random, Tokens, binary, text};

/// Whose documents are spoiled.
const PEOPLE: usize = 8;

/// A document that a stranger wrote, and how it is named.
struct Member {
    what: String,
    collection: Collection<Document>,
    id: Bson,
    names: Vec<String>,
    is_done: fn(&Document) -> bool,
}

/// Somebody whose documents are spoiled one after the other.
struct Person {
    account: Account,
    tokens: Tokens,
    event: EventId,
}

/// Everything that strangers have written.
pub(super) struct Strangers {
    people: Vec<Person>,
    members: Vec<Member>,
    written: usize,
    /// Registrations whose runs got odd signals.
    pub(super) signalled: Vec<EventId>,
}

impl Strangers {
    pub(super) async fn new(app: &App) -> Self {
        let mut people = Vec::new();
        for _ in 0..PEOPLE {
            let account = app.account().await;
            let tokens = app.log_in(&account).await;
            let user: uuid::Uuid = account.user_id.parse().unwrap();
            let outbox = app.outbox().await;
            let row = outbox.find_one(doc! { "aggregateId": binary(user) }).await.unwrap().unwrap();
            let event: EventId = id_of(&row).into();
            app.reaches(event, "ACKNOWLEDGED").await;
            people.push(Person { account, tokens, event });
        }
        Self { people, members: Vec::new(), written: 0, signalled: Vec::new() }
    }

    pub(super) const fn written(&self) -> usize {
        self.written
    }

    /// Writes one member of any kind.
    pub(super) async fn one(&mut self, app: &App, random: &mut Random) {
        self.written += 1;
        match random.below(10) {
            0..=2 => self.row(app, random).await,
            3 => self.record(app, random).await,
            4 => self.account(app, random).await,
            5 => self.todo(app, random).await,
            6 => session_or_key(app, random).await,
            7 => message(app, random).await,
            8 => letter(app, random).await,
            _ => self.signal(app, random).await,
        }
    }

    /// An outbox row.
    async fn row(&mut self, app: &App, random: &mut Random) {
        let (event, user) = (random.uuid(), random.uuid());
        let now = DateTime::now();
        let mut row = doc! {
            "_id": binary(event), "aggregateType": "User", "aggregateId": binary(user),
            "eventType": "USER_REGISTERED", "schemaVersion": 1, "status": "PENDING",
            "createdAt": now, "nextAttemptAt": now, "attempts": 0,
            "payload": { "userId": binary(user), "email": "stranger@example.com" },
            "startedAt": null, "sentAt": null, "acknowledgedAt": null,
        };
        let mut names = names_of(event);
        let mut what = random.spoil(&mut row, &["_id"]);
        if random.below(3) == 0 {
            let (id, odd) = random.id();
            what.push(format!("_id is {:?}", id.element_type()));
            row.insert("_id", id);
            names = odd;
        }
        let id = row.get("_id").unwrap().clone();
        let outbox = app.outbox().await;
        if outbox.insert_one(row).bypass_document_validation(true).await.is_ok() {
            let what = format!("outbox row, {what:?}");
            let is_done = |row: &Document| row.get_datetime("acknowledgedAt").is_ok();
            self.members.push(Member { what, collection: outbox, id, names, is_done });
        }
    }

    /// The inbox record of a person: another type for one of its ids.
    async fn record(&mut self, app: &App, random: &mut Random) {
        let person = &self.people[random.below(self.people.len())];
        let inbox = app.inbox().await;
        let this = doc! { "eventId": binary(person.event.uuid()) };
        let field = random.pick(&["userId", "todoId", "processedAt", "acknowledgedAt"]);
        let change = doc! { "$set": { field: random.value() } };
        inbox.update_one(this, change).bypass_document_validation(true).await.ok();
    }

    /// An account: each way in answers, whatever the account has become.
    async fn account(&mut self, app: &App, random: &mut Random) {
        let person = &self.people[random.below(self.people.len())];
        let users = app.users().await;
        let user: uuid::Uuid = person.account.user_id.parse().unwrap();
        if random.below(3) == 0 {
            let Some(mut copy) = find(&users, &Bson::from(binary(user))).await else { return };
            let (id, names) = random.id();
            copy.insert("_id", id.clone());
            copy.insert("emailCanonical", format!("{}@example.com", random.next()));
            if users.insert_one(copy).bypass_document_validation(true).await.is_ok() {
                let what = format!("user whose _id is {:?}", id.element_type());
                let is_done = |_: &Document| false;
                self.members.push(Member { what, collection: users, id, names, is_done });
            }
            return;
        }
        let field = random.pick(&["passwordHash", "roles", "createdAt", "email", "disabledAt"]);
        let change = if random.below(4) == 0 {
            doc! { "$unset": { field: "" } }
        } else {
            doc! { "$set": { field: random.value() } }
        };
        let this = doc! { "_id": binary(user) };
        users.update_one(this, change).bypass_document_validation(true).await.ok();
        answers(app, person, &format!("user whose {field} is odd")).await;
    }

    /// A todo of a person.
    async fn todo(&mut self, app: &App, random: &mut Random) {
        let person = &self.people[random.below(self.people.len())];
        let user: uuid::Uuid = person.account.user_id.parse().unwrap();
        let now = DateTime::now();
        let id = random.uuid();
        let mut todo = doc! {
            "_id": binary(id), "userId": binary(user), "title": "of a stranger",
            "completed": false, "createdAt": now, "updatedAt": now, "version": 1_i64,
            "createdBy": "user",
        };
        let what = random.spoil(&mut todo, &["_id", "userId"]);
        if app.todos().await.insert_one(todo).bypass_document_validation(true).await.is_err() {
            return;
        }
        let what = format!("todo, {what:?}");
        let token = &person.tokens.access;
        for path in ["/api/v1/todos".to_owned(), format!("/api/v1/todos/{id}")] {
            let status = app.ask("todo", &path, token).await.status().as_u16();
            assert!(status < 500, "{path} {status}: {what}");
        }
        for request in [
            app.http
                .patch(format!("{}/api/v1/todos/{id}", app.url("todo")))
                .json(&json!({ "completed": true })),
            app.http.delete(format!("{}/api/v1/todos/{id}", app.url("todo"))),
        ] {
            let status = request.bearer_auth(token).send().await.unwrap().status().as_u16();
            assert!(status < 500, "{status}: {what}");
        }
    }

    /// A signal to the workflow of a person, or to one that runs.
    async fn signal(&mut self, app: &App, random: &mut Random) {
        let event = if random.below(2) == 0 {
            self.people[random.below(self.people.len())].event
        } else {
            let event = app.register().await;
            self.signalled.push(event);
            event
        };
        let name = random.pick(&["todo_acknowledged", "acknowledged", "republish", "x"]);
        let input = match random.below(4) {
            0 => Value::Null,
            1 => json!("text"),
            2 => json!({ "eventId": random.uuid(), "todoId": random.uuid() }),
            _ => json!({ "eventId": event, "consumer": "todo", "ref": random.uuid() }),
        };
        app.try_signal(event, name, &input).await;
    }

    /// Every letter is moved or named by one run, and the queue is not held up.
    pub(super) async fn letters_are_moved(&self, app: &App) {
        let args = ["redrive", "--dead-letters", "--reason", "of strangers", "--json"];
        let output = app.onboard(&args).await;
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output));
    }

    /// What has neither ended well nor is named.
    pub(super) async fn unnamed(&self, app: &App, told: &str) -> Vec<String> {
        let mut unnamed = Vec::new();
        for member in &self.members {
            if member.names.iter().any(|name| told.contains(name)) {
                continue;
            }
            let found = find(&member.collection, &member.id).await;
            if !found.as_ref().is_some_and(member.is_done) {
                let told = found.map(|found| {
                    let keys = ["status", "quarantinedAt", "nextAttemptAt", "lastError"];
                    keys.map(|key| found.get(key).map(ToString::to_string))
                });
                unnamed.push(format!("{} {}: {told:?}", member.what, member.id));
            }
        }
        for person in &self.people {
            answers(app, person, "in the end").await;
        }
        unnamed
    }
}

/// Whatever a person asks is answered, and not with 5xx.
async fn answers(app: &App, person: &Person, what: &str) {
    let login = json!({ "email": person.account.email, "password": PASSWORD });
    let refresh = json!({ "refreshToken": person.tokens.refresh });
    let mut statuses = vec![
        app.post("auth", "/api/v1/auth/login", &login).await.0,
        app.post("auth", "/api/v1/auth/refresh", &refresh).await.0,
        app.me(&person.tokens.access).await,
    ];
    let path = format!("/api/v1/registrations/{}", person.event);
    statuses.push(app.ask("auth", &path, "").await.status().as_u16());
    assert!(statuses.iter().all(|status| *status < 500), "{statuses:?}: {what}");
}

/// A session, a refresh token or a signing key.
async fn session_or_key(app: &App, random: &mut Random) {
    let name = random.pick(&["sessions", "refresh_tokens", "signing_keys", "idempotency_keys"]);
    let collection = app.auth_database().await.collection::<Document>(name);
    let one = collection.clone_with_type::<RawDocumentBuf>().find_one(doc! {}).await.unwrap();
    let Some(mut document) = one.map(|one| readable(&one)) else { return };
    random.spoil(&mut document, &["_id"]);
    document.insert("_id", random.id().0);
    collection.insert_one(document).bypass_document_validation(true).await.ok();
}

/// A message to the todo service.
async fn message(app: &App, random: &mut Random) {
    let mut body = json!({ "eventId": random.uuid(), "eventType": "USER_REGISTERED",
        "schemaVersion": 1, "occurredAt": "2026-01-01T00:00:00Z",
        "payload": { "userId": random.uuid(), "email": "stranger@example.com" } });
    let field = random.pick(&["eventId", "eventType", "schemaVersion", "occurredAt", "payload"]);
    body[field] = match random.below(5) {
        0 => Value::Null,
        1 => json!(random.next()),
        2 => json!("x".repeat(random.below(2_000))),
        3 => json!([[[{}]]]),
        _ => json!({ "userId": random.next(), "more": true }),
    };
    app.publish_by_hand(&body.to_string()).await;
}

/// A letter among the dead letters that no part of this system put there.
async fn letter(app: &App, random: &mut Random) {
    let properties = match random.below(4) {
        0 => json!({ "expiration": "600000" }),
        1 => json!({ "headers": { "CC": ["nowhere"], "BCC": ["nowhere"] } }),
        2 => json!({ "headers": { "x-death": "odd", "x-onboard-reason": 7 } }),
        _ => json!({ "priority": 9, "message_id": random.uuid().to_string() }),
    };
    let letter = json!({ "routing_key": "user.registered", "properties": properties,
        "payload": "{}", "payload_encoding": "string" });
    app.publish_through("user.events.dlx", letter).await;
}

/// A document with this id, read as it lies there.
async fn find(collection: &Collection<Document>, id: &Bson) -> Option<Document> {
    let raw = collection.clone_with_type::<RawDocumentBuf>();
    let found = raw.find_one(doc! { "_id": id }).await.unwrap();
    found.map(|found| readable(&found))
}

fn id_of(row: &Document) -> uuid::Uuid {
    match row.get("_id") {
        Some(Bson::Binary(id)) => uuid::Uuid::from_slice(&id.bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}
