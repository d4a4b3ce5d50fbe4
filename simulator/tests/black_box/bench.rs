//! A started simulator with one account, and a client of its API.

use kefu_simulator::{Message, PushRequest, SimulatedAccount, Simulator, SimulatorConfig};
use serde_json::{Value, json};

pub(crate) const APPID: &str = "wx0123456789abcdef";
pub(crate) const USER: &str = "oUSER";
pub(crate) const SEND: &str = "/cgi-bin/message/custom/send";

pub(crate) struct Bench {
    pub(crate) simulator: Simulator,
    pub(crate) http: reqwest::Client,
}

pub(crate) fn account(callback_url: Option<&str>) -> SimulatedAccount {
    serde_json::from_value(json!({
        "appid": APPID, "secret": "secret", "token": "token", "raw_id": "gh_0123456789ab",
        "encoding_aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "callback_url": callback_url
    }))
    .unwrap()
}

impl Bench {
    pub(crate) async fn start(callback_url: Option<&str>) -> Self {
        Self::configured(SimulatorConfig::new(vec![account(callback_url)])).await
    }

    pub(crate) async fn configured(config: SimulatorConfig) -> Self {
        let simulator = Simulator::start(config).await.unwrap();
        Self { simulator, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.url())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.http.post(self.url(path)).json(body).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.http.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn stable_token(&self) -> String {
        let body = json!({ "grant_type": "client_credential", "appid": APPID, "secret": "secret" });
        self.post("/cgi-bin/stable_token", &body).await["access_token"].as_str().unwrap().to_owned()
    }

    /// Calls the API with a good token.
    pub(crate) async fn call(&self, path: &str, body: &Value) -> Value {
        let token = self.stable_token().await;
        self.post(&format!("{path}?access_token={token}"), body).await
    }

    pub(crate) async fn send_text(&self, content: &str) -> i64 {
        self.errcode(SEND, &text(content)).await
    }

    pub(crate) async fn errcode(&self, path: &str, body: &Value) -> i64 {
        self.call(path, body).await["errcode"].as_i64().unwrap()
    }

    /// The user writes; the callback's answer does not matter.
    pub(crate) async fn user_does(&self, message: Message) {
        if self.simulator.set_callback(APPID, "http://127.0.0.1:9/").is_ok() {
            let request = PushRequest { tries: Some(1), ..PushRequest::new(APPID, USER, message) };
            self.simulator.push(request).await.unwrap();
        }
    }
}

pub(crate) fn text(content: &str) -> Value {
    json!({ "touser": USER, "msgtype": "text", "text": { "content": content } })
}
