//! Stand-ins for the worker's partners, for its tests: a store in memory, WeChat's API in memory, and a queue that the
//! test fills by hand. The stand-ins use tokio's clock, so that tests can stop it.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::{Envelope, EnvelopeError};
use kefu_program::config::Config;
use kefu_program::testing::{Folder, MINIMAL, account};
use kefu_queue::Delivery;
use kefu_runtime::health::Health;
use kefu_store::testing::MemoryStore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::WorkerError;
use crate::handle::Handler;
use crate::lanes::dispatch::dispatch;
use crate::plan::assistant::client::Completions;

pub(crate) mod assistant;
pub(crate) mod http;
pub(crate) mod queue;
pub(crate) mod wechat;

use assistant::FakeCompletions;
use queue::FakeQueue;
pub(crate) use queue::{
    DONE, Settled, delivery, envelope, event, key, postponed_for, pushed, reason, received, retry_after,
};
use wechat::FakeWeChat;

/// The smallest content that passes as a PNG.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

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

/// A configuration with the accounts `wx1` and `wx2`, [`RULES`] and `more`. The folder must live as long as the
/// configuration is in use.
pub(crate) fn config(more: &str) -> (Arc<Config>, Folder) {
    let text = format!("{MINIMAL}{}{RULES}\n{more}", account("wx2"));
    let folder = Folder::new(text).with("picture.png", PNG);
    (Arc::new(folder.load(&[]).unwrap()), folder)
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
    pub(crate) folder: Folder,
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
        handle(&self.handler, Ok(envelope("wx1", user, text)), attempt).await
    }

    /// Handles the first delivery of this message.
    pub(crate) async fn handle_envelope(&self, envelope: Envelope) -> Settled {
        handle(&self.handler, Ok(envelope), 0).await
    }

    pub(crate) async fn run(&self, delivery: Delivery) {
        let given_back = self.handler.handle(delivery).await;
        drop(given_back);
    }

    /// Starts to dispatch the deliveries of a queue.
    pub(crate) fn dispatch(&self) -> (FakeQueue, JoinHandle<Result<(), WorkerError>>, watch::Receiver<Health>) {
        let (queue, consumer) = queue::queue();
        let (health, seen) = watch::channel(Health::Down("not connected yet".to_owned()));
        let grace = self.config.worker.grace;
        let running = dispatch(Arc::clone(&self.handler), consumer, health, self.shutdown.clone(), grace);
        (queue, tokio::spawn(running), seen)
    }
}

/// What becomes of a delivery of this message to the worker.
pub(crate) async fn handle(handler: &Handler, envelope: Result<Envelope, EnvelopeError>, attempt: u32) -> Settled {
    let (delivery, watch) = delivery(envelope, attempt);
    drop(handler.handle(delivery).await);
    watch.get()
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

/// Does this after a while.
pub(crate) async fn after<T>(wait: Duration, act: impl FnOnce() -> T) -> T {
    tokio::time::sleep(wait).await;
    act()
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
