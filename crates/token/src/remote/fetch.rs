//! One request for the keys: under a deadline, of bounded size, without redirects and
//! without a proxy.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use onboard_runtime::availability::chain;

use super::JwksConfig;
use super::pins::Pins;
use crate::jwk::JwkSet;
use crate::keys::KeyRing;

const FETCH_MAX: Duration = Duration::from_secs(2);
pub(super) const BYTES_MAX: usize = 64 * 1024;

/// The keys were not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no answer within {} s", FETCH_MAX.as_secs())]
    TimedOut,
    #[error("no answer: {0}")]
    Http(String),
    /// A redirect, too: whoever is named in one may be anybody.
    #[error("the answer has the status {0}")]
    Status(StatusCode),
    #[error("the answer has more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("the answer is no set of keys")]
    Unreadable,
}

/// Where the keys are.
#[derive(Clone)]
pub(super) struct Source {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: Uri,
    pins: Arc<Pins>,
}

impl Source {
    pub(super) fn new(config: &JwksConfig) -> Self {
        let connector = HttpsConnectorBuilder::new().with_tls_config(config.tls.clone());
        let connector = connector.https_or_http().enable_http1().build();
        // Each fetch connects anew, and so meets the certificate of today.
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client, url: config.url.clone(), pins: Arc::new(config.pins.clone()) }
    }

    pub(super) async fn fetch(&self) -> Result<KeyRing, FetchError> {
        let body = tokio::time::timeout(FETCH_MAX, self.body()).await;
        let body = body.unwrap_or(Err(FetchError::TimedOut))?;
        let set = JwkSet::read(&body).map_err(|_| FetchError::Unreadable)?;
        Ok(self.pins.used(&set))
    }

    async fn body(&self) -> Result<Bytes, FetchError> {
        let answer = self.client.get(self.url.clone()).await;
        let answer = answer.map_err(|error| FetchError::Http(chain(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(FetchError::Status(status));
        }
        match Limited::new(answer.into_body(), BYTES_MAX).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge),
            Err(error) => Err(FetchError::Http(error.to_string())),
        }
    }
}
