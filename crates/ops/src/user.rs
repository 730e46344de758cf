//! A user, as far as the audit reads it: never the password hash, and the
//! addresses only to compare them.

use mongodb::bson::{Document, doc};
use onboard_auth::store::displaced;
use uuid::Uuid;

use crate::audit::document::{id, text, time};

/// A user.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) created_at_ms: Option<i64>,
    pub(crate) email: Option<String>,
    /// What is wrong with it.
    pub(crate) altered: Option<&'static str>,
}

impl User {
    /// The fields of a user. Of the hash only its kind is read.
    pub(crate) fn projection() -> Document {
        let is_text = doc! { "$eq": [{ "$type": "$passwordHash" }, "string"] };
        // Compared byte by byte, so that it need not be UTF-8: `%` follows `$`.
        let from = doc! { "$gte": ["$passwordHash", { "$literal": "$argon2id$" }] };
        let below = doc! { "$lt": ["$passwordHash", { "$literal": "$argon2id%" }] };
        doc! {
            "email": 1, "emailCanonical": 1, "createdAt": 1, "roles": 1,
            "hashed": { "$and": [is_text, from, below] },
        }
    }

    /// Reads one; `None` when its id is none.
    pub(crate) fn read(user: &Document) -> Option<Self> {
        let created_at_ms = time(user, "createdAt");
        Some(Self {
            id: id(user, "_id")?,
            created_at_ms,
            email: text(user, "email").map(str::to_owned),
            altered: altered(user, created_at_ms),
        })
    }
}

fn altered(user: &Document, created_at_ms: Option<i64>) -> Option<&'static str> {
    let (Some(email), Some(canonical)) = (text(user, "email"), text(user, "emailCanonical")) else {
        return Some("it has no address");
    };
    if !is_canonical(email, canonical) {
        return Some("email and emailCanonical are not the same address");
    }
    if !user.get_bool("hashed").unwrap_or_default() {
        return Some("passwordHash is no argon2id hash");
    }
    if !onboard_auth::store::has_roles(user) {
        return Some("roles is no list of names");
    }
    created_at_ms.is_none().then_some("createdAt is not a date")
}

/// For ASCII the canonical form is the lower case; of others only the domain,
/// which is punycode then, can be checked without the rules of registration.
fn is_canonical(email: &str, canonical: &str) -> bool {
    if email.is_ascii() {
        let lower = email.to_ascii_lowercase();
        return email.contains('@') && (lower == canonical || displaced(&lower) == canonical);
    }
    match canonical.rsplit_once('@') {
        Some((local, domain)) => {
            !local.is_empty() && domain.is_ascii() && domain.to_ascii_lowercase() == domain
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_as_registration_folds_them() {
        for (email, canonical, same) in [
            ("Ada@Example.com", "ada@example.com", true),
            ("ada@example.com", "eve@example.com", false),
            ("ada", "ada", false),
            ("Ada@Example.com", ":ada@example.com", true),
            ("ä@bücher.example", "ä@xn--bcher-kva.example", true),
            ("ä@bücher.example", "ä@bücher.example", false),
            ("ä@bücher.example", "nobody", false),
        ] {
            assert_eq!(is_canonical(email, canonical), same, "{email} {canonical}");
        }
    }
}
