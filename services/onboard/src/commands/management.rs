//! Where RabbitMQ's management API is: `setup` and `doctor` use it.

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

    /// The URL, if one is given.
    pub(crate) fn url(self) -> Option<SecretString> {
        let url = self.amqp_management_url.filter(|url| !url.trim().is_empty());
        url.map(SecretString::from)
    }
}
