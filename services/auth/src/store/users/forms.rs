//! The forms under which accounts are kept (`emailCanonical`, unique).
//!
//! An account has the canonical form of its address. One of a released build may have
//! another one until `setup` has given it the canonical one; and one whose
//! canonical form an older account has, has a form of its own for good
//! (docs/adr/0047). Each change is one update or one transaction.

use mongodb::bson::{Document, doc};
use onboard_mongo::{Raw, StoreError, ask, bounded, field, is_duplicate_key, transact};

use super::{USERS, User, Users};

/// Forms in a page.
const PAGE: i64 = 5_000;

/// The form of an account whose canonical form an older one has, from the form that
/// released builds give its address. No address has it: a local part holds no colon.
#[must_use]
pub fn displaced(released: &str) -> String {
    format!(":{released}")
}

impl Users {
    /// The user under the first of these forms that somebody has. A user that cannot be
    /// read counts as absent, and hides those behind it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find_by_forms(&self, forms: &[String]) -> Result<Option<User>, StoreError> {
        let users = self.documents();
        let find = users.find(doc! { "emailCanonical": { "$in": forms } });
        let found: Vec<Raw> = ask("look up the user", find).await?;
        let of = |form: &String| found.iter().find(|Raw(user)| form_of(user) == Some(form));
        let nearest = forms.iter().find_map(of);
        Ok(nearest.and_then(|raw| self.mongo.noted().read(USERS, raw, User::read)))
    }

    /// The forms behind this one, in their order; none at the end.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forms_behind(&self, last: Option<&str>) -> Result<Vec<String>, StoreError> {
        let behind = doc! { "emailCanonical": { "$gt": last.unwrap_or_default() } };
        let users = self.documents();
        let find = users
            .find(behind)
            .projection(doc! { "_id": 0, "emailCanonical": 1 })
            .sort(doc! { "emailCanonical": 1 })
            .limit(PAGE);
        let found: Vec<Raw> = ask("list the addresses", find).await?;
        Ok(found.iter().filter_map(|Raw(user)| form_of(user).map(str::to_owned)).collect())
    }

    /// The user with this form alone.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find_form(&self, form: &str) -> Result<Option<User>, StoreError> {
        self.find_one(doc! { "emailCanonical": form }).await
    }

    /// Gives the account under a form another one. Returns whether that was free.
    ///
    /// # Errors
    /// The store failed; run it again to know.
    pub async fn move_form(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        let users = self.mongo.documents(USERS);
        let update = users.update_one(doc! { "emailCanonical": from }, set(to));
        bounded("change the form of an address", async {
            match update.await {
                Ok(done) => Ok(done.matched_count == 1),
                Err(error) if is_duplicate_key(&error) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Gives the account under `form` the form `own`, and its form to the one under `older`.
    /// Returns whether all of them were free.
    ///
    /// # Errors
    /// The store failed; run it again to know.
    pub async fn displace(&self, form: &str, own: &str, older: &str) -> Result<bool, StoreError> {
        let users = self.mongo.documents(USERS);
        let moves = [(form.to_owned(), own.to_owned()), (older.to_owned(), form.to_owned())];
        let commit = transact(self.mongo.client(), async move |session| {
            for (from, to) in &moves {
                let update = users.update_one(doc! { "emailCanonical": from }, set(to));
                update.session(&mut *session).await?;
            }
            Ok(true)
        });
        bounded("change the forms of two addresses", async {
            match commit.await {
                Err(error) if is_duplicate_key(&error) => Ok(false),
                done => done,
            }
        })
        .await
    }
}

fn form_of(user: &Document) -> Option<&str> {
    field::text(user, "emailCanonical").known()
}

fn set(form: &str) -> Document {
    doc! { "$set": { "emailCanonical": form } }
}
