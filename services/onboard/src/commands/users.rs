//! `onboard users`: who has which role. Nobody is an admin unless it is granted
//! here; each change is recorded with who made it and when.

use std::process::ExitCode;

use clap::Subcommand;
use onboard_auth::store::{EventKind, RoleChange, RoleChanged, USERS, User, Users, Witness};
use onboard_auth::{SecurityEventsArgs, email};
use onboard_contract::UserId;
use onboard_http::timestamp::rfc3339;
use onboard_mongo::{StoreError, Unreadable};
use onboard_ops::Databases;
use onboard_runtime::plain::told;
use onboard_runtime::{Problems, exit};
use onboard_token::Role;
use serde_json::{Value, json};

use super::actor::{ActorArgs, tell};
use super::columns::{columns, row};
use super::operate::{complain, indented_command, print, unread};
use super::target::TargetArgs;

/// How many users are looked at for documents that cannot be read.
const LOOKED_AT: usize = 20_000;

/// How many users a page has.
const LIMIT: u32 = 100;

/// Arguments of `onboard users`.
#[derive(Debug, clap::Args)]
pub(crate) struct UsersArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    actor: ActorArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    events: SecurityEventsArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List users, the youngest first.
    List {
        /// Only those with this role.
        #[arg(long)]
        role: Option<Role>,
        /// Only those behind this user: the page after the one that this user ends.
        #[arg(long, value_name = "ID")]
        after: Option<UserId>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = LIMIT,
            value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one user.
    Show {
        /// A user's id or e-mail address.
        #[arg(value_name = "ID or E-MAIL", value_parser = who)]
        who: Who,
    },
    /// Give a role. Who is logged in has it at the next refresh.
    Grant {
        /// A user's id or e-mail address.
        #[arg(value_name = "ID or E-MAIL", value_parser = who)]
        who: Who,
        /// The role.
        role: Role,
    },
    /// Take a role away. Tokens that say otherwise end within 15 minutes.
    Revoke {
        /// A user's id or e-mail address.
        #[arg(value_name = "ID or E-MAIL", value_parser = who)]
        who: Who,
        /// The role.
        role: Role,
    },
}

/// A user as an operator names one.
#[derive(Debug, Clone)]
pub(super) enum Who {
    Id(UserId),
    /// The forms under which the user may have the address.
    Email(Vec<String>),
}

pub(super) fn who(text: &str) -> Result<Who, String> {
    if let Ok(id) = text.parse() {
        return Ok(Who::Id(id));
    }
    match email::candidates(text) {
        forms if forms.is_empty() => {
            Err("neither a user's id (a UUID) nor an e-mail address".to_owned())
        }
        forms => Ok(Who::Email(forms)),
    }
}

/// Shows users or changes roles.
pub(crate) fn run(args: UsersArgs) -> anyhow::Result<ExitCode> {
    let UsersArgs { verb, json, actor, events, target } = args;
    if let Verb::Revoke { role: Role::User, .. } = verb {
        complain("everybody has the role user; it cannot be taken away");
        return Ok(ExitCode::from(exit::USAGE));
    }
    let mut problems = Problems::default();
    let kept = events.check(&mut problems);
    let witness = problems.finish(Some(actor.witness(kept)))?;
    let mongo = target.connect()?.mongo;
    let code = tokio::runtime::Runtime::new()?.block_on(async {
        let worked = match Databases::new(&mongo).await {
            Ok(mongo) => work(&mongo, verb, json, &witness).await,
            Err(error) => Err(error),
        };
        worked.unwrap_or_else(|error| {
            complain(&told(&error));
            exit::UNAVAILABLE
        })
    });
    Ok(ExitCode::from(code))
}

async fn work(
    mongo: &Databases,
    verb: Verb,
    json: bool,
    witness: &Witness,
) -> Result<u8, StoreError> {
    let users = &Users::new(mongo.of_auth());
    match verb {
        Verb::List { role, after, limit } => {
            let after = match after {
                None => None,
                Some(id) => match users.find(id).await? {
                    None => return Ok(nobody()),
                    found => found,
                },
            };
            let page = users.list(role.map(Role::as_str), after.as_ref(), limit).await?;
            let total = users.count(role.map(Role::as_str)).await?;
            let next = page.users.last().filter(|_| page.more).map(|user| user.user_id);
            let unreadable = mongo.scan(USERS, LOOKED_AT).await?.unreadable;
            let listed = Listed { users: page.users, unreadable, total, next };
            print(&if json { listed.document() } else { listed.text(role, limit) });
            Ok(exit::DONE)
        }
        Verb::Show { who } => {
            let Some(user) = find(users, &who).await? else { return Ok(nobody()) };
            if json {
                print(&format!("{:#}\n", document(&user)));
            } else {
                print(&format!("{}\n", line(&user)));
            }
            Ok(exit::DONE)
        }
        Verb::Grant { who, role } => change(users, &who, (role, true), json, witness).await,
        Verb::Revoke { who, role } => change(users, &who, (role, false), json, witness).await,
    }
}

pub(super) async fn find(users: &Users, who: &Who) -> Result<Option<User>, StoreError> {
    match who {
        Who::Id(id) => users.find(*id).await,
        Who::Email(forms) => users.find_by_forms(forms).await,
    }
}

async fn change(
    users: &Users,
    who: &Who,
    (role, grant): (Role, bool),
    json: bool,
    witness: &Witness,
) -> Result<u8, StoreError> {
    let Some(user) = find(users, who).await? else { return Ok(nobody()) };
    let user_id = user.user_id;
    let change = RoleChange { user_id, role: role.as_str(), grant, by: witness.clone() };
    let (changed, roles) = match users.change_role(&change).await? {
        RoleChanged::Now { roles } => (true, roles),
        RoleChanged::Already { roles } => (false, roles),
        RoleChanged::NoUser => return Ok(nobody()),
    };
    if changed {
        let kind = if grant { EventKind::RoleGranted } else { EventKind::RoleRevoked };
        tell(kind, &format!("{role} of user {user_id}"), witness);
    }
    if json {
        print(&format!("{:#}\n", json!({"userId": user_id, "roles": roles, "changed": changed})));
    } else {
        let how = if changed { "now" } else { "already" };
        print(&format!("{user_id} {how} has: {}\n", roles.join(", ")));
    }
    Ok(exit::DONE)
}

fn nobody() -> u8 {
    complain("there is no such user, or its document cannot be read: see `onboard users list`");
    exit::NO
}

/// A page, and what lies behind it.
struct Listed {
    users: Vec<User>,
    unreadable: Vec<Unreadable>,
    total: u64,
    next: Option<UserId>,
}

impl Listed {
    fn document(&self) -> String {
        let users: Vec<Value> = self.users.iter().map(document).collect();
        let unreadable: Vec<Value> = self.unreadable.iter().map(unread).collect();
        let (total, next) = (self.total, self.next);
        let document =
            json!({ "users": users, "total": total, "next": next, "unreadable": unreadable });
        format!("{document:#}\n")
    }

    fn text(&self, role: Option<Role>, limit: u32) -> String {
        let mut lines = Vec::new();
        if !self.users.is_empty() {
            lines.push(format!("{:<36} {:<10} {:<5} e-mail", "user", "registered", "roles"));
        }
        lines.extend(self.users.iter().map(line));
        let unread = self.unreadable.iter();
        lines.extend(unread.map(|one| {
            row(&format!("{} ", one.id), &format!("cannot be read: {}", one.why), columns())
        }));
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let (shown, total) = (self.users.len(), self.total);
        lines.push(match total {
            1 => format!("{shown} of 1 user"),
            total => format!("{shown} of {total} users"),
        });
        if let Some(next) = self.next {
            lines.push("The next page:".to_owned());
            let role = role.map(|role| format!(" --role {role}")).unwrap_or_default();
            let limit = if limit == LIMIT { String::new() } else { format!(" --limit {limit}") };
            let command = format!("onboard users list{role}{limit} --after {next}");
            lines.push(indented_command(&command, 2));
        }
        lines.join("\n") + "\n"
    }
}

fn document(user: &User) -> Value {
    json!({
        "userId": user.user_id,
        "email": user.email,
        "createdAt": rfc3339(user.created_at_ms),
        "roles": user.roles,
    })
}

fn line(user: &User) -> String {
    let at = rfc3339(user.created_at_ms);
    let day = at.split('T').next().unwrap_or_default();
    let start = format!("{} {day} {:<5} ", user.user_id, user.roles.join(","));
    row(&start, &user.email, columns())
}
