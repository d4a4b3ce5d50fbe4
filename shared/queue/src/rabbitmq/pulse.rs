//! Notices a broker that is connected and says nothing, long before the heartbeats do.

use std::time::{Duration, Instant};

use lapin::Connection;
use lapin::options::BasicQosOptions;
use parking_lot::Mutex;
use tokio::time::sleep;

/// How often the broker is asked something.
const EVERY: Duration = Duration::from_secs(2);
/// How long it may take to answer; longer, and it is taken for hanging. The connection stays: the heartbeats decide.
const PATIENCE: Duration = Duration::from_secs(3);

/// When the question was asked that is open now.
#[derive(Default)]
pub(super) struct Pulse(Mutex<Option<Instant>>);

impl Pulse {
    /// How long an answer is overdue that should have come within [`PATIENCE`].
    pub(super) fn silent_for(&self) -> Option<Duration> {
        let asked = *self.0.lock();
        asked.map(|asked| asked.elapsed()).filter(|open| *open > PATIENCE)
    }

    /// Goes on asking; never ends. What is asked is the cheapest that needs an answer: a setting of a channel of its own.
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
            // An error is an answer, too, or the end of the connection, which others notice.
            channel = asked.await.ok();
            self.set(None);
            sleep(EVERY).await;
        }
    }

    fn set(&self, asked: Option<Instant>) {
        *self.0.lock() = asked;
    }
}
