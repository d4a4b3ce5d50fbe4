//! HTTP to the assistant's server. No other module of the assistant knows reqwest.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use kefu_program::config;
use kefu_runtime::Cause;
use kefu_runtime::http_client::{self, Unread};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::ExposeSecret;

use super::failure::{Failure, Kind};

/// The answer of the server, unread.
pub(crate) struct Raw {
    pub(crate) status: u16,
    /// How long the server wants to get no requests, if the server says so in seconds.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Shows only the size of the body, since the body is an answer to a user.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, retry_after, body } = self;
        let body = format_args!("{} bytes", body.len());
        let mut shown = f.debug_struct("Raw");
        shown.field("status", status).field("retry_after", retry_after).field("body", &body).finish()
    }
}

/// Carries requests to the server. This is a seam, so that tests can run the code above it with a stopped clock.
#[async_trait]
pub(crate) trait Completions: Send + Sync {
    /// Posts a body to `/chat/completions`. `Err` when the server gave no whole answer.
    async fn complete(&self, body: Vec<u8>) -> Result<Raw, Failure>;
}

/// [`Completions`] over HTTP.
pub(crate) struct HttpCompletions {
    http: reqwest::Client,
    url: String,
    authorization: Option<HeaderValue>,
}

/// The size limit of an answer, more than any real answer needs.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The time limit for connecting: long enough for any network, and short enough to leave time for another try.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept. Servers close idle connections, some after 5 s.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

impl HttpCompletions {
    pub(crate) fn new(config: &config::Assistant) -> Result<Self, Cause> {
        let base = config.base_url.parse().map_err(|_| "[assistant] base_url is no URL")?;
        let http = http_client::builder(&base)
            .pool_idle_timeout(IDLE_CONNECTION)
            .connect_timeout(CONNECT.min(config.timeout / 2))
            .build()
            .map_err(|error| http_client::cause(error).at("the HTTP client for the assistant cannot be set up"))?;
        let authorization = match &config.key {
            Some(key) => {
                let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
                    .map_err(|_| "[assistant] key has a character that an HTTP header cannot carry")?;
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
        let response = request.send().await.map_err(|error| match error.is_connect() {
            true => Failure::new(Kind::Unreachable, http_client::cause(error).at("the server cannot be reached")),
            false => Failure::new(Kind::Failed, http_client::cause(error).at("no answer came")),
        })?;
        let status = response.status().as_u16();
        let retry_after = http_client::retry_after(&response);
        match http_client::read_within(response, MAX_ANSWER_BYTES).await {
            Ok(body) => Ok(Raw { status, retry_after, body }),
            Err(Unread::TooLarge) => Err(Failure::new(Kind::Unusable, "the answer is larger than 1 MiB")),
            Err(Unread::Cut { error, .. }) => {
                Err(Failure::new(Kind::Failed, format!("the answer breaks off: {error}")))
            }
        }
    }
}

#[cfg(test)]
mod tests;
