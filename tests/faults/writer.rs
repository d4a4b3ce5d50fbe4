//! A user who writes without a pause.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kefu_simulator::{Message, PushReport, PushRequest, Simulator};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Written};

/// More than a user writes in any trial: a reply says which message it is for, so each needs a rule of its own.
pub(crate) const MESSAGES: u32 = 600;

/// One push and what became of it.
pub(crate) struct Pushed {
    pub(crate) written: Written,
    pub(crate) report: PushReport,
}

/// One user.
pub(crate) struct Writer {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) appid: String,
    pub(crate) user: String,
    pub(crate) every: Duration,
    /// When the first message comes.
    pub(crate) late: Duration,
    pub(crate) pushed: Arc<Mutex<Vec<Pushed>>>,
    pub(crate) stop: CancellationToken,
}

impl Writer {
    /// Writes, and waits for WeChat's word each time, until told to stop.
    pub(crate) async fn write(self) {
        let mut turns = tokio::time::interval_at(tokio::time::Instant::now() + self.late, self.every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 1.. {
            assert!(number <= MESSAGES, "the trial takes too long: there is no rule for a user's next message");
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                _ = turns.tick() => {}
            }
            let message = Message::Text { content: audit::text(number) };
            let request = PushRequest::new(&self.appid, &self.user, message);
            let report = self.simulator.push(request).await.expect("the simulator takes the push");
            let pushed = Pushed { written: (self.user.clone(), number), report };
            self.pushed.lock().expect("nothing panics while it holds this").push(pushed);
        }
    }
}
