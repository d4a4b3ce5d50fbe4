//! Sends pushes, as WeChat does.

use std::time::{Duration, Instant};

use super::{Account, Answer, Format, Message, PushRequest};

/// Longer than WeChat's 5 s: how long an answer really took is for the test to judge.
const LIMIT: Duration = Duration::from_secs(30);

/// An HTTP client for one ingress.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// For the ingress at `http://HOST:PORT`.
    pub fn new(base: impl Into<String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(LIMIT).redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().expect("a plain client can be built"), base: base.into() }
    }

    /// Pushes a message to its account's URL.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn push(&self, account: &Account, format: Format, message: &Message) -> Answer {
        self.send(&account.appid, &account.push(format, message)).await
    }

    /// `POST /push/APPID`
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(&self, appid: &str, request: &PushRequest) -> Answer {
        self.try_send(appid, request).await.unwrap_or_else(|error| panic!("no answer to a push: {error:?}"))
    }

    /// `POST /push/APPID`; an error when there is no answer.
    pub async fn try_send(&self, appid: &str, request: &PushRequest) -> reqwest::Result<Answer> {
        let mut post = self.http.post(self.url(appid)).query(&request.query).body(request.body.clone());
        if let Some(content_type) = &request.content_type {
            post = post.header("content-type", content_type);
        }
        answer_to(post).await
    }

    /// `GET /push/APPID`, the URL verification.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn verify(&self, appid: &str, request: &PushRequest) -> Answer {
        let answer = answer_to(self.http.get(self.url(appid)).query(&request.query)).await;
        answer.unwrap_or_else(|error| panic!("no answer to a verification: {error:?}"))
    }

    /// The callback URL of an account.
    pub fn url(&self, appid: &str) -> String {
        format!("{}/push/{appid}", self.base)
    }
}

async fn answer_to(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let started = Instant::now();
    let response = request.send().await?;
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = response.text().await?;
    Ok(Answer { status, content_type, body, duration: started.elapsed() })
}
