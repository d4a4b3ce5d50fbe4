//! Opens the spool, maintains its state, and reports the state to the log and the metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use kefu_messages::partition::Partition;
use kefu_runtime::clock::now_ms;
use kefu_runtime::health::Health;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::folders::{Contents, Folders, Opened};
use super::phase::Phase;
use super::publisher::Spool;
use super::state::Figures;
use super::{Settings, metric, relay};

const LOOK: Duration = Duration::from_millis(250);

/// How often a spool that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(10);

/// How often the files of other processes are checked: a file that no process holds twice in a row is taken over.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(30);

/// How often a change is logged at most, while the broker comes and goes.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Opens the spool, or fails for the moment, and starts all background tasks.
pub(super) async fn start(spool: &Arc<Spool>, settings: Settings) {
    for (partition, lock) in Partition::all(spool.locks.len() as u16).zip(&spool.locks) {
        relay::start(spool, partition, lock.filled.clone());
    }
    relay::start_removing(spool);
    let mut folders = Folders::new(settings.folder);
    let mut is_open = open(spool, &mut folders).await;
    let mut watch = Watch::new(settings.patience);
    watch.look(spool);

    let (closing, weak): (_, Weak<Spool>) = (spool.closing.clone(), Arc::downgrade(spool));
    spool.tasks.spawn(async move {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked_at = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = closing.cancelled() => return,
            }
            let Some(spool) = weak.upgrade() else { return };
            if !is_open && looked_at.elapsed() >= OPEN_AGAIN {
                is_open = open(&spool, &mut folders).await;
                looked_at = Instant::now();
            } else if is_open && looked_at.elapsed() >= TAKE_OVER_EVERY {
                take_over(&spool, folders.look_again().await);
                looked_at = Instant::now();
            }
            watch.look(&spool);
        }
    });
}

async fn open(spool: &Spool, folders: &mut Folders) -> bool {
    match folders.open().await {
        Ok(opened) => {
            begin(spool, opened);
            true
        }
        Err(error) => {
            spool.state.failed(error.into());
            false
        }
    }
}

/// Begins to use the opened files.
pub(super) fn begin(spool: &Spool, opened: Opened) {
    let folder = opened.own.0.folder.display().to_string();
    let others = opened.left.len();
    let partitions = spool.state.opened(opened);
    let messages = spool.state.figures().waiting;
    tracing::info!(folder, messages, others, "the spool is open");
    wake(spool, partitions);
}

/// Begins to relay the messages that ended processes have left.
pub(super) fn take_over(spool: &Spool, left: Vec<Contents>) {
    for (file, _) in &left {
        tracing::info!(folder = %file.folder.display(), "relaying messages that an ended process left in the spool");
    }
    wake(spool, spool.state.took_over(left));
}

fn wake(spool: &Spool, partitions: BTreeSet<Partition>) {
    for partition in partitions {
        match spool.locks.get(usize::from(partition.index())) {
            Some(rows) => rows.filled.notify_one(),
            // There were more partitions when these messages were spooled.
            None => relay::start(spool, partition, Arc::new(Notify::new())),
        }
    }
}

struct Watch {
    patience: Duration,
    down_since: Option<Instant>,
    told: (Phase, Option<String>),
    told_at: Option<Instant>,
}

impl Watch {
    fn new(patience: Duration) -> Self {
        Self { patience, down_since: None, told: (Phase::Direct, None), told_at: None }
    }

    fn look(&mut self, spool: &Spool) {
        match spool.broker.health() {
            // Later pushes need not wait for a failure that is already known.
            Health::Down(_) if self.down_since.get_or_insert_with(Instant::now).elapsed() >= self.patience => {
                spool.state.set_away(true);
            }
            Health::Down(_) => {}
            _ => {
                self.down_since = None;
                spool.state.set_back_if_empty(self.patience);
            }
        }
        spool.state.look_at_the_file();
        let figures = spool.state.figures();
        let phase = Phase::of(&figures);
        let oldest_ms = figures.oldest_ms.map_or(0, |oldest_ms| now_ms().saturating_sub(oldest_ms));
        metric::show(phase, figures.waiting, figures.bytes, oldest_ms as f64 / 1_000.0);
        self.tell(phase, &figures);
    }

    fn tell(&mut self, phase: Phase, figures: &Figures) {
        let now = (phase, figures.trouble.clone());
        let due = self.told_at.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if now == self.told || !due {
            return;
        }
        let Figures { waiting: messages, bytes, .. } = *figures;
        match phase {
            Phase::Unusable => {
                let error = figures.trouble.as_deref().unwrap_or("it is not open");
                tracing::error!(error, "the spool cannot be used: a push that the broker does not take is refused");
            }
            Phase::Spooling => tracing::warn!(messages, bytes, "the broker takes nothing: pushes go to the spool"),
            Phase::Relaying => tracing::info!(messages, bytes, "the broker is back: it gets the messages of the spool"),
            Phase::Direct => tracing::info!("the spool is empty: pushes go to the broker"),
        }
        self.told = now;
        self.told_at = Some(Instant::now());
    }
}
