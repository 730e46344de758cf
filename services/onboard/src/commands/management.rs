//! Where RabbitMQ's management API is: `setup` and `doctor` use it.

use onboard_runtime::{Exposure, Lack, ServerKind};
use secrecy::SecretString;

/// The URL of RabbitMQ's management API.
#[derive(Clone, Default, clap::Args)]
pub(crate) struct ManagementArgs {
    /// URL of RabbitMQ's management API, `http://user:password@host:15672`. AMQP
    /// tells neither version nor bindings nor policies (`doctor`), and bounds no
    /// queue of an extra consumer (`setup`). Default: none.
    #[arg(long, env = "AMQP_MANAGEMENT_URL", hide_env_values = true, help_heading = "RabbitMQ")]
    amqp_management_url: Option<String>,
}

/// The URL holds a password.
impl std::fmt::Debug for ManagementArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagementArgs").finish_non_exhaustive()
    }
}

impl ManagementArgs {
    /// Takes this URL where none is given.
    pub(crate) fn use_unless_named(&mut self, url: String) {
        self.amqp_management_url.get_or_insert(url);
    }

    /// What the connection lacks, if there is one. Only plain HTTP is spoken: nothing is
    /// sent to an `https://` URL.
    pub(crate) fn exposure(&self) -> Option<Exposure> {
        const ADVICE: &str = "leave it out, or ask the API of the same machine through a tunnel";
        let url = self.amqp_management_url.as_deref().filter(|url| !url.trim().is_empty())?;
        let anonymous = !url.contains('@') || url.contains("://guest:");
        let unknown = anonymous.then_some(Lack::Authentication);
        let plain = (!url.starts_with("https://")).then_some(Lack::Tls);
        let lacks = plain.into_iter().chain(unknown).collect();
        Exposure::of(ServerKind::RabbitMqManagement, "AMQP_MANAGEMENT_URL", lacks, ADVICE)
    }

    /// The URL, if one is given.
    pub(crate) fn url(self) -> Option<SecretString> {
        let url = self.amqp_management_url.filter(|url| !url.trim().is_empty());
        url.map(SecretString::from)
    }
}
