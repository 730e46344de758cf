//! Initiates the replica set named in the connection string, and follows a
//! single-member set to a new address (`onboard up --ports free`).

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, ServerAddress};
use mongodb::{Client, Database};
use secrecy::ExposeSecret;

use super::SetupError;
use crate::MongoConfig;
use crate::error::code;

const PRIMARY_DEADLINE: Duration = Duration::from_mins(1);
const HELLO_DEADLINE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// Server error codes of replication commands.
const ALREADY_INITIALIZED: i32 = 23;
const INVALID_REPLICA_SET_CONFIG: i32 = 93;
const NOT_YET_INITIALIZED: i32 = 94;
const NEW_CONFIGURATION_INCOMPATIBLE: i32 = 103;
const NODE_NOT_FOUND: i32 = 74;

/// Sees to it that the replica set of each of these exists and has a primary.
///
/// # Errors
/// See [`SetupError`].
pub async fn prepare_replica_sets(configs: &[&MongoConfig]) -> Result<(), SetupError> {
    let mut uris: Vec<&str> = configs.iter().map(|config| config.uri.expose_secret()).collect();
    uris.dedup();
    for uri in uris {
        prepare_one(uri).await?;
    }
    Ok(())
}

async fn prepare_one(uri: &str) -> Result<(), SetupError> {
    let parsed = ClientOptions::parse(uri)
        .await
        .map_err(|source| SetupError::Step { what: "accept the connection string", source })?;
    let name = parsed.repl_set_name.clone();
    let hosts = parsed.hosts.clone();
    let admin = direct(parsed)?.database("admin");
    if let Some(name) = name {
        initiate(&admin, &name, &hosts).await?;
    }
    await_primary(&admin).await
}

/// What the first host says of itself, member of a set or not.
///
/// # Errors
/// It does not answer, or refuses.
pub async fn hello(config: &MongoConfig) -> Result<Document, SetupError> {
    const WHAT: &str = "say what it is";
    let step = |source| SetupError::Step { what: WHAT, source };
    let parsed = ClientOptions::parse(config.uri.expose_secret()).await.map_err(step)?;
    let admin = direct(parsed)?.database("admin");
    let asked = tokio::time::timeout(HELLO_DEADLINE, admin.run_command(doc! { "hello": 1 })).await;
    asked.map_err(|_| SetupError::TimedOut(WHAT))?.map_err(step)
}

/// A client of the first host alone: a set that is not initiated has no
/// primary to be found.
fn direct(mut options: ClientOptions) -> Result<Client, SetupError> {
    options.hosts.truncate(1);
    options.repl_set_name = None;
    options.direct_connection = Some(true);
    options.server_selection_timeout = Some(Duration::from_secs(10));
    Client::with_options(options)
        .map_err(|source| SetupError::Step { what: "accept the connection string", source })
}

async fn initiate(admin: &Database, name: &str, hosts: &[ServerAddress]) -> Result<(), SetupError> {
    let status = admin.run_command(doc! { "replSetGetStatus": 1 }).await;
    match status {
        Ok(_) => Ok(()),
        Err(error) if code(&error) == Some(NOT_YET_INITIALIZED) => {
            let members: Vec<Document> = hosts
                .iter()
                .zip(0_i32..)
                .map(|(host, member)| doc! { "_id": member, "host": host.to_string() })
                .collect();
            let initiate = doc! { "replSetInitiate": { "_id": name, "members": members } };
            accept(
                admin.run_command(initiate).await,
                ALREADY_INITIALIZED,
                "initiate the replica set",
            )
        }
        Err(error) if code(&error) == Some(INVALID_REPLICA_SET_CONFIG) => {
            move_single_member(admin, hosts).await
        }
        Err(source) => Err(SetupError::Step { what: "tell the replica set's status", source }),
    }
}

/// A data directory that was last served on another port does not find itself
/// in its own configuration; with one member it is safe to correct it.
async fn move_single_member(admin: &Database, hosts: &[ServerAddress]) -> Result<(), SetupError> {
    const WHAT: &str = "move the replica set to its new address";
    let step = |source| SetupError::Step { what: WHAT, source };
    let local = admin.client().database("local");
    let stored = local.collection::<Document>("system.replset").find_one(doc! {}).await;
    let mut config = stored.map_err(step)?.ok_or(SetupError::NoReplicaSet)?;
    let version = config.get_i32("version").unwrap_or(1);
    let (Ok(members), [host]) = (config.get_array_mut("members"), hosts) else {
        return Err(SetupError::NoReplicaSet);
    };
    let [Bson::Document(member)] = members.as_mut_slice() else {
        return Err(SetupError::NoReplicaSet);
    };
    member.insert("host", host.to_string());
    config.insert("version", version + 1);
    let reconfigure = doc! { "replSetReconfig": config, "force": true };
    match admin.run_command(reconfigure).await {
        // Another setup was faster.
        Err(e) if matches!(code(&e), Some(NEW_CONFIGURATION_INCOMPATIBLE | NODE_NOT_FOUND)) => {
            Ok(())
        }
        Err(source) => Err(step(source)),
        Ok(_) => Ok(()),
    }
}

async fn await_primary(admin: &Database) -> Result<(), SetupError> {
    let waited = tokio::time::timeout(PRIMARY_DEADLINE, async {
        loop {
            match admin.run_command(doc! { "hello": 1 }).await {
                Ok(hello) if hello.get_bool("isWritablePrimary").unwrap_or(false) => {
                    return Ok(hello.contains_key("setName"));
                }
                // A follower is as good: the primary is elsewhere.
                Ok(hello) if hello.contains_key("primary") => return Ok(true),
                // Nobody is there who could become primary.
                Err(error) if matches!(*error.kind, ErrorKind::ServerSelection { .. }) => {
                    return Err(SetupError::Step { what: "say what it is", source: error });
                }
                Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    })
    .await;
    match waited {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(SetupError::NoReplicaSet),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(SetupError::NoPrimary(PRIMARY_DEADLINE.as_secs())),
    }
}

fn accept<T>(
    outcome: Result<T, Error>,
    accepted: i32,
    what: &'static str,
) -> Result<(), SetupError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if code(&error) == Some(accepted) => Ok(()),
        Err(source) => Err(SetupError::Step { what, source }),
    }
}
