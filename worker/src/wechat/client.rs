//! HTTP to WeChat's API. No other module of `wechat` knows reqwest.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::reply::picture::PictureFormat;
use kefu_program::config;
use kefu_runtime::Cause;
use kefu_runtime::http_client::{self, Unread};
use reqwest::Url;
use reqwest::multipart::{Form, Part};
use secrecy::{ExposeSecret, SecretString};

use super::failure::Failure;

/// One call of the API.
pub(crate) struct Call {
    /// `/cgi-bin/…`
    pub(crate) path: &'static str,
    /// The query with its secrets, which reaches no log and no error text.
    pub(crate) query: Vec<(&'static str, SecretString)>,
    pub(crate) body: Body,
}

/// The body of a call. The body decides the method: a call without a body is a GET.
pub(crate) enum Body {
    None,
    /// The call has no body, and its answer is a file.
    NoneForFile {
        /// The size of the largest file that the client takes.
        max_bytes: usize,
    },
    /// `application/json`
    Json(Vec<u8>),
    /// `multipart/form-data` with the one field `media`.
    Picture(Picture),
}

/// A picture to upload.
pub(crate) struct Picture {
    pub(crate) content: Vec<u8>,
    pub(crate) format: PictureFormat,
}

/// The answer to a call, unread.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) extent: Extent,
}

/// How much of an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// The connection ended in the middle of the answer.
    Cut,
    /// The answer is larger than the limit of the call; the client keeps nothing of it.
    TooLarge,
}

impl Raw {
    /// An answer that came whole.
    #[cfg(test)]
    pub(crate) fn whole(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), extent: Extent::Whole }
    }
}

/// Carries calls to the API. This is a seam, so that tests can run the code above it with a stopped clock.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// `Err` is [`Failure::Passing`] when the client wrote nothing, and [`Failure::Unanswered`] when no whole answer
    /// came.
    async fn call(&self, call: Call) -> Result<Raw, Failure>;
}

/// [`Transport`] over HTTP.
pub(crate) struct HttpTransport {
    http: reqwest::Client,
    /// Has no path.
    base: Url,
}

/// The size limit of an answer that is no file, more than any real answer needs.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// How long an idle connection is kept. WeChat closes idle connections, and a request on a closing connection would
/// have an open outcome.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

impl HttpTransport {
    pub(crate) fn new(config: &config::WeChat) -> Result<Self, Cause> {
        let base: Url = config.api_base.parse().map_err(|_| "[wechat] api_base is no URL")?;
        let http = http_client::builder(&base)
            .pool_idle_timeout(IDLE_CONNECTION)
            // This limit is below that of the whole call, so a call that reaches its own limit has written its request.
            .connect_timeout(config.timeout / 2)
            .timeout(config.timeout)
            .build()
            .map_err(|error| http_client::cause(error).at("the HTTP client for WeChat's API cannot be set up"))?;
        Ok(Self { http, base })
    }

    /// The URL of a call. Its query has secrets.
    fn url(&self, call: &Call) -> Url {
        let mut url = self.base.clone();
        url.set_path(call.path);
        if !call.query.is_empty() {
            let query = call.query.iter().map(|(name, value)| (*name, value.expose_secret()));
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn call(&self, call: Call) -> Result<Raw, Failure> {
        let url = self.url(&call);
        let max_bytes = match call.body {
            Body::NoneForFile { max_bytes } => max_bytes,
            _ => MAX_ANSWER_BYTES,
        };
        let request = match call.body {
            Body::None | Body::NoneForFile { .. } => self.http.get(url),
            Body::Json(body) => self.http.post(url).header("Content-Type", "application/json").body(body),
            Body::Picture(picture) => {
                // The name is ASCII and has the format's extension, since WeChat answers 41005 to other names.
                let file_name = format!("image.{}", picture.format.extension());
                let part = Part::bytes(picture.content).file_name(file_name);
                let part = part.mime_str(picture.format.content_type()).map_err(not_written)?;
                self.http.post(url).multipart(Form::new().part("media", part))
            }
        };
        let response = request.send().await.map_err(|error| match error.is_connect() || error.is_builder() {
            true => not_written(error),
            false => Failure::Unanswered(http_client::cause(error).at("no answer came")),
        })?;
        let status = response.status().as_u16();
        match http_client::read_within(response, max_bytes).await {
            Ok(body) => Ok(Raw { status, body, extent: Extent::Whole }),
            Err(Unread::TooLarge) => Ok(Raw { status, body: Vec::new(), extent: Extent::TooLarge }),
            // The part that came may say enough.
            Err(Unread::Cut { so_far, .. }) if !so_far.is_empty() => {
                Ok(Raw { status, body: so_far, extent: Extent::Cut })
            }
            Err(Unread::Cut { error, .. }) => Err(Failure::Unanswered(format!("no answer came: {error}").into())),
        }
    }
}

fn not_written(error: reqwest::Error) -> Failure {
    Failure::Passing(http_client::cause(error).at("WeChat cannot be reached"))
}

#[cfg(test)]
mod tests;
