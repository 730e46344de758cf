//! Users after their registration: login, roles, and what an operator sees.
//!
//! A role and the record of who gave or took it are committed together; a
//! crash before the commit leaves neither.

use futures::TryStreamExt;
use mongodb::bson::{self, DateTime, Document, doc};
use mongodb::{ClientSession, Collection};
use onboard_contract::UserId;
use onboard_fault::{self as fault, Step, step};
use onboard_runtime::clock;
use serde::Deserialize;

use crate::StoreError;
use crate::bson_time::{date, id, uuid};
use crate::mongo::{Mongo, bounded, transaction};

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
    pub actor: String,
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

    /// The user with this address, in its canonical form.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find_by_email(&self, canonical: &str) -> Result<Option<User>, StoreError> {
        self.find_one(doc! { "emailCanonical": canonical }).await
    }

    /// The user with this id.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, user: UserId) -> Result<Option<User>, StoreError> {
        self.find_one(doc! { "_id": id(user.uuid()) }).await
    }

    async fn find_one(&self, filter: Document) -> Result<Option<User>, StoreError> {
        let users = self.documents();
        let find = users.find_one(filter);
        let found = bounded("look up the user", async { find.await }).await?;
        Ok(found.map(UserDocument::into_user))
    }

    /// Users, the youngest first; only those with this role, if one is named.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, role: Option<&str>, limit: u32) -> Result<Vec<User>, StoreError> {
        let filter = match role {
            None => doc! {},
            // Who has no list of roles has this one.
            Some(DEFAULT_ROLE) => doc! { "roles": { "$in": [DEFAULT_ROLE, null] } },
            Some(role) => doc! { "roles": role },
        };
        let users = self.documents();
        let found = bounded("list the users", async {
            let newest = doc! { "createdAt": -1 };
            users.find(filter).sort(newest).limit(limit.into()).await?.try_collect::<Vec<_>>().await
        });
        Ok(found.await?.into_iter().map(UserDocument::into_user).collect())
    }

    /// Replaces a password's hash, unless it has changed meanwhile. Returns
    /// whether it was replaced.
    ///
    /// # Errors
    /// The store failed.
    pub async fn replace_hash(
        &self,
        user: UserId,
        old: &str,
        new: &str,
    ) -> Result<bool, StoreError> {
        let users = self.mongo.users();
        let update = users.update_one(
            doc! { "_id": id(user.uuid()), "passwordHash": old },
            doc! { "$set": { "passwordHash": new } },
        );
        let replace = step(Step::LoginRehash, async { update.await });
        let done = bounded("replace the password's hash", replace).await?;
        Ok(done.matched_count == 1)
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
        let mut client = self.mongo.auth().client().start_session().await?;
        let changed = transaction(&mut client)
            .and_run2(async move |client| {
                let changed = apply(&mongo, client, &change).await?;
                fault::before(Step::RoleCommit).await;
                Ok(changed)
            })
            .await?;
        fault::after(Step::RoleCommit).await;
        Ok(changed)
    }

    fn documents(&self) -> Collection<UserDocument> {
        self.mongo.users().clone_with_type()
    }
}

/// Inside the transaction.
async fn apply(
    mongo: &Mongo,
    client: &mut ClientSession,
    change: &RoleChange,
) -> mongodb::error::Result<RoleChanged> {
    let users = mongo.users().clone_with_type::<UserDocument>();
    let this = doc! { "_id": id(change.user_id.uuid()) };
    let Some(user) = users.find_one(this.clone()).session(&mut *client).await? else {
        return Ok(RoleChanged::NoUser);
    };
    let mut roles = user.roles;
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
    let record = doc! {
        "_id": id(clock::ordered_id()),
        "userId": id(change.user_id.uuid()),
        "role": change.role,
        "act": if change.grant { "grant" } else { "revoke" },
        "actor": &change.actor,
        "at": date(clock::now_ms()),
    };
    mongo.role_changes().insert_one(record).session(&mut *client).await?;
    Ok(RoleChanged::Now { roles })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserDocument {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    email: String,
    password_hash: String,
    created_at: DateTime,
    #[serde(default = "default_roles")]
    roles: Vec<String>,
}

fn default_roles() -> Vec<String> {
    vec![DEFAULT_ROLE.to_owned()]
}

impl UserDocument {
    fn into_user(self) -> User {
        User {
            user_id: uuid(self.id).into(),
            email: self.email,
            password_hash: self.password_hash,
            created_at_ms: self.created_at.timestamp_millis(),
            roles: self.roles,
        }
    }
}
