//! The call: signed, bounded, and only to allowed places.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use kefu_messages::rules::Endpoint;
use kefu_runtime::http_client::{self, Unread};
use kefu_runtime::{Cause, clock};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Response, StatusCode, Url};
use secrecy::SecretString;
use tokio::time::timeout;

use super::address::{self, FORBIDDEN, Forbidden, Lookup, Resolver};
use super::gates::Gates;
use super::signature::sign;
use super::{Failure, Question, Settings};

/// More than the longest list of replies.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// How many redirects the client follows, if redirects are allowed.
const MAX_REDIRECTS: usize = 3;

/// Services close idle connections, many of them after a minute; this is shorter.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// Calls webhooks. One for each process.
pub struct Webhooks {
    /// Present if a rule has a webhook.
    secret: Option<SecretString>,
    timeout: Duration,
    allow_redirects: bool,
    allow_link_local: bool,
    lookup: Lookup,
    plain: reqwest::Client,
    /// Made at its first use: without TLS the system's certificates are not needed, and need not be installed.
    tls: OnceLock<Result<reqwest::Client, Cause>>,
    /// Limits the calls, so that a backlog does not overload the service.
    gates: Gates,
}

/// A good answer: its status is 2xx and its body complete.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    pub(super) host: String,
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Webhooks {
    /// Creates the client, which connects to nothing yet.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, Cause> {
        Self::with_lookup(settings, address::system_lookup())
    }

    fn with_lookup(settings: &Settings, lookup: Lookup) -> Result<Self, Cause> {
        let plain = client("http", &lookup, settings.allow_link_local)?;
        Ok(Self {
            secret: settings.secret.clone(),
            timeout: settings.timeout,
            allow_redirects: settings.allow_redirects,
            allow_link_local: settings.allow_link_local,
            lookup,
            plain,
            tls: OnceLock::new(),
            gates: Gates::new(settings.concurrency),
        })
    }

    /// Asks once. First waits for one of the endpoint's permits, for `permit_within` at most; then waits for the answer, as
    /// long as the endpoint says.
    ///
    /// # Errors
    /// [`Failure`], with the host in its text.
    pub async fn ask(
        &self,
        endpoint: &Endpoint,
        question: &Question,
        permit_within: Duration,
    ) -> Result<Answer, Failure> {
        let Some(_permit) = self.gates.take(endpoint, permit_within).await else {
            let crowded = Failure::Crowded("all of its concurrent calls ([webhook] concurrency) are under way".into());
            return Err(crowded.of(&endpoint.host()));
        };
        let limit = endpoint.timeout.unwrap_or(self.timeout);
        let answered = timeout(limit, self.call(endpoint, question)).await;
        let answered = answered.unwrap_or_else(|_| Err(Failure::passing(format!("no answer within {limit:?}"))));
        answered.map_err(|failure| failure.of(&endpoint.host()))
    }

    async fn call(&self, endpoint: &Endpoint, question: &Question) -> Result<Answer, Failure> {
        let mut url = endpoint.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.post(url.clone(), question).await?;
            let status = response.status();
            if !status.is_redirection() {
                return read(response, endpoint.host()).await;
            }
            url = self.next(&url, &response)?;
        }
        Err(Failure::Refused(format!("it redirects more than {MAX_REDIRECTS} times").into()))
    }

    async fn post(&self, url: Url, question: &Question) -> Result<Response, Failure> {
        if !self.allow_link_local && address::is_forbidden_literal(&url) {
            return Err(Failure::Refused(FORBIDDEN.into()));
        }
        let timestamp = clock::now_ms() / 1_000;
        let Some(secret) = &self.secret else {
            return Err(Failure::Refused("there is no [webhook] secret to sign with".into()));
        };
        let mut request = self
            .http(&url)?
            .post(url)
            .header(CONTENT_TYPE, &question.content_type)
            .header("Kefu-Timestamp", timestamp)
            .header("Kefu-Signature", sign(secret, timestamp, &question.body))
            .header("Kefu-Message", &question.message);
        if let Some(media) = question.media {
            request = request.header("Kefu-Media", media);
        }
        request.body(question.body.clone()).send().await.map_err(failed)
    }

    /// The client for a URL's scheme.
    fn http(&self, url: &Url) -> Result<&reqwest::Client, Failure> {
        if url.scheme() == "http" {
            return Ok(&self.plain);
        }
        let tls = self.tls.get_or_init(|| client("https", &self.lookup, self.allow_link_local));
        tls.as_ref().map_err(|cause| Failure::passing(cause.clone()))
    }

    /// Where a redirect leads, if it may be followed. With another status than 307 and 308 a POST becomes a GET without a
    /// body, so such a redirect is not followed. To another origin nothing is sent.
    fn next(&self, from: &Url, response: &Response) -> Result<Url, Failure> {
        let refused = |error: String| Err(Failure::Refused(error.into()));
        let status = response.status();
        if !self.allow_redirects {
            let status = status.as_u16();
            return refused(format!(
                "it redirects (HTTP status {status}), which is not allowed: put the address that it redirects to in \
                 the rule, or set [webhook] allow_redirects = true"
            ));
        }
        if ![StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&status) {
            let status = status.as_u16();
            return refused(format!("it redirects with HTTP status {status}; 307 and 308 are followed"));
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let Some(url) = location.and_then(|location| from.join(location).ok()) else {
            return refused("it redirects to no address".to_owned());
        };
        // The posted body is signed with the secret and contains a user's text: neither is for another server that the
        // service names. Schemes other than these two have an origin that equals none.
        if url.origin() != from.origin() {
            return refused(
                "it redirects to another scheme, host or port, where nothing is posted: put the address that it \
                 redirects to in the rule"
                    .to_owned(),
            );
        }
        Ok(url)
    }
}

fn client(scheme: &str, lookup: &Lookup, allow_link_local: bool) -> Result<reqwest::Client, Cause> {
    let builder = http_client::builder_for_scheme(scheme)
        .dns_resolver(Resolver { lookup: lookup.clone(), allow_link_local })
        // A proxy would look names up itself, and connect to places that kefu must not connect to.
        .no_proxy()
        .pool_idle_timeout(IDLE_CONNECTION);
    builder.build().map_err(|error| http_client::cause(error).at("the HTTP client cannot be set up"))
}

/// Why a call had no answer.
fn failed(error: reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<Forbidden>() {
            return Failure::Refused(FORBIDDEN.into());
        }
        cause = error.source();
    }
    let what = if error.is_connect() { "it cannot be reached" } else { "no answer came" };
    Failure::passing(http_client::cause(error).at(what))
}

/// Reads an answer to its end and checks its status.
async fn read(response: Response, host: String) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let refused = |error: String| Err(Failure::Refused(error.into()));
    match status {
        200..300 => {}
        408 | 425 | 429 | 500.. => {
            let error = format!("it answered with HTTP status {status}");
            return Err(Failure::Passing { error: error.into(), retry_after: http_client::retry_after(&response) });
        }
        _ => return refused(format!("it answered with HTTP status {status}")),
    }
    match http_client::read_within(response, MAX_ANSWER_BYTES).await {
        Ok(body) => Ok(Answer { host, status, body }),
        Err(Unread::TooLarge) => refused(format!("its answer has more than {} KiB", MAX_ANSWER_BYTES / 1024)),
        Err(Unread::Cut { error, .. }) => Err(Failure::passing(error.at("its answer is cut off"))),
    }
}

#[cfg(test)]
mod tests;
