//! `onboard keys`: the keys that sign access tokens. Auth reads them again
//! every few seconds, so nothing is restarted.
//!
//! Each change is one transaction: a crash leaves the keys as they were, or
//! changed. Run `list` to know.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use onboard_auth::SecurityEventsArgs;
use onboard_auth::keys::SealedBy;
use onboard_auth::keys::manage::{
    KeyView, KeysView, ManageError, Manager, PUBLISHED_BEFORE, Rewrapped,
};
use onboard_auth::store::{EventKind, Removal, Witness};
use onboard_http::timestamp::rfc3339;
use onboard_ops::Databases;
use onboard_runtime::plain::told;
use onboard_runtime::{Problems, SecretArgs, clock, exit};
use serde_json::{Value, json};

use super::actor::{ActorArgs, tell};
use super::columns::{columns, row};
use super::operate::{complain, duration, print, say, unread};
use super::target::TargetArgs;

/// What `list` says of a key that is to be sealed anew.
const BY_PREVIOUS: &str = "sealed by AUTH_SECRET_PREVIOUS: run onboard keys rewrap";

/// The longest a new key may wait.
const WAIT_MAX: Duration = Duration::from_hours(24);

/// Arguments of `onboard keys`.
#[derive(Debug, clap::Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    actor: ActorArgs,
    #[command(flatten)]
    events: SecurityEventsArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the keys whose tokens are good.
    List,
    /// Make a new key: published at once, signing when everybody knows it. The
    /// others go when their last token has ended.
    Rotate {
        /// Sign with it at once. Services fetch it when they first meet it.
        #[arg(long, conflicts_with = "after")]
        now: bool,
        /// Sign with it after this time, up to 24h. Default: 10m.
        #[arg(long, value_name = "DURATION", value_parser = wait)]
        after: Option<Duration>,
    },
    /// Remove a key at once, for one that somebody else may have: its tokens
    /// are refused and their users refresh. There is always a key afterwards.
    Remove {
        /// The key's id. It may begin with a hyphen.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        /// `AUTH_SECRET` was changed on purpose and does not open the keys that
        /// are there: remove them one by one.
        #[arg(long)]
        new_secret: bool,
    },
    /// Seal every key by `AUTH_SECRET`, after a change of the secret: those before stand in
    /// `AUTH_SECRET_PREVIOUS`. Safe to repeat.
    Rewrap,
}

fn wait(text: &str) -> Result<Duration, String> {
    let wait = duration(text)?;
    if wait > WAIT_MAX { Err("must be at most 24h".to_owned()) } else { Ok(wait) }
}

/// Lists or changes the keys.
pub(crate) fn run(args: KeysArgs) -> anyhow::Result<ExitCode> {
    let KeysArgs { verb, json, actor, events, mut secret, target } = args;
    if !secret.names_one() {
        secret.auth_secret_file = target.local_secret();
    }
    let mongo = target.connect()?.mongo;
    let mut problems = Problems::default();
    let secret = secret.check(&mut problems);
    let witness = actor.witness(events.check(&mut problems));
    let secret = problems.finish(secret)?;
    let code = tokio::runtime::Runtime::new()?.block_on(async {
        let worked = match Databases::new(&mongo).await {
            Ok(mongo) => work(&Manager::new(mongo.of_auth(), secret), verb, json, &witness).await,
            Err(error) => Err(ManageError::Store(error)),
        };
        worked.unwrap_or_else(|error| {
            complain(&told(&error));
            code(&error)
        })
    });
    Ok(ExitCode::from(code))
}

/// The exit code of a failure: another secret is a matter of configuration.
pub(crate) const fn code(error: &ManageError) -> u8 {
    match error {
        ManageError::Store(_) => exit::UNAVAILABLE,
        ManageError::WrongSecret(_) => exit::CONFIG,
        ManageError::Key(_) => exit::NO,
    }
}

async fn work(
    manager: &Manager,
    verb: Verb,
    json: bool,
    witness: &Witness,
) -> Result<u8, ManageError> {
    match verb {
        Verb::List => {}
        Verb::Rotate { now, after } => {
            let wait = if now { Duration::ZERO } else { after.unwrap_or(PUBLISHED_BEFORE) };
            let new = manager.rotate(wait, witness).await?;
            tell(EventKind::KeyRotated, &new, witness);
        }
        Verb::Remove { kid, new_secret } => {
            match manager.remove(&kid, new_secret, witness).await? {
                Removal::Done { signs } => {
                    tell(EventKind::KeyRemoved, &format!("{kid} ({signs} signs)"), witness);
                    if !json {
                        say(&format!(
                            "{kid} is gone; services that checked tokens with it forget it within \
                         their JWKS_REFRESH"
                        ));
                    }
                }
                Removal::NoKey => {
                    complain(
                        "there is no key with this id; `onboard keys list` shows those there are",
                    );
                    return Ok(exit::NO);
                }
            }
        }
        Verb::Rewrap => {
            let each = |key: &str| tell(EventKind::KeyRewrapped, key, witness);
            return Ok(rewrapped(&manager.rewrap(witness, each).await?, json));
        }
    }
    show(&manager.list().await?, json);
    Ok(exit::DONE)
}

/// Says what became of each key; a key that no secret opens is a no.
fn rewrapped(Rewrapped { now, already, closed }: &Rewrapped, json: bool) -> u8 {
    if json {
        let document = json!({ "rewrapped": now, "already": already, "closed": closed });
        print(&format!("{document:#}\n"));
    } else {
        let (done, before) = (now.len(), already.len());
        print(&format!("sealed by AUTH_SECRET now: {done}, already before: {before}\n"));
    }
    if closed.is_empty() {
        return exit::DONE;
    }
    complain(&format!(
        "no secret opens {}: name the secret that sealed it in AUTH_SECRET_PREVIOUS, or remove it \
         (`onboard keys remove`)",
        closed.join(", ")
    ));
    exit::NO
}

fn show(KeysView { keys, unreadable }: &KeysView, json: bool) {
    if json {
        let keys: Vec<Value> = keys.iter().map(document).collect();
        let unreadable: Vec<Value> = unreadable.iter().map(unread).collect();
        print(&format!("{:#}\n", json!({ "keys": keys, "unreadable": unreadable })));
        return;
    }
    let now_ms = clock::now_ms();
    for key in keys {
        let start = format!("{:<43}  ", key.id);
        print(&format!("{}\n", row(&start, &words(key, now_ms), columns())));
    }
    for key in unreadable {
        let words = format!("CANNOT BE READ: {}", key.why);
        print(&format!("{}\n", row(&format!("{:<43}  ", key.id), &words, columns())));
    }
    if keys.is_empty() {
        print("there are no keys: run onboard setup\n");
    }
}

fn document(key: &KeyView) -> Value {
    json!({
        "kid": key.id,
        "createdAt": key.created_at_ms.map(rfc3339),
        "signsFrom": rfc3339(key.signs_from_ms),
        "goneFrom": key.gone_from_ms.map(rfc3339),
        "signs": key.signs,
        "opens": key.sealed_by.is_some(),
        "sealedBy": key.sealed_by.map(|by| match by {
            SealedBy::Current => "current",
            SealedBy::Previous => "previous",
        }),
    })
}

fn words(key: &KeyView, now_ms: i64) -> String {
    let mut words = Vec::new();
    if key.signs {
        words.push("signs".to_owned());
    } else if key.signs_from_ms > now_ms {
        words.push(format!("signs from {}", rfc3339(key.signs_from_ms)));
    } else {
        words.push("checks only".to_owned());
    }
    if let Some(gone) = key.gone_from_ms {
        words.push(format!("gone from {}", rfc3339(gone)));
    }
    match key.sealed_by {
        Some(SealedBy::Current) => (),
        Some(SealedBy::Previous) => words.push(BY_PREVIOUS.to_owned()),
        None => words.push("AUTH_SECRET DOES NOT OPEN IT".to_owned()),
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        keys: KeysArgs,
    }

    #[test]
    fn an_id_may_begin_with_a_hyphen() {
        for id in ["c2BYVLIXfKxY", "-2BYVLIXfKxY", "--BYVLIXfKxY"] {
            for line in [&["keys", "remove", id, "--json"][..], &["keys", "--json", "remove", id]] {
                let cli = Cli::try_parse_from(line).unwrap();
                assert!(cli.keys.json, "{line:?}");
                assert!(matches!(cli.keys.verb, Verb::Remove { kid, .. } if kid == id), "{line:?}");
            }
        }
    }
}
