//! HTTP to the assistant's server. The only place of the assistant that knows reqwest.

use std::time::Duration;

use async_trait::async_trait;
use kefu_shared::{config, program};
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::redirect;
use secrecy::ExposeSecret;

use super::failure::{Failure, Kind};

/// What came back.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    /// How long the server wants to be left alone, where it says so in seconds.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Carries requests to the server. A seam, so that what stands on it can be tested with a stopped clock.
#[async_trait]
pub(crate) trait Completions: Send + Sync {
    /// Posts a body to `/chat/completions`. `Err` when no whole answer came.
    async fn complete(&self, body: Vec<u8>) -> Result<Raw, Failure>;
}

/// [`Completions`] over HTTP.
pub(crate) struct HttpCompletions {
    http: reqwest::Client,
    url: String,
    authorization: Option<HeaderValue>,
}

/// More than any answer has.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Long enough for any network; short enough that there is time for another try.
const CONNECT: Duration = Duration::from_secs(5);

/// Servers close idle connections, some after 5 s.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// In seconds; no answer is waited for as long.
const A_DAY: u64 = 86_400;

const LOOPBACK: [&str; 3] = ["http://127.", "http://localhost", "http://[::1]"];

impl HttpCompletions {
    pub(crate) fn new(config: &config::Assistant) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("kefu/", env!("CARGO_PKG_VERSION")))
            // One would take the key to another server.
            .redirect(redirect::Policy::none())
            .pool_idle_timeout(IDLE_CONNECTION)
            .connect_timeout(CONNECT.min(config.timeout / 2));
        if config.base_url.starts_with("http://") {
            // Without TLS the system's certificates are not needed, and need not be installed.
            builder = builder.tls_certs_only([]);
        }
        if LOOPBACK.iter().any(|prefix| config.base_url.starts_with(prefix)) {
            // A proxy from the environment would look for the address on its own machine.
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| format!("the assistant's HTTP client cannot be set up: {}", program::in_words(&error)))?;
        let authorization = match &config.key {
            Some(key) => {
                let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
                    .map_err(|_| "the assistant's key cannot be sent in an HTTP header".to_owned())?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self { http, url: format!("{}/chat/completions", config.base_url), authorization })
    }
}

#[async_trait]
impl Completions for HttpCompletions {
    async fn complete(&self, body: Vec<u8>) -> Result<Raw, Failure> {
        let mut request = self.http.post(&self.url).header("Content-Type", "application/json").body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let mut response = request.send().await.map_err(|error| match error.is_connect() {
            true => broken(Kind::Unreachable, "the server cannot be reached", error),
            false => broken(Kind::Failed, "no answer came", error),
        })?;
        let status = response.status().as_u16();
        let retry_after: Option<u64> =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| broken(Kind::Failed, "the answer breaks off", error))?
        {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Failure::new(Kind::Unusable, "the answer is larger than 1 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Raw { status, retry_after: retry_after.map(|seconds| Duration::from_secs(seconds.min(A_DAY))), body })
    }
}

fn broken(kind: Kind, what: &str, error: reqwest::Error) -> Failure {
    Failure::new(kind, format!("{what}: {}", program::in_words(&error.without_url())))
}

#[cfg(test)]
mod tests;
