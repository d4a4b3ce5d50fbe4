//! WeChat's API: the calls that the worker makes, and the meaning of WeChat's answers.
//!
//! * [`client`]: the HTTP below the calls.
//! * [`answer`], [`errcode`], [`failure`]: an answer, and the reaction to it.
//! * [`token`], [`media`]: access_tokens and media_ids, shared by all workers.
//! * [`body`]: replies as JSON.

use std::sync::Arc;
use std::time::Duration;

use kefu_program::config::{self, Account, TokenApi, TypingApi};
use kefu_runtime::standing::Standing;
use kefu_runtime::{Cause, in_words};
use kefu_store::StoredToken;
use kefu_wechat::openid::OpenId;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod errcode;
pub(crate) mod failure;
pub(crate) mod media;
pub(crate) mod single_flight;
pub(crate) mod token;

use answer::Answer;
use client::{Body, Call, Extent, HttpTransport, Picture, Raw, Transport};
use failure::Failure;

use crate::metric;

/// The APIs, as far as errcodes and metrics tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// `/cgi-bin/stable_token` or `/cgi-bin/token`
    Token,
    /// `/cgi-bin/message/custom/send`
    Send,
    /// `/cgi-bin/media/upload`
    Upload,
    /// `/cgi-bin/callback/check`
    CallbackCheck,
    /// `/cgi-bin/message/custom/business/typing`, or the older `/cgi-bin/message/custom/typing`
    Typing,
    /// `/cgi-bin/media/get`
    MediaGet,
}

impl Api {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Send => "custom_send",
            Self::Upload => "media_upload",
            Self::CallbackCheck => "callback_check",
            Self::Typing => "typing",
            Self::MediaGet => "media_get",
        }
    }
}

/// Calls WeChat's API. Each call is made once.
pub struct WeChat {
    transport: Arc<dyn Transport>,
    token_api: TokenApi,
    typing_api: TypingApi,
    /// Whether the API answers, whatever the answers say.
    standing: Standing,
}

/// The interval within which the worker logs one outage of the API and its end at most, while calls fail now and then.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The longest life of an access_token, whatever an answer of WeChat says.
pub(crate) const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(7_200);

/// The result of WeChat's own check of a callback URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The addresses of the URL's host, as WeChat sees them.
    pub addresses: Vec<String>,
    /// The share of lost packets, such as `0%`, for each address that WeChat called from one of its networks.
    pub losses: Vec<String>,
}

impl WeChat {
    /// The API at `[wechat] api_base`.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn over_http(config: &config::WeChat) -> Result<Self, Cause> {
        Ok(Self::new(Arc::new(HttpTransport::new(config)?), config))
    }

    pub(crate) fn new(transport: Arc<dyn Transport>, config: &config::WeChat) -> Self {
        let config::WeChat { token_api, typing_api, .. } = *config;
        Self { transport, token_api, typing_api, standing: Standing::new(LOG_EVERY) }
    }

    /// Fetches the account's access_token, never with `force_refresh`: that would end the token that other programs of
    /// the same account use.
    ///
    /// # Errors
    /// When WeChat gives no token.
    pub async fn fetch_token(&self, account: &Account) -> Result<StoredToken, Failure> {
        let fetched = self.fetch(account).await.map_err(Failure::of_harmless_call);
        let outcome = if fetched.is_ok() { "ok" } else { "failed" };
        metrics::counter!(metric::TOKEN_FETCHES, "outcome" => outcome).increment(1);
        fetched
    }

    /// Sends one reply, made by [`body::of`].
    pub(crate) async fn send(&self, token: &SecretString, body: Vec<u8>) -> Result<(), Failure> {
        let query = vec![("access_token", token.clone())];
        let call = Call { path: "/cgi-bin/message/custom/send", query, body: Body::Json(body) };
        self.call(Api::Send, call).await.map(drop)
    }

    /// Uploads a picture; the media_id lasts for 3 days.
    pub(crate) async fn upload(&self, token: &SecretString, picture: Picture) -> Result<String, Failure> {
        let query = vec![("access_token", token.clone()), ("type", SecretString::from("image"))];
        let call = Call { path: "/cgi-bin/media/upload", query, body: Body::Picture(picture) };
        let uploaded = self.call(Api::Upload, call).await.map_err(Failure::of_harmless_call).and_then(|answer| {
            answer.text("media_id").map(str::to_owned).ok_or_else(|| missing(Api::Upload, "media_id"))
        });
        let outcome = if uploaded.is_ok() { "ok" } else { "failed" };
        metrics::counter!(metric::MEDIA_UPLOADS, "outcome" => outcome).increment(1);
        uploaded
    }

    /// Makes WeChat look up and call the host of the account's callback URL, from networks that WeChat chooses.
    ///
    /// Source: <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/openApi-mgnt/callbackCheck.html>.
    ///
    /// # Errors
    /// When WeChat does not make the check; errcode 40201 says that the account has no callback URL.
    pub async fn check_callback(&self, token: &SecretString) -> Result<Callback, Failure> {
        let query = vec![("access_token", token.clone())];
        let body = json!({ "action": "all", "check_operator": "DEFAULT" });
        let call = Call { path: "/cgi-bin/callback/check", query, body: Body::Json(body.to_string().into_bytes()) };
        let answer = self.call(Api::CallbackCheck, call).await.map_err(Failure::of_harmless_call)?;
        Ok(Callback { addresses: answer.texts("dns", "ip"), losses: answer.texts("ping", "package_loss") })
    }

    /// Shows the user that somebody types, for 15 seconds or until the next message. `business_id` belongs to the
    /// session with a sub-merchant. A failure has no consequence, and callers log it at debug level at most.
    ///
    /// Source: <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/kf-mgnt/kf-message/setTyping.html>.
    pub(crate) async fn typing(
        &self,
        token: &SecretString,
        user: &OpenId,
        business_id: Option<u64>,
    ) -> Result<(), Failure> {
        let path = match self.typing_api {
            TypingApi::Business => "/cgi-bin/message/custom/business/typing",
            TypingApi::Old => "/cgi-bin/message/custom/typing",
            TypingApi::Off => return Ok(()),
        };
        let mut body = json!({ "touser": user.as_str(), "command": "Typing" });
        if let Some(business_id) = business_id {
            body["businessid"] = business_id.into();
        }
        let query = vec![("access_token", token.clone())];
        let body = Body::Json(body.to_string().into_bytes());
        self.call(Api::Typing, Call { path, query, body }).await.map(drop)
    }

    /// Fetches a user's picture of `max_bytes` at most. WeChat keeps the picture for 3 days
    /// (<https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/kf-mgnt/kf-message/getTempMedia.html>).
    pub(crate) async fn download(
        &self,
        token: &SecretString,
        media_id: &str,
        max_bytes: usize,
    ) -> Result<Download, Failure> {
        let query = vec![("access_token", token.clone()), ("media_id", SecretString::from(media_id))];
        let call = Call { path: "/cgi-bin/media/get", query, body: Body::NoneForFile { max_bytes } };
        let answered = self.transport.call(call).await;
        let failure = match answered {
            Ok(raw) if is_file(&raw) => {
                self.answered();
                return match raw.extent {
                    Extent::Whole => Ok(Download::File(raw.body)),
                    Extent::TooLarge => Ok(Download::TooLarge),
                    Extent::Cut => Err(Failure::Passing("the picture is cut off".into())),
                };
            }
            // WeChat gives errors as JSON with status 200.
            answered => self.answer(Api::MediaGet, answered).err(),
        };
        Err(failure.unwrap_or_else(|| missing(Api::MediaGet, "picture")).of_harmless_call())
    }

    async fn fetch(&self, account: &Account) -> Result<StoredToken, Failure> {
        let call = match self.token_api {
            TokenApi::StableToken => {
                let body = json!({
                    "grant_type": "client_credential",
                    "appid": account.appid,
                    "secret": account.secret.expose_secret(),
                    "force_refresh": false,
                });
                let body = Body::Json(body.to_string().into_bytes());
                Call { path: "/cgi-bin/stable_token", query: Vec::new(), body }
            }
            TokenApi::Token => {
                let query = vec![
                    ("grant_type", SecretString::from("client_credential")),
                    ("appid", SecretString::from(account.appid.as_str())),
                    ("secret", account.secret.clone()),
                ];
                Call { path: "/cgi-bin/token", query, body: Body::None }
            }
        };
        let answer = self.call(Api::Token, call).await?;
        let value = answer.text("access_token").ok_or_else(|| missing(Api::Token, "access_token"))?;
        let seconds = answer.number("expires_in").and_then(|seconds| u64::try_from(seconds).ok());
        let seconds = seconds.filter(|seconds| *seconds > 0).ok_or_else(|| missing(Api::Token, "expires_in"))?;
        let expires_in = Duration::from_secs(seconds).min(LONGEST_TOKEN_LIFE);
        Ok(StoredToken { value: SecretString::from(value), expires_in })
    }

    async fn call(&self, api: Api, call: Call) -> Result<Answer, Failure> {
        let answered = self.transport.call(call).await;
        self.answer(api, answered)
    }

    fn answer(&self, api: Api, answered: Result<Raw, Failure>) -> Result<Answer, Failure> {
        let answer = answered.and_then(|raw| Answer::read(&raw));
        match &answer {
            Ok(_) => self.answered(),
            Err(failure) => self.not_answered(failure),
        }
        let answer = answer?;
        let Some(refusal) = answer.refusal(api) else { return Ok(answer) };
        // WeChat has many errcodes. The metric names the listed errcodes, and the log has all of them.
        let errcode = errcode::row(answer.errcode).map_or_else(|| "unknown".to_owned(), |_| answer.errcode.to_string());
        metrics::counter!(metric::WECHAT_ERRORS, "api" => api.as_str(), "errcode" => errcode).increment(1);
        Err(Failure::Refused(refusal))
    }

    /// Records that the API answered, whatever the answer says.
    fn answered(&self) {
        let Some(outage) = self.standing.succeeded() else { return };
        metrics::gauge!(metric::WECHAT_UNREACHABLE).set(0);
        if outage.was_news {
            tracing::info!(after_seconds = outage.lasts().as_secs(), "WeChat's API is reached again");
        }
    }

    /// Records that no answer came, or that a gateway in front of the API answered.
    fn not_answered(&self, failure: &Failure) {
        // The gauge comes first, so that an answer at the same time leaves it at 0.
        metrics::gauge!(metric::WECHAT_UNREACHABLE).set(1);
        let error = in_words(failure);
        if self.standing.failed((), error.clone()) {
            tracing::warn!(error, "WeChat's API cannot be reached: replies wait");
        }
    }

    /// The outage that the last call met, if any, in words.
    pub(crate) fn outage_in_words(&self) -> Option<String> {
        let outage = self.standing.trouble()?;
        Some(format!("WeChat's API is not reached since {} s: {}", outage.lasts().as_secs(), outage.why))
    }
}

/// The result of fetching a picture.
#[derive(Debug)]
pub(crate) enum Download {
    /// The whole picture.
    File(Vec<u8>),
    /// The picture is larger than the limit of the call.
    TooLarge,
}

/// Whether an answer is a file: neither JSON nor a page of a gateway in front of the API.
fn is_file(raw: &Raw) -> bool {
    let text_begins = raw.body.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| b"{<".contains(byte));
    (200..300).contains(&raw.status) && !text_begins && (!raw.body.is_empty() || raw.extent == Extent::TooLarge)
}

fn missing(api: Api, field: &str) -> Failure {
    Failure::Passing(format!("{}'s answer has no usable {field}", api.as_str()).into())
}
