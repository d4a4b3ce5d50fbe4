//! A team with mini programs: the simulated WeChat, and a kefu that serves it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kefu_simulator::{
    Entry, Event, FaultKind, FaultRequest, Filter, Limits, Message, PushReport, PushRequest, SimulatedAccount,
    Simulator, SimulatorConfig,
};

use crate::eventually;
use crate::secrets::Secrets;
use crate::stack::{Backend, Stack, StackOptions};
use crate::wechat::cipher::aes_key;
use crate::wechat::{Account, Mode};

/// How long a reply may take, the machine being busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The smallest PNG: one pixel.
pub const PICTURE: &[u8] = include_bytes!("shop/pixel.png");

/// Where that is.
pub const PICTURE_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/harness/shop/pixel.png");

/// The mini programs' original id: `ToUserName` of what is pushed.
pub const RAW_ID: &str = "gh_0123456789ab";

/// The rules that a shop has unless told otherwise: one for each kind of reply.
pub const RULES: &str = r#"
[[rule]]
when = { event = "user_enter_tempsession" }
reply = [{ text = "welcome" }]
[[rule]]
when = { type = "text", contains = "code" }
reply = [{ image = "code.png" }, { text = "scan it" }]
[[rule]]
when = { type = "text" }
reply = [{ text = "text: 你好 <b>&</b> \"]]>" }]
[[rule]]
when = { type = "image" }
reply = [{ link = { title = "t", description = "d", url = "https://shop.example/", thumb_url = "https://shop.example/t.png" } }]
[[rule]]
when = { type = "miniprogrampage" }
reply = [{ miniprogrampage = { title = "back", pagepath = "pages/a?x=1&y=2", thumb = "code.png" } }]
"#;

/// What a shop is made of. Set what differs, then start it.
pub struct ShopOptions {
    /// What kefu runs on.
    pub backend: Backend,
    /// The mini programs.
    pub accounts: Vec<Account>,
    /// The `[[rule]]` tables.
    pub rules: String,
    /// WeChat's limits.
    pub limits: Limits,
    /// Further settings by table.
    pub settings: Vec<(&'static str, String)>,
}

impl ShopOptions {
    /// One account in safe mode, the usual rules and limits.
    pub fn new(backend: Backend) -> Self {
        let settings = vec![("queue", "partitions = 8".to_owned())];
        let accounts = vec![Account::random(Mode::Safe)];
        Self { backend, accounts, rules: RULES.to_owned(), limits: Limits::default(), settings }
    }

    /// With other rules.
    pub fn with_rules(self, rules: impl Into<String>) -> Self {
        Self { rules: rules.into(), ..self }
    }

    /// With these lines in this table.
    pub fn with(mut self, table: &'static str, lines: impl Into<String>) -> Self {
        self.settings.push((table, lines.into()));
        self
    }
}

/// The simulated WeChat, and kefu.
pub struct Shop {
    /// WeChat.
    pub simulator: Simulator,
    /// kefu.
    pub stack: Stack,
    /// The mini programs.
    pub accounts: Vec<Account>,
}

impl Shop {
    /// Starts all of it; ready when this returns.
    pub async fn start(options: ShopOptions) -> Self {
        let ShopOptions { backend, accounts, rules, limits, settings } = options;
        let mut config = SimulatorConfig::new(accounts.iter().map(simulated).collect());
        config.limits = limits;
        let simulator = Simulator::start(config).await.expect("the simulator starts");
        let mut options = StackOptions::new(backend, accounts.clone(), simulator.url());
        options.rules = rules;
        options.settings = settings;
        options.files = vec![(PathBuf::from("code.png"), PICTURE.to_vec())];
        let stack = Stack::start(options).await;
        let shop = Self { simulator, stack, accounts };
        shop.set_callbacks();
        shop
    }

    /// Tells WeChat where kefu listens now.
    pub fn set_callbacks(&self) {
        for account in &self.accounts {
            self.simulator.set_callback(&account.appid, &self.stack.callback(account)).expect("it knows the account");
        }
    }

    /// Kills ingress (in an embedded shop all of kefu) and starts it again where WeChat finds it.
    pub async fn crash_and_restart_ingress(&mut self) {
        self.stack.crash_and_restart_ingress().await;
        self.set_callbacks();
    }

    /// Has a user say something, and returns while the reply is being sent: WeChat takes a minute for that, and then does
    /// not deliver it.
    ///
    /// # Panics
    /// When the push is not answered, or nothing is sent.
    pub async fn hangs_in_a_send(&self, user: &str, text: &str) {
        let slow = FaultRequest::new(FaultKind::Latency, "custom/send");
        let slow = FaultRequest { latency_ms: Some(60_000), effect: Some(false), ..slow };
        self.simulator.fault(slow).expect("the simulator has this fault");
        assert!(self.push(user, Message::text(text)).await.answered);
        eventually(PATIENCE, "the reply is being sent", async || match self.calls("custom/send").len() {
            0 => Err("nothing is sent"),
            _ => Ok(()),
        })
        .await;
    }

    /// The first account's appid.
    pub fn appid(&self) -> &str {
        &self.accounts[0].appid
    }

    /// Pushes a message of a user of the first account as WeChat does, re-sends included.
    pub async fn push(&self, user: &str, message: Message) -> PushReport {
        self.send(PushRequest::new(self.appid(), user, message)).await
    }

    /// Pushes as WeChat does.
    pub async fn send(&self, request: PushRequest) -> PushReport {
        self.simulator.push(request).await.expect("the simulator takes the push")
    }

    /// The replies that a user has received, in order.
    pub fn replies(&self, user: &str) -> Vec<serde_json::Value> {
        let filter = Filter { user: Some(user.to_owned()), delivered: Some(true), ..Filter::default() };
        self.simulator.journal(&filter).iter().map(|entry| request_of(entry)).collect()
    }

    /// Waits until a user has received `count` replies, and gives them.
    ///
    /// # Panics
    /// When they do not come, or when there are more.
    pub async fn replies_within(&self, user: &str, count: usize) -> Vec<serde_json::Value> {
        let what = format!("{user} has {count} replies");
        eventually(PATIENCE, &what, async || {
            let replies = self.replies(user);
            assert!(replies.len() <= count, "{user} has more than {count} replies: {replies:?}");
            if replies.len() == count { Ok(replies) } else { Err(format!("it has {replies:?}")) }
        })
        .await
    }

    /// What no log may hold: what the accounts keep secret, and the access_tokens that they have now. Asks WeChat for
    /// these, which shows in its journal.
    pub async fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        for account in &self.accounts {
            let appid = &account.appid;
            let (key, access_token) = (&account.encoding_aes_key, self.access_token(account).await);
            secrets = secrets
                .with(format!("AppSecret of {appid}"), &account.secret)
                .with(format!("Token of {appid}"), &account.token)
                .with(format!("EncodingAESKey of {appid}"), key)
                .with(format!("AES key of {appid}"), aes_key(key))
                .with(format!("access_token of {appid}"), access_token);
        }
        secrets
    }

    /// The access_token that `stable_token` gives to everybody who asks for it.
    async fn access_token(&self, account: &Account) -> String {
        let url = format!("{}/cgi-bin/stable_token", self.simulator.url());
        let body = serde_json::json!({
            "grant_type": "client_credential", "appid": account.appid, "secret": account.secret,
        });
        let client = reqwest::Client::builder().no_proxy().build().expect("a plain client can be built");
        let answer = client.post(url).json(&body).send().await.expect("the simulator answers");
        let answer: serde_json::Value = answer.json().await.expect("the answer is JSON");
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// Calls of the API whose path ends so, in order.
    pub fn calls(&self, path: &str) -> Vec<Arc<Entry>> {
        self.simulator.journal(&Filter { path: Some(path.to_owned()), ..Filter::default() })
    }
}

/// What replies say, in order; the empty text of one that is no text.
pub fn texts(replies: &[serde_json::Value]) -> Vec<&str> {
    replies.iter().map(|reply| reply["text"]["content"].as_str().unwrap_or_default()).collect()
}

/// The body of the API call of an entry.
pub fn request_of(entry: &Entry) -> serde_json::Value {
    match &entry.event {
        Event::ApiCall(call) => call.request.clone(),
        _ => serde_json::Value::Null,
    }
}

/// An account as WeChat knows it, without a callback URL.
pub fn simulated(account: &Account) -> SimulatedAccount {
    SimulatedAccount {
        appid: account.appid.clone(),
        secret: account.secret.clone(),
        token: account.token.clone(),
        encoding_aes_key: Some(account.encoding_aes_key.clone()),
        mode: match account.mode {
            Mode::Plain => kefu_simulator::Mode::Plain,
            Mode::Compat => kefu_simulator::Mode::Compat,
            Mode::Safe => kefu_simulator::Mode::Safe,
        },
        format: kefu_wechat::push::Format::Xml,
        raw_id: RAW_ID.to_owned(),
        callback_url: None,
    }
}
