//! Room in memory for pictures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kefu_program::config::Accounts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many pictures of the largest size the memory has room for.
const AT_ONCE: usize = 4;

/// How many of these pictures one account may have, if other accounts exist. An account whose webhook hangs must not
/// keep the others waiting.
const OF_ONE_ACCOUNT: usize = AT_ONCE / 2;

/// How long a message waits for room. A waiting message keeps its delivery, and the queue hands out no more deliveries
/// when too many messages wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// All of the room, in KiB.
pub(super) struct Rooms {
    of_one: u32,
    all: Arc<Semaphore>,
    by_account: BTreeMap<String, Arc<Semaphore>>,
}

/// Room for one picture. Dropping the room gives it back.
pub(crate) struct Room([OwnedSemaphorePermit; 2]);

impl Rooms {
    pub(super) fn new(accounts: &Accounts, max_bytes: usize) -> Self {
        let (of_one, count) = (kibibytes(max_bytes), accounts.iter().count());
        let share = of_one as usize * if count > 1 { OF_ONE_ACCOUNT } else { AT_ONCE };
        let by_account = accounts.iter().map(|account| (account.appid.clone(), Arc::new(Semaphore::new(share))));
        Self { of_one, all: Arc::new(Semaphore::new(of_one as usize * AT_ONCE)), by_account: by_account.collect() }
    }

    /// Room for a picture of the largest size; `None` when no room becomes free in time.
    pub(super) async fn take(&self, appid: &str) -> Option<Room> {
        let account = Arc::clone(self.by_account.get(appid)?);
        let taken = async {
            let account = account.acquire_many_owned(self.of_one).await.ok()?;
            Some(Room([account, Arc::clone(&self.all).acquire_many_owned(self.of_one).await.ok()?]))
        };
        tokio::time::timeout(PATIENCE, taken).await.ok().flatten()
    }
}

impl Room {
    /// Gives back the room that a picture of `bytes` does not need.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        for permit in &mut self.0 {
            let spare = permit.num_permits().saturating_sub(kibibytes(bytes) as usize);
            drop(permit.split(spare));
        }
    }
}

fn kibibytes(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    #[tokio::test(start_paused = true)]
    async fn an_account_that_keeps_its_room_leaves_room_for_others_and_its_own_wait_ends() {
        let (config, _folder) = config("");
        let rooms = Rooms::new(&config.accounts, 1_000_000);
        let mut kept = Vec::new();
        for _ in 0..OF_ONE_ACCOUNT {
            kept.push(rooms.take("wx1").await.unwrap());
        }
        assert!(rooms.take("wx1").await.is_none());
        let of_another = rooms.take("wx2").await;
        assert!(of_another.is_some());
        kept[0].shrink_to(10);
        assert!(rooms.take("wx1").await.is_none(), "what is left is less than the largest picture");
        kept[1].shrink_to(10);
        assert!(rooms.take("wx1").await.is_some());
    }
}
