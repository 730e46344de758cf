//! `onboard setup`: prepares MongoDB, RabbitMQ and Temporal, and makes the first
//! signing key. Safe to repeat and to run twice at once.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use onboard_auth::SecurityEventsArgs;
use onboard_auth::email::{self, migrate::Migrated};
use onboard_auth::keys::manage::{ManageError, Manager};
use onboard_auth::store::EventKind;
use onboard_broker::{BrokerArgs, BrokerConfig};
use onboard_contract::ConsumerName;
use onboard_doctor::{MESSAGES_MAX, Management, bound_command};
use onboard_events::ExtraConsumers;
use onboard_mongo::setup::Holder;
use onboard_ops::{Databases, DatabasesArgs, DatabasesConfig};
use onboard_outbox::{Consumers, ExtraConsumersArgs, note_namespace};
use onboard_runtime::plain::told;
use onboard_runtime::{Backoff, EnvironmentArgs, Problems, Secret, SecretArgs, exit, telemetry};
use onboard_stack::Home;
use onboard_temporal::{TemporalArgs, TemporalConfig};
use secrecy::SecretString;

use super::actor::{os_witness, tell};
use super::columns::{columns, folded};
use super::control::HomeArg;
use super::keys;
use super::management::ManagementArgs;
use super::service::{LogArgs, configure};
use super::target::{INSTEAD, VERBOSE};

/// Where the servers are, and how long to wait for them. Where no server is named, they
/// are those of the running `onboard up`.
#[derive(Debug, clap::Args)]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    home: HomeArg,
    /// How long to wait for servers that are not up yet (0s to 1h).
    /// Default: 60s.
    #[arg(long, env = "SETUP_WAIT")]
    wait: Option<String>,
    /// Build the indexes anew that have held a list, which `onboard doctor` names.
    #[arg(long)]
    rebuild_indexes: bool,
    #[command(flatten)]
    environment: EnvironmentArgs,
    #[command(flatten)]
    mongo: DatabasesArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    consumers: ExtraConsumersArgs,
    #[command(flatten)]
    management: ManagementArgs,
    #[command(flatten)]
    temporal: TemporalArgs,
    #[command(flatten)]
    events: SecurityEventsArgs,
    #[command(flatten)]
    secret: SecretArgs,
    /// Also say to standard error what the libraries say of an error.
    #[arg(long, short, help_heading = "Logs")]
    verbose: bool,
    #[command(flatten)]
    log: LogArgs,
}

struct SetupConfig {
    wait: Duration,
    rebuild_indexes: bool,
    consumers: ExtraConsumers,
    management: Option<SecretString>,
    events_kept: Duration,
    secret: Secret,
    mongo: DatabasesConfig,
    broker: BrokerConfig,
    temporal: TemporalConfig,
}

impl SetupArgs {
    /// Takes the servers of the running `up`, where no server is named. They are those of
    /// the local environment, unless another one is named.
    fn find_local(&mut self, problems: &mut Problems) {
        let named = self.mongo.names_a_server()
            || self.broker.names_a_server()
            || self.temporal.temporal_address.is_some();
        if named {
            return;
        }
        let home = &self.home.home;
        let Some(ports) = Home::running(home) else {
            let why = format!("no `onboard up` runs on {}; {INSTEAD}", home.display());
            return problems.push("ONBOARD_HOME", why);
        };
        self.environment.environment.get_or_insert_with(|| "local".to_owned());
        self.mongo.mongo.mongodb_uri = Some(ports.mongodb_uri());
        self.broker.amqp_url = Some(ports.amqp_url());
        self.temporal.temporal_address = Some(ports.temporal_address());
        self.management.use_unless_named(ports.management_url());
        if !self.secret.names_one() {
            self.secret.auth_secret_file = Some(Home::secret_of(home));
        }
    }

    fn check(mut self, problems: &mut Problems) -> Option<SetupConfig> {
        self.find_local(problems);
        let wait = problems.duration_or(
            "SETUP_WAIT",
            self.wait.as_deref(),
            Duration::from_mins(1),
            Duration::ZERO..=Duration::from_hours(1),
        );
        let mongo = self.mongo.check(problems);
        let consumers = self.consumers.check(problems);
        let broker = self.broker.check(onboard_events::topology(&consumers), problems);
        let temporal = self.temporal.check(problems);
        let secret = self.secret.check(problems);
        let events_kept = self.events.check(problems);
        let environment = self.environment.check(problems);
        let exposures = mongo.iter().flat_map(DatabasesConfig::exposures).chain([
            broker.as_ref().and_then(BrokerConfig::exposure),
            temporal.as_ref().and_then(TemporalConfig::exposure),
            self.management.exposure(),
        ]);
        self.environment.protection(environment, problems).demand(exposures, problems);
        Some(SetupConfig {
            wait,
            rebuild_indexes: self.rebuild_indexes,
            consumers,
            management: self.management.url(),
            events_kept,
            secret: secret?,
            mongo: mongo?,
            broker: broker?,
            temporal: temporal?,
        })
    }
}

/// Prepares the three servers, at the same time, then the signing key.
pub(crate) fn run(args: SetupArgs) -> anyhow::Result<ExitCode> {
    let log = args.log.clone();
    let usual = if args.verbose { VERBOSE } else { telemetry::SILENT };
    let config = configure(&log, usual, |problems| args.check(problems))?;
    let code = tokio::runtime::Runtime::new()?.block_on(async {
        let prepared = Box::pin(prepare(&config)).await;
        let noted = prepared && note_its_namespace(&config).await && note_consumers(&config).await;
        let rebuilt = if config.rebuild_indexes && noted {
            rebuild_indexes(&config).await
        } else {
            exit::DONE
        };
        if !(noted && bound_queues(&config).await) {
            return exit::UNAVAILABLE;
        }
        let codes = [prepare_accounts(&config).await, make_key(&config).await, rebuilt];
        codes.into_iter().find(|code| *code != exit::DONE).unwrap_or(exit::DONE)
    });
    Ok(ExitCode::from(code))
}

/// Builds the indexes anew that have held a list, unless a document still has it.
async fn rebuild_indexes(config: &SetupConfig) -> u8 {
    let rebuilt = match Databases::new(&config.mongo).await {
        Ok(mongo) => mongo.rebuild_spoiled().await.map_err(|error| told(&error)),
        Err(error) => Err(told(&error)),
    };
    let (words, code) = match rebuilt {
        Ok(all) => {
            let left = all.iter().filter(|one| one.holder != Holder::Nobody);
            let left: Vec<String> = left.map(ToString::to_string).collect();
            if left.is_empty() {
                (format!("ready: {} built anew", all.len()), exit::DONE)
            } else {
                (format!("not ready: {}", left.join("; ")), exit::NO)
            }
        }
        Err(error) => (format!("not ready: {error}"), exit::UNAVAILABLE),
    };
    say(&format!("{:<10}{words}", "indexes"));
    code
}

/// Gives accounts of released builds the form that is unique now.
async fn prepare_accounts(config: &SetupConfig) -> u8 {
    let migrated = match Databases::new(&config.mongo).await {
        Ok(mongo) => email::migrate::migrate(mongo.of_auth()).await,
        Err(error) => Err(error),
    };
    match migrated {
        Ok(Migrated { moved: 0, kept: 0 }) => exit::DONE,
        Ok(Migrated { moved, kept }) => {
            say(&format!(
                "{:<10}ready: {moved} addresses got their form, {kept} keep another one",
                "accounts"
            ));
            exit::DONE
        }
        Err(error) => {
            say(&format!("{:<10}not ready: {}", "accounts", told(&error)));
            exit::UNAVAILABLE
        }
    }
}

/// The first key that signs access tokens, unless there is one.
async fn make_key(config: &SetupConfig) -> u8 {
    let witness = os_witness(config.events_kept);
    let made = match Databases::new(&config.mongo).await {
        Ok(mongo) => Manager::new(mongo.of_auth(), config.secret.clone()).ensure(&witness).await,
        Err(error) => Err(ManageError::Store(error)),
    };
    match made {
        Ok(made) => {
            if made {
                tell(EventKind::KeyMade, "the first signing key", &witness);
            }
            let what = if made { "made" } else { "there" };
            say(&format!("{:<10}ready: the signing key is {what}", "keys"));
            exit::DONE
        }
        Err(error) => {
            say(&format!("{:<10}not ready: {}", "keys", told(&error)));
            keys::code(&error)
        }
    }
}

async fn prepare(config: &SetupConfig) -> bool {
    let (mongo, rabbitmq, temporal) = tokio::join!(
        step("mongo", "replica set, collections, validators, indexes", config.wait, async || {
            config.mongo.prepare().await.map_err(|e| told(&e))
        },),
        step("rabbitmq", "exchanges, queues, dead letters", config.wait, async || {
            onboard_broker::setup(&config.broker).await.map_err(|e| told(&e))
        }),
        step("temporal", "namespace, retention, search attributes", config.wait, async || {
            onboard_temporal::setup::prepare(&config.temporal).await.map_err(|e| told(&e))
        }),
    );
    mongo && rabbitmq && temporal
}

/// Notes which namespace it is, so that a lost one is known for lost.
async fn note_its_namespace(config: &SetupConfig) -> bool {
    step("namespace", "its id is noted", config.wait, async || {
        let id = onboard_temporal::setup::namespace_id(&config.temporal).await;
        let id = id.map_err(|error| told(&error))?;
        let mongo = Databases::new(&config.mongo).await.map_err(|error| told(&error))?;
        let noted = note_namespace(mongo.of_auth(), &id).await;
        noted.map_err(|error| told(&error))
    })
    .await
}

/// Notes the consumers of other programs, for the tools that look after them.
async fn note_consumers(config: &SetupConfig) -> bool {
    let names: Vec<&str> = config.consumers.names().iter().map(ConsumerName::as_str).collect();
    if names.is_empty() {
        return true;
    }
    step("consumers", &format!("noted: {}", names.join(", ")), config.wait, async || {
        let mongo = Databases::new(&config.mongo).await.map_err(|error| told(&error))?;
        let noted = Consumers::new(mongo.of_auth()).note(&config.consumers).await;
        noted.map_err(|error| told(&error))
    })
    .await
}

/// Bounds the queues of those consumers: a queue that nobody reads must not fill
/// the disk of the broker. Without the management API it says how.
async fn bound_queues(config: &SetupConfig) -> bool {
    let vhost = config.broker.vhost();
    for name in config.consumers.names() {
        let Some(url) = &config.management else {
            say(&format!("{:<10}to do: {}", "bound", bound_command(vhost, name)));
            continue;
        };
        let what = format!(
            "{} holds at most {MESSAGES_MAX} messages",
            onboard_events::registration_queue(name).name
        );
        let bound = step("bound", &what, config.wait, async || {
            Management::at(url)?.bound(vhost, name).await
        });
        if !bound.await {
            return false;
        }
    }
    true
}

/// Tries until it works or the wait is over, and says how it went on one line.
async fn step<F>(server: &str, what: &str, wait: Duration, mut action: F) -> bool
where
    F: AsyncFnMut() -> Result<(), String>,
{
    let deadline = tokio::time::Instant::now() + wait;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    loop {
        match action().await {
            Ok(()) => {
                say(&format!("{server:<10}ready: {what}"));
                return true;
            }
            Err(error) if tokio::time::Instant::now() >= deadline => {
                say(&format!("{server:<10}not ready: {error}"));
                return false;
            }
            Err(error) => {
                tracing::debug!(server, error, "not yet");
                tokio::time::sleep(backoff.failed()).await;
            }
        }
    }
}

/// A line with a name before it; what does not fit stands below its words.
fn say(line: &str) {
    const INDENT: usize = 10;
    let (name, words) = line.split_at_checked(INDENT).unwrap_or((line, ""));
    let words = folded(words, INDENT, columns());
    // Standard output may be closed; then there is nobody to tell.
    writeln!(std::io::stdout().lock(), "{name}{words}").ok();
}
