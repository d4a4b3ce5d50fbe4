//! Notices a broker that is connected but silent, long before the heartbeats do.

use std::time::{Duration, Instant};

use lapin::Connection;
use lapin::options::BasicQosOptions;
use parking_lot::Mutex;
use tokio::time::sleep;

/// How often the broker is asked.
const EVERY: Duration = Duration::from_secs(2);
/// How long the broker may take to answer; after that it counts as hanging. The connection stays: the heartbeats decide.
const PATIENCE: Duration = Duration::from_secs(3);

/// When the open question was asked.
#[derive(Default)]
pub(super) struct Pulse(Mutex<Option<Instant>>);

impl Pulse {
    /// How long an answer is overdue that should have come within [`PATIENCE`].
    pub(super) fn silent_for(&self) -> Option<Duration> {
        let asked = *self.0.lock();
        asked.map(|asked| asked.elapsed()).filter(|open| *open > PATIENCE)
    }

    /// Keeps asking; never ends. The question is the cheapest one that needs an answer: a setting of a channel of its own.
    pub(super) async fn keep(&self, connection: &Connection) {
        let mut channel = None;
        loop {
            self.set(Some(Instant::now()));
            let asked = async {
                let channel = match channel.take() {
                    Some(channel) => channel,
                    None => connection.create_channel().await?,
                };
                channel.basic_qos(1, BasicQosOptions::default()).await?;
                Ok::<_, lapin::Error>(channel)
            };
            // An error is also an answer, or the end of the connection, which others notice.
            channel = asked.await.ok();
            self.set(None);
            sleep(EVERY).await;
        }
    }

    fn set(&self, asked: Option<Instant>) {
        *self.0.lock() = asked;
    }
}
