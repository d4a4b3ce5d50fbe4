//! The turns of users: the order of a user's messages on their way to the queue.
//!
//! Many messages of a partition are published at the same time, and the fate of each is its own. Two messages of one user
//! must not be: if the queue refused the first and stored the second, the repetition of the first would come behind the
//! second.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use kefu_messages::envelope::Envelope;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many turns there are. Users who share a turn wait for each other. There are four times as many turns as one
/// connection has messages under way.
const TURNS: usize = 4_096;

/// The turns of all users, for one way to the queue.
pub struct Turns(Vec<Arc<Mutex<()>>>);

/// The right to publish a message before all later messages of its user. Clones share the right, and the next message of
/// the user gets it when the last clone is dropped.
#[derive(Clone)]
pub struct Turn {
    _held: Option<Arc<OwnedMutexGuard<()>>>,
}

impl Turns {
    /// All turns, free.
    pub fn new() -> Self {
        Self((0..TURNS).map(|_| Arc::default()).collect())
    }

    /// Waits for the turn of the envelope's user, in the order of the calls.
    pub async fn take(&self, envelope: &Envelope) -> Turn {
        let mut hasher = DefaultHasher::new();
        match &envelope.unreadable {
            None => (&envelope.account, envelope.push.from_user.as_str()).hash(&mut hasher),
            // Its user is unknown.
            Some(_) => envelope.key.hash(&mut hasher),
        }
        let turn = self.0[hasher.finish() as usize % TURNS].clone();
        Turn { _held: Some(Arc::new(turn.lock_owned().await)) }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self::new()
    }
}

impl Turn {
    /// The turn of a message that may overtake others and be overtaken.
    pub fn unordered() -> Self {
        Self { _held: None }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use kefu_messages::testing::envelope;

    use super::*;

    fn is_ready(future: impl Future) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn the_next_message_of_a_user_waits_for_the_last_clone_and_other_users_do_not_wait() {
        let turns = Turns::new();
        let turn = turns.take(&envelope("oAnna", 1)).await;
        let other = turn.clone();
        assert!(is_ready(turns.take(&envelope("oBert", 1))));
        drop(turn);
        assert!(!is_ready(turns.take(&envelope("oAnna", 2))));
        drop(other);
        assert!(is_ready(turns.take(&envelope("oAnna", 2))));
    }
}
