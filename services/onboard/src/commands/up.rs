//! `onboard up`: the whole system on this machine.
//!
//! The first Ctrl-C or SIGTERM stops everything in order, a second one at
//! once. When this process is killed the kernel kills what it started.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use onboard_runtime::exit;
use onboard_stack::control::Control;
use onboard_stack::display::Display;
use onboard_stack::ports::Choice;
use onboard_stack::{Events, Stack, StackConfig};

mod greeting;

use super::control::HomeArg;
use super::signals::Signals;
use crate::services;

/// Arguments of `onboard up`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    home: HomeArg,
    /// Wipe the data of earlier runs first.
    #[arg(long)]
    fresh: bool,
    /// `default` takes the documented ports, `free` picks free ones.
    #[arg(long, value_enum, default_value_t)]
    ports: Ports,
    /// Where downloads are kept [default: the user's cache directory].
    #[arg(long, env = "ONBOARD_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// How `onboard up` chooses its ports.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum Ports {
    /// The documented ports.
    #[default]
    Default,
    /// Any free ports; `onboard status` names them.
    Free,
}

impl UpArgs {
    fn config(self) -> anyhow::Result<StackConfig> {
        Ok(StackConfig {
            home: self.home.home,
            exe: std::env::current_exe().context("this program's own file is unknown")?,
            cache: self.cache,
            fresh: self.fresh,
            services: services::of_the_stack(),
            env: services::variables,
            ports: match self.ports {
                Ports::Default => Choice::Default,
                Ports::Free => Choice::Free,
            },
        })
    }
}

/// Starts everything and stays until it is told to stop.
pub(crate) fn run(args: UpArgs) -> anyhow::Result<ExitCode> {
    let config = args.config()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(up(config))
}

async fn up(config: StackConfig) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let (events, seen) = Events::channel();
    let mut display = Display::new(seen);
    let began = Instant::now();
    let prepare = display.during(async {
        tokio::select! {
            prepared = Stack::prepare(config, events) => Some(prepared),
            _ = signals.next() => None,
        }
    });
    let stack = match prepare.await {
        Some(Ok(stack)) => stack,
        Some(Err(error)) => return Ok(failed(&mut display, &error)),
        None => return Ok(ExitCode::from(exit::DONE)),
    };
    let control = Control::listen(stack.servers().home())?;
    let mut session = Session { stack: &stack, control: &control, display, signals, began };
    tokio::select! {
        code = session.run() => Ok(code),
        () = control.serve(&stack) => Ok(ExitCode::from(exit::NO)),
    }
}

struct Session<'a> {
    stack: &'a Stack,
    control: &'a Control,
    display: Display,
    signals: Signals,
    began: Instant,
}

impl Session<'_> {
    async fn run(&mut self) -> ExitCode {
        let brought_up = self.unless_asked(self.stack.bring_up()).await;
        let code = match brought_up {
            Ok(Ok(())) => {
                self.display.settle();
                greeting::show(self.stack, self.began.elapsed());
                let Err(why) = self.unless_asked(std::future::pending::<Infallible>()).await;
                self.display.say(&why);
                ExitCode::from(exit::DONE)
            }
            Ok(Err(error)) => failed(&mut self.display, &error),
            Err(why) => {
                self.display.settle();
                self.display.say(&why);
                ExitCode::from(exit::DONE)
            }
        };
        if self.drain().await { code } else { ExitCode::from(exit::NO) }
    }

    /// Runs `work`; when somebody asks for the end first, says how.
    async fn unless_asked<T>(&mut self, work: impl Future<Output = T>) -> Result<T, String> {
        let (signals, control) = (&mut self.signals, self.control);
        self.display
            .during(async {
                tokio::select! {
                    done = work => Ok(done),
                    name = signals.next() => {
                        Err(format!("{name}: stopping in order; once more stops at once"))
                    }
                    () = control.asked_down() => Err("asked to stop: stopping in order".to_owned()),
                }
            })
            .await
    }

    /// Stops everything; false when that was not graceful.
    async fn drain(&mut self) -> bool {
        let drained = self.display.during(self.signals.drain(self.stack)).await;
        match &drained {
            Ok(true) => self.display.say("everything has stopped"),
            Ok(false) => self.display.say("everything was killed"),
            Err(error) => self.display.say(&format!("{error:#}")),
        }
        drained.unwrap_or(false)
    }
}

/// Tells what went wrong and that it means "unavailable".
fn failed(display: &mut Display, error: &anyhow::Error) -> ExitCode {
    display.settle();
    display.say(&format!("onboard up: {error:#}"));
    ExitCode::from(exit::UNAVAILABLE)
}
