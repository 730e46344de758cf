//! Gives the accounts of released builds their canonical form.
//!
//! Released builds kept another form (`forms::released`). Accounts that differ by
//! that form may have one canonical form now: the oldest of them gets it, and the
//! others keep one under which only their own spelling finds them. Each change is one
//! update or one transaction, and the whole may be repeated: when the process dies
//! here, the accounts that were not reached are found as before.

use onboard_mongo::{Mongo, StoreError};
use unicode_normalization::UnicodeNormalization as _;

use crate::store::{Users, displaced};

use super::{characters, forms};

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Accounts that got their canonical form.
    pub moved: u64,
    /// Accounts that keep another form, since an older one has the canonical one.
    pub kept: u64,
}

/// An account that is not in its canonical form.
struct Old {
    form: String,
    canonical: String,
    created_at_ms: i64,
}

/// Gives each account its canonical form, the oldest first; safe to repeat.
///
/// # Errors
/// The store failed.
pub async fn migrate(mongo: &Mongo) -> Result<Migrated, StoreError> {
    let users = Users::new(mongo);
    let mut old = find_old(&users).await?;
    old.sort_by_key(|account| account.created_at_ms);
    let mut migrated = Migrated::default();
    for account in old {
        if give(&users, &account).await? {
            migrated.moved += 1;
        } else {
            migrated.kept += 1;
        }
    }
    Ok(migrated)
}

async fn find_old(users: &Users) -> Result<Vec<Old>, StoreError> {
    let (mut old, mut last) = (Vec::new(), None);
    loop {
        let page = users.forms_behind(last.as_deref()).await?;
        let Some(end) = page.last() else { return Ok(old) };
        for form in &page {
            if let Some(canonical) = canonical_of(form)
                && let Some(found) = users.find_form(form).await?
            {
                let created_at_ms = found.created_at_ms;
                old.push(Old { form: form.clone(), canonical, created_at_ms });
            }
        }
        last = Some(end.clone());
    }
}

/// The canonical form of an account, if that is another than the one it has. One whose
/// address is not acceptable any more keeps its form.
fn canonical_of(form: &str) -> Option<String> {
    if form.is_ascii() {
        return None;
    }
    let (local, domain) = form.rsplit_once('@')?;
    let composed: String = local.nfc().collect();
    let canonical = format!("{}@{domain}", forms::folded(local));
    (canonical != form && characters::are_allowed(&composed)).then_some(canonical)
}

/// Whether the account has got its canonical form.
async fn give(users: &Users, account: &Old) -> Result<bool, StoreError> {
    let Old { form, canonical, created_at_ms } = account;
    match users.find_form(canonical).await? {
        None => users.move_form(form, canonical).await,
        Some(holder) if holder.created_at_ms <= *created_at_ms => Ok(false),
        // The younger one is found by its own spelling from now on.
        Some(holder) => {
            let Some((local, domain)) = holder.email.rsplit_once('@') else { return Ok(false) };
            let Ok(domain) = super::canonical_domain(domain) else { return Ok(false) };
            let own = displaced(&format!("{}@{domain}", forms::released(local)));
            users.displace(canonical, &own, form).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_form_is_given_away() {
        for (form, canonical) in [
            ("ada@example.com", None),
            ("zoë@example.com", None),
            ("straße@example.com", Some("strasse@example.com")),
            ("νικος.α@example.com", Some("νικοσ.α@example.com")),
            (":straße@example.com", None),
            ("a\u{3164}@example.com", None),
            ("no address ß", None),
        ] {
            assert_eq!(canonical_of(form).as_deref(), canonical, "{form}");
        }
    }
}
