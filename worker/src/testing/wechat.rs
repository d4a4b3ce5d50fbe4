//! WeChat's API in memory. It answers with success, or as the test says, and keeps a journal.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::wechat::client::{Body, Call, Raw, Transport};
use crate::wechat::failure::Failure;

pub(crate) const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
pub(crate) const TOKEN: &str = "/cgi-bin/token";
pub(crate) const SEND: &str = "/cgi-bin/message/custom/send";
pub(crate) const TYPING: &str = "/cgi-bin/message/custom/business/typing";
pub(crate) const UPLOAD: &str = "/cgi-bin/media/upload";
pub(crate) const MEDIA: &str = "/cgi-bin/media/get";

/// One call of the API.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: &'static str,
    pub(crate) query: HashMap<&'static str, String>,
    /// The body, if it is JSON.
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

#[derive(Default)]
pub(crate) struct FakeWeChat {
    state: Mutex<State>,
}

struct State {
    journal: Vec<Seen>,
    script: HashMap<&'static str, VecDeque<Result<Raw, Failure>>>,
    /// The users whose sends make the caller panic.
    poisonous: HashSet<String>,
    latency: Duration,
    /// The number of the only token that the API accepts.
    token: u32,
    expires_in: u64,
    uploads: u32,
    sending: HashMap<String, u32>,
    most_sending: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            journal: Vec::new(),
            script: HashMap::new(),
            poisonous: HashSet::new(),
            latency: Duration::ZERO,
            token: 1,
            expires_in: 7_200,
            uploads: 0,
            sending: HashMap::new(),
            most_sending: 0,
        }
    }
}

impl FakeWeChat {
    /// Scripts the answer to the next call of `path` that has no scripted answer yet.
    pub(crate) fn answer(&self, path: &'static str, status: u16, body: impl Into<Vec<u8>>) {
        self.script(path, Ok(Raw::whole(status, body)));
    }

    pub(crate) fn errcode(&self, path: &'static str, errcode: i64) {
        self.errcodes(path, errcode, 1);
    }

    /// Scripts this errcode as the answer to the next `count` calls.
    pub(crate) fn errcodes(&self, path: &'static str, errcode: i64, count: usize) {
        let body = json!({ "errcode": errcode, "errmsg": "no rid: 1-2-3" }).to_string();
        (0..count).for_each(|_| self.answer(path, 200, body.as_str()));
    }

    pub(crate) fn fail(&self, path: &'static str, failure: Failure) {
        self.script(path, Err(failure));
    }

    /// Lets every call fail from now on, or at least more calls than any test makes.
    pub(crate) fn fail_always(&self, path: &'static str, failure: &Failure) {
        (0..1_000).for_each(|_| self.fail(path, failure.clone()));
    }

    /// From now on a send to the user panics, as a fault in the worker would.
    pub(crate) fn panic_at(&self, user: &str) {
        self.state.lock().unwrap().poisonous.insert(user.to_owned());
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        self.state.lock().unwrap().latency = latency;
    }

    pub(crate) fn set_expires_in(&self, seconds: u64) {
        self.state.lock().unwrap().expires_in = seconds;
    }

    /// From now on the API accepts only a newly fetched token.
    pub(crate) fn expire_token(&self) {
        self.state.lock().unwrap().token += 1;
    }

    pub(crate) fn calls(&self, path: &str) -> Vec<Seen> {
        self.state.lock().unwrap().journal.iter().filter(|seen| seen.path == path).cloned().collect()
    }

    /// The texts of all sends and tried sends to the user, in order.
    pub(crate) fn texts_to(&self, user: &str) -> Vec<String> {
        let sends = self.calls(SEND).into_iter().filter(|seen| seen.body["touser"] == user);
        sends.map(|seen| seen.body["text"]["content"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The largest number of sends that were ever under way at once.
    pub(crate) fn most_sending(&self) -> usize {
        self.state.lock().unwrap().most_sending
    }

    fn script(&self, path: &'static str, result: Result<Raw, Failure>) {
        self.state.lock().unwrap().script.entry(path).or_default().push_back(result);
    }
}

impl State {
    fn answer(&mut self, seen: &Seen) -> Result<Raw, Failure> {
        if let Some(scripted) = self.script.get_mut(seen.path).and_then(VecDeque::pop_front) {
            return scripted;
        }
        let token_is_good = seen.query.get("access_token") == Some(&format!("T{}", self.token));
        let body = match seen.path {
            STABLE_TOKEN | TOKEN => {
                json!({ "access_token": format!("T{}", self.token), "expires_in": self.expires_in })
            }
            _ if !token_is_good => json!({ "errcode": 40001, "errmsg": "invalid credential rid: 1-2-3" }),
            SEND | TYPING => json!({ "errcode": 0, "errmsg": "ok" }),
            MEDIA => return Ok(Raw::whole(200, crate::testing::PNG)),
            UPLOAD => {
                self.uploads += 1;
                json!({ "type": "image", "media_id": format!("M{}", self.uploads), "created_at": "1672500000" })
            }
            _ => return Ok(Raw::whole(404, Vec::new())),
        };
        Ok(Raw::whole(200, body.to_string()))
    }
}

#[async_trait]
impl Transport for FakeWeChat {
    async fn call(&self, call: Call) -> Result<Raw, Failure> {
        let query = call.query.iter().map(|(name, value)| (*name, value.expose_secret().to_owned())).collect();
        let body = match &call.body {
            Body::Json(body) => serde_json::from_slice(body).unwrap(),
            _ => Value::Null,
        };
        let seen = Seen { path: call.path, query, body, at: Instant::now() };
        let user = seen.body["touser"].as_str().unwrap_or_default().to_owned();
        let latency = {
            let mut state = self.state.lock().unwrap();
            state.journal.push(seen.clone());
            let is_poisonous = state.poisonous.contains(&user);
            if is_poisonous {
                drop(state);
                panic!("on purpose");
            }
            if call.path == SEND {
                let of_user = state.sending.entry(user.clone()).or_default();
                *of_user += 1;
                assert_eq!(*of_user, 1, "two sends to one user at once");
                state.most_sending = state.most_sending.max(state.sending.len());
            }
            state.latency
        };
        tokio::time::sleep(latency).await;
        let mut state = self.state.lock().unwrap();
        state.sending.remove(&user);
        state.answer(&seen)
    }
}
