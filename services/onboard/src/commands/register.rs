//! `onboard register <e-mail>`: registers a user as any client does, over HTTP, and
//! follows the registration to its end, on one line.
//!
//! The request carries an `Idempotency-Key`, so that it can be sent again when its answer
//! is lost. When this process dies the registration goes on without it.

mod follow;
mod password;
mod request;

use std::process::ExitCode;
use std::time::Duration;

use onboard_auth::Auth;
use onboard_runtime::{Service as _, exit};
use onboard_stack::Home;
use tokio::time::Instant;

use self::request::Answer;
use super::control::HomeArg;
use super::operate::{complain, duration, print};
use super::target::INSTEAD;

/// The service shows every 15 s that a stream is alive.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// Arguments of `onboard register`.
#[derive(Debug, clap::Args)]
pub(crate) struct RegisterArgs {
    /// The e-mail address. The password is asked for, or read from standard input.
    #[arg(value_name = "E-MAIL")]
    email: String,
    /// Where the auth service is, `http://host:port`. Default: that of the running
    /// `onboard up`.
    #[arg(long, env = "AUTH_URL", value_name = "URL")]
    url: Option<String>,
    /// How long to follow the registration.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    wait: Duration,
    /// Print the registration as JSON, once, at its end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    home: HomeArg,
}

impl RegisterArgs {
    fn url(&self) -> Option<String> {
        let local = || {
            let port = Home::running(&self.home.home)?.service(Auth::NAME)?;
            Some(format!("http://127.0.0.1:{port}"))
        };
        let url = self.url.clone().filter(|url| !url.trim().is_empty()).or_else(local);
        url.map(|url| url.trim_end_matches('/').to_owned())
    }
}

/// Registers and follows; done when the registration is at its end.
pub(crate) fn run(args: &RegisterArgs) -> anyhow::Result<ExitCode> {
    let Some(url) = args.url() else {
        let home = args.home.home.display();
        complain(&format!("no `onboard up` runs on {home}; {INSTEAD} by --url"));
        return Ok(ExitCode::from(exit::CONFIG));
    };
    if !url.starts_with("http://") {
        complain(&format!("{url} is no URL of the form http://host:port; mend --url"));
        return Ok(ExitCode::from(exit::USAGE));
    }
    let Some(password) = password::read()? else {
        complain("no password was given, or two that differ");
        return Ok(ExitCode::from(exit::USAGE));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let until = Instant::now() + args.wait;
        // The password goes to this address and to no other.
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(SILENCE_MAX)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        match request::send(&client, &url, (&args.email, &password), until).await? {
            Answer::Registered(id) => {
                let followed = follow::Following { client, url, id, json: args.json };
                anyhow::Ok(followed.to_its_end(until).await)
            }
            Answer::Received => {
                print(if args.json {
                    "{\n  \"registrationId\": null\n}\n"
                } else {
                    "received; the service tells nobody whether the address was free\n"
                });
                Ok(exit::DONE)
            }
            Answer::Refused(why) | Answer::NotNow(why) => {
                complain(&why);
                Ok(exit::NO)
            }
            Answer::Silent => {
                complain(&format!(
                    "the auth service does not answer at {url}; start it, or mend --url"
                ));
                Ok(exit::UNAVAILABLE)
            }
        }
    })?;
    Ok(ExitCode::from(code))
}
