//! Stand-ins for the worker's partners, for its tests: a store in memory, WeChat's API in memory, and a queue that the
//! test fills by hand. The stand-ins use tokio's clock, so that tests can stop it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use kefu_program::config::{self, Config};
use kefu_queue::Delivery;
use kefu_store::testing::MemoryStore;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::handle::Handler;
use crate::plan::assistant::client::Completions;

pub(crate) mod assistant;
pub(crate) mod http;
pub(crate) mod queue;
pub(crate) mod wechat;

use assistant::FakeCompletions;
use queue::{Settled, delivery};
use wechat::FakeWeChat;

/// The smallest content that passes as a PNG.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

const ACCOUNTS: &str = r#"
    [queue]
    url = "embedded:data"
    [store]
    url = "embedded:data"
    [[account]]
    appid = "wx1"
    secret = "SECRET-OF-wx1"
    token = "t"
    mode = "plain"
    [[account]]
    appid = "wx2"
    secret = "SECRET-OF-wx2"
    token = "t"
    mode = "plain"
"#;

/// Rules with one text, with three texts, with a picture, and with no reply to `"nothing"`.
const RULES: &str = r#"
    [[rule]]
    when = { contains = "three" }
    reply = [{ text = "one" }, { text = "two" }, { text = "three" }]
    [[rule]]
    when = { contains = "picture" }
    reply = [{ image = "picture.png" }, { text = "that was it" }]
    [[rule]]
    when = { type = "text", regex = "^hi" }
    reply = [{ text = "您好" }]
"#;

/// A configuration with two accounts, [`RULES`] and `more`. The folder must live as long as the configuration is in
/// use.
pub(crate) fn config(more: &str) -> (Arc<Config>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kefu.toml");
    std::fs::write(folder.path().join("picture.png"), PNG).unwrap();
    std::fs::write(&file, format!("{ACCOUNTS}\n{RULES}\n{more}")).unwrap();
    (Arc::new(config::load_with(&file, []).unwrap()), folder)
}

/// A handler with all its partners.
pub(crate) struct Bench {
    pub(crate) handler: Arc<Handler>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) wechat: Arc<FakeWeChat>,
    /// The assistant's server, which the handler asks if the configuration has an `[assistant]`.
    pub(crate) completions: Arc<FakeCompletions>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) config: Arc<Config>,
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    pub(crate) fn with(more_configuration: &str) -> Self {
        let (config, folder) = config(more_configuration);
        let (store, wechat) = (Arc::new(MemoryStore::default()), Arc::new(FakeWeChat::default()));
        let (completions, shutdown) = (Arc::new(FakeCompletions::default()), CancellationToken::new());
        let handler = handler(&config, "worker-1", &store, &wechat, &completions, &shutdown);
        Self { handler, store, wechat, completions, shutdown, config, folder }
    }

    /// Another worker process over the same store and API.
    pub(crate) fn another_worker(&self) -> Arc<Handler> {
        handler(&self.config, "worker-2", &self.store, &self.wechat, &self.completions, &self.shutdown)
    }

    /// Handles the first delivery of a text from user `user` of account `wx1`.
    pub(crate) async fn handle(&self, user: &str, text: &str) -> Settled {
        self.handle_attempt(user, text, 0).await
    }

    pub(crate) async fn handle_attempt(&self, user: &str, text: &str, attempt: u32) -> Settled {
        let (delivery, watch) = delivery(Ok(queue::envelope("wx1", user, text)), attempt);
        self.run(delivery).await;
        watch.get()
    }

    pub(crate) async fn run(&self, delivery: Delivery) {
        let given_back = self.handler.handle(delivery).await;
        drop(given_back);
    }
}

fn handler(
    config: &Arc<Config>,
    id: &str,
    store: &Arc<MemoryStore>,
    wechat: &Arc<FakeWeChat>,
    completions: &Arc<FakeCompletions>,
    shutdown: &CancellationToken,
) -> Arc<Handler> {
    let (wechat, stores) = (Arc::clone(wechat), MemoryStore::stores(store));
    let completions = Some(Arc::clone(completions) as Arc<dyn Completions>);
    let (config, shutdown) = (Arc::clone(config), shutdown.clone());
    Arc::new(Handler::new(config, id.to_owned(), &stores, wechat, completions, shutdown).unwrap())
}

/// Lets every other ready task run, while the clock stands still.
pub(crate) async fn settle_down() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
