//! Where RabbitMQ's management API is: `setup` and `doctor` use it.

use onboard_runtime::{Exposure, Lack, ServerKind};
use percent_encoding::percent_decode_str;
use reqwest::Url;
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
        let lacks = match Url::parse(url) {
            Ok(url) => {
                let plain = (url.scheme() != "https").then_some(Lack::Tls);
                let unknown = is_guest(&url).then_some(Lack::Authentication);
                plain.into_iter().chain(unknown).collect()
            }
            // Nothing is known of it.
            Err(_) => vec![Lack::Tls, Lack::Authentication],
        };
        Exposure::of(ServerKind::RabbitMqManagement, "AMQP_MANAGEMENT_URL", lacks, ADVICE)
    }

    /// The URL, if one is given.
    pub(crate) fn url(self) -> Option<SecretString> {
        let url = self.amqp_management_url.filter(|url| !url.trim().is_empty());
        url.map(SecretString::from)
    }
}

/// Whether it names nobody, or the user that everybody knows: as `AMQP_URL` is judged.
fn is_guest(url: &Url) -> bool {
    let guest = |text: &str| percent_decode_str(text).eq(b"guest".iter().copied());
    url.username().is_empty() || guest(url.username()) || url.password().is_some_and(guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_lacks_what_it_leaves_out() {
        let said = |url: &str| {
            let args = ManagementArgs { amqp_management_url: Some(url.to_owned()) };
            args.exposure().map_or(String::new(), |exposure| exposure.to_string())
        };
        let (tls, both) = ("without TLS", "without TLS and without authentication");
        for (url, lacks) in [
            ("http://u:p@rabbit:15672", tls),
            ("HTTP://u:p@rabbit:15672", tls),
            ("http://guest:guest@rabbit:15672", both),
            ("http://gues%74:p@rabbit:15672", both),
            ("http://u:guest@rabbit:15672", both),
            ("http://guest@rabbit:15672", both),
            ("http://rabbit:15672/?user=u@example.com", both),
            ("http://u:p://guest:@rabbit", both),
            ("rabbit", both),
        ] {
            let expected = format!("the management API of RabbitMQ is reached {lacks}");
            assert_eq!(said(url), expected, "{url}");
        }
        assert_eq!(said("HTTPS://u:p@rabbit:15671"), "");
        assert_eq!(said(" "), "");
    }
}
