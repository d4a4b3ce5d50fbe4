//! The users' windows in memory.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;
use kefu_messages::window::{Opening, Refused, Window};

use super::MemoryStore;
use crate::{StoreError, Windows};

impl MemoryStore {
    /// Applies `change` to the user's record; an empty record is not stored.
    fn change_window(
        &self,
        user: &SessionKey,
        keep_for: Duration,
        change: impl FnOnce(&mut Window),
    ) -> Result<Window, StoreError> {
        self.up()?;
        Ok(self.windows.change(user, |window| {
            let mut window = window.unwrap_or_default();
            change(&mut window);
            (Some(window.clone()).filter(|window| *window != Window::default()), Some(keep_for), window)
        }))
    }
}

#[async_trait]
impl Windows for MemoryStore {
    async fn get(&self, user: &SessionKey) -> Result<Window, StoreError> {
        self.up()?;
        Ok(self.windows.get(user).unwrap_or_default())
    }

    async fn open(
        &self,
        user: &SessionKey,
        opening: Opening,
        by: &MessageKey,
        at_ms: u64,
        keep_for: Duration,
    ) -> Result<Window, StoreError> {
        self.change_window(user, keep_for, |window| window.open(opening, by, at_ms))
    }

    async fn count(
        &self,
        user: &SessionKey,
        seen: &Window,
        by: &MessageKey,
        step: u32,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        self.change_window(user, keep_for, |window| window.count(seen, by, step)).map(drop)
    }

    async fn refuse(
        &self,
        user: &SessionKey,
        seen: &Window,
        refused: Refused,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        self.change_window(user, keep_for, |window| window.refuse(seen, refused)).map(drop)
    }

    async fn transfer(&self, user: &SessionKey, until_ms: u64, keep_for: Duration) -> Result<(), StoreError> {
        self.change_window(user, keep_for, |window| window.transfer(until_ms)).map(drop)
    }

    async fn forget(&self, user: &SessionKey) -> Result<(), StoreError> {
        self.up()?;
        self.windows.change(user, |_| (None, None, ()));
        Ok(())
    }
}
