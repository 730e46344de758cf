//! Users after their registration: login, roles, and what an operator sees.
//!
//! A role and the record of who gave or took it are committed together; a
//! crash before the commit leaves neither.

mod forms;

use mongodb::bson::{Bson, Document, doc};
use mongodb::{ClientSession, Collection};
use onboard_contract::UserId;
use onboard_fault::Step;
use onboard_mongo::bson_time::{date, id};
use onboard_mongo::field::{self, DATE, TEXT, UUID};
use onboard_mongo::{Malformed, Mongo, Raw, StoreError, ask, bounded, transact_at};
use onboard_runtime::clock;

use super::security_events::{By, EventKind, Witness};
pub use forms::displaced;

pub(crate) const USERS: &str = "users";
pub(crate) const ROLE_CHANGES: &str = "role_changes";
/// What everybody is who has not been given more.
const DEFAULT_ROLE: &str = "user";

/// A user. Personal data: never logged.
#[derive(Clone)]
pub struct User {
    /// The user.
    pub user_id: UserId,
    /// The address as given.
    pub email: String,
    /// The password's hash as a PHC string.
    pub password_hash: String,
    /// When the user registered, in ms.
    pub created_at_ms: i64,
    /// The names of the roles.
    pub roles: Vec<String>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// A page of users.
#[derive(Debug, Clone)]
pub struct UsersPage {
    /// The users, the youngest first.
    pub users: Vec<User>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// A role to be given or taken.
#[derive(Debug, Clone)]
pub struct RoleChange {
    /// Whose.
    pub user_id: UserId,
    /// The role's name.
    pub role: &'static str,
    /// Given, or taken.
    pub grant: bool,
    /// By whom.
    pub by: Witness,
}

/// What a change of role found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleChanged {
    /// It was done.
    Now {
        /// The roles by now.
        roles: Vec<String>,
    },
    /// It was so before; nothing is recorded.
    Already {
        /// The roles.
        roles: Vec<String>,
    },
    /// There is no such user.
    NoUser,
}

/// Users in MongoDB.
#[derive(Debug, Clone)]
pub struct Users {
    mongo: Mongo,
}

impl Users {
    /// Over a client.
    #[must_use]
    pub fn new(mongo: &Mongo) -> Self {
        Self { mongo: mongo.clone() }
    }

    /// The user with this id.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, user: UserId) -> Result<Option<User>, StoreError> {
        self.find_one(doc! { "_id": id(user.uuid()) }).await
    }

    /// One that cannot be read counts as absent.
    async fn find_one(&self, filter: Document) -> Result<Option<User>, StoreError> {
        let users = self.documents();
        let find = users.find_one(filter);
        let found = ask("look up the user", find).await?;
        Ok(found.and_then(|found| self.mongo.noted().read(USERS, &found, User::read)))
    }

    /// A page of users, the youngest first; only those with this role, if one is named,
    /// and only those behind this user. Those that cannot be read are left out;
    /// [`scan`](onboard_mongo::scan) names them.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(
        &self,
        role: Option<&str>,
        after: Option<&User>,
        limit: u32,
    ) -> Result<UsersPage, StoreError> {
        let filter = doc! { "$and": [having(role), behind(after)] };
        // One more says whether there is another page.
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut asked = i64::from(limit).saturating_add(1);
        loop {
            let found = self.youngest(filter.clone(), asked).await?;
            let all = i64::try_from(found.len()).is_ok_and(|found| found < asked);
            let read = |raw| self.mongo.noted().read(USERS, raw, User::read);
            let mut users: Vec<User> = found.iter().filter_map(read).collect();
            if users.len() > wanted || all {
                let more = users.len() > wanted;
                users.truncate(wanted);
                return Ok(UsersPage { users, more });
            }
            asked = asked.saturating_mul(2);
        }
    }

    /// How many users there are; only those with this role, if one is named.
    ///
    /// # Errors
    /// The store failed.
    pub async fn count(&self, role: Option<&str>) -> Result<u64, StoreError> {
        let users = self.documents();
        ask("count the users", users.count_documents(having(role))).await
    }

    async fn youngest(&self, filter: Document, limit: i64) -> Result<Vec<Raw>, StoreError> {
        let users = self.documents();
        let find = users.find(filter).sort(doc! { "createdAt": -1, "_id": -1 }).limit(limit);
        ask("list the users", find).await
    }

    /// Replaces a password's hash, unless it has changed meanwhile. Returns
    /// whether it was replaced.
    ///
    /// # Errors
    /// The store failed.
    pub async fn replace_hash(
        &self,
        user: UserId,
        (old, new): (&str, &str),
        by: &Witness,
    ) -> Result<bool, StoreError> {
        let mongo = self.mongo.clone();
        let this = doc! { "_id": id(user.uuid()), "passwordHash": old };
        let set = doc! { "$set": { "passwordHash": new } };
        let event = by.event(EventKind::PasswordRehashed).of_user(user);
        let replace = transact_at(Step("login.rehash"), self.mongo.client(), async move |client| {
            let users = mongo.documents(USERS);
            let (this, set) = (this.clone(), set.clone());
            let done = users.update_one(this, set).session(&mut *client).await?;
            if done.matched_count == 1 {
                event.record(&mongo, client).await?;
            }
            Ok(done.matched_count == 1)
        });
        bounded("replace the password's hash", replace).await
    }

    /// Gives or takes a role and records who did.
    ///
    /// # Errors
    /// The store failed; run it again to know.
    pub async fn change_role(&self, change: &RoleChange) -> Result<RoleChanged, StoreError> {
        bounded("change the roles", self.commit_role(change.clone())).await
    }

    async fn commit_role(&self, change: RoleChange) -> mongodb::error::Result<RoleChanged> {
        let mongo = self.mongo.clone();
        transact_at(Step("role.commit"), self.mongo.client(), async move |client| {
            apply(&mongo, client, &change).await
        })
        .await
    }

    fn documents(&self) -> Collection<Raw> {
        self.mongo.documents(USERS).clone_with_type()
    }
}

/// Who has the role.
fn having(role: Option<&str>) -> Document {
    match role {
        None => doc! {},
        // Who has no list of roles has this one.
        Some(DEFAULT_ROLE) => doc! { "roles": { "$in": [DEFAULT_ROLE, null] } },
        Some(role) => doc! { "roles": role },
    }
}

/// Who comes behind a user in a list that begins with the youngest.
fn behind(user: Option<&User>) -> Document {
    let Some(user) = user else { return doc! {} };
    let created = date(user.created_at_ms);
    doc! { "$or": [
        { "createdAt": { "$lt": created } },
        { "createdAt": created, "_id": { "$lt": id(user.user_id.uuid()) } },
    ] }
}

/// Inside the transaction.
async fn apply(
    mongo: &Mongo,
    client: &mut ClientSession,
    change: &RoleChange,
) -> mongodb::error::Result<RoleChanged> {
    let users = mongo.documents(USERS).clone_with_type::<Raw>();
    let this = doc! { "_id": id(change.user_id.uuid()) };
    let found = users.find_one(this.clone()).session(&mut *client).await?;
    let user = found.and_then(|found| mongo.noted().read(USERS, &found, User::read));
    let Some(User { mut roles, .. }) = user else { return Ok(RoleChanged::NoUser) };
    if roles.iter().any(|role| role == change.role) == change.grant {
        return Ok(RoleChanged::Already { roles });
    }
    if change.grant {
        roles.push(change.role.to_owned());
    } else {
        roles.retain(|role| role != change.role);
    }
    let set = doc! { "$set": { "roles": &roles } };
    users.update_one(this, set).session(&mut *client).await?;
    let actor = match &change.by.by {
        By::Operator { actor, .. } => actor.as_str(),
        By::Client { .. } => "a client",
    };
    let record = doc! {
        "_id": id(clock::ordered_id()),
        "userId": id(change.user_id.uuid()),
        "role": change.role,
        "act": if change.grant { "grant" } else { "revoke" },
        "actor": actor,
        "at": date(clock::now_ms()),
    };
    mongo.documents(ROLE_CHANGES).insert_one(record).session(&mut *client).await?;
    let kind = if change.grant { EventKind::RoleGranted } else { EventKind::RoleRevoked };
    let event = change.by.event(kind).of_user(change.user_id).of_role(change.role);
    event.record(mongo, client).await?;
    Ok(RoleChanged::Now { roles })
}

impl User {
    /// Reads a user.
    fn read(user: &Document) -> Result<Self, Malformed> {
        let text =
            |name: &'static str| field::text(user, name).required(name, TEXT).map(str::to_owned);
        let roles = field::read(user, "roles", names).optional("roles", "a list of roles")?;
        Ok(Self {
            user_id: field::id(user, "_id").required("_id", UUID)?.into(),
            email: text("email")?,
            password_hash: text("passwordHash")?,
            created_at_ms: field::time(user, "createdAt").required("createdAt", DATE)?,
            roles: roles.unwrap_or_else(|| vec![DEFAULT_ROLE.to_owned()]),
        })
    }
}

/// Texts, none at all among them.
fn names(value: &Bson) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// What is wrong with a user, if anything is.
pub(crate) fn check(user: &Document) -> Result<(), Malformed> {
    User::read(user)?;
    field::text(user, "emailCanonical").required("emailCanonical", TEXT).map(drop)
}

/// Whether the roles of a user can be read. Absent ones can.
#[must_use]
pub fn has_roles(user: &Document) -> bool {
    !field::read(user, "roles", names).is_other()
}
