//! The record of users' windows.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;
use kefu_messages::window::{Opening, Refused, Window};

use super::shelf::Shelf;
use super::{EmbeddedStore, StoreError};
use crate::database::Table;
use crate::millis;
use kefu_store::Windows;

const WINDOWS: Shelf<Window> = Shelf::new(Table::WINDOWS);

impl EmbeddedStore {
    /// Applies `change` to the user's record; an empty record is not stored.
    async fn change_window<F>(&self, user: &SessionKey, keep_for: Duration, change: F) -> Result<Window, StoreError>
    where
        F: FnOnce(&mut Window) + Send + 'static,
    {
        let user = user.as_str().to_owned();
        let work = move |transaction: &_, now_ms: u64| {
            let mut window = WINDOWS.get(transaction, &user, now_ms)?.map(|(window, _)| window).unwrap_or_default();
            change(&mut window);
            if window != Window::default() {
                WINDOWS.put(transaction, &user, &window, now_ms.saturating_add(millis(keep_for)))?;
            }
            Ok(window)
        };
        self.change_soon(work)
    }
}

#[async_trait]
impl Windows for EmbeddedStore {
    async fn get(&self, user: &SessionKey) -> Result<Window, StoreError> {
        let user = user.as_str().to_owned();
        let work = move |transaction: &_, now_ms| {
            Ok(WINDOWS.get(transaction, &user, now_ms)?.map(|(window, _)| window).unwrap_or_default())
        };
        self.read(work).await
    }

    async fn open(
        &self,
        user: &SessionKey,
        opening: Opening,
        by: &MessageKey,
        at_ms: u64,
        keep_for: Duration,
    ) -> Result<Window, StoreError> {
        let by = by.clone();
        self.change_window(user, keep_for, move |window| window.open(opening, &by, at_ms)).await
    }

    async fn count(
        &self,
        user: &SessionKey,
        seen: &Window,
        by: &MessageKey,
        step: u32,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        let (seen, by) = (seen.clone(), by.clone());
        self.change_window(user, keep_for, move |window| window.count(&seen, &by, step)).await.map(drop)
    }

    async fn refuse(
        &self,
        user: &SessionKey,
        seen: &Window,
        refused: Refused,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        let seen = seen.clone();
        self.change_window(user, keep_for, move |window| window.refuse(&seen, refused)).await.map(drop)
    }

    async fn transfer(&self, user: &SessionKey, until_ms: u64, keep_for: Duration) -> Result<(), StoreError> {
        self.change_window(user, keep_for, move |window| window.transfer(until_ms)).await.map(drop)
    }

    async fn forget(&self, user: &SessionKey) -> Result<(), StoreError> {
        let user = user.as_str().to_owned();
        self.change_soon(move |transaction, _| WINDOWS.remove(transaction, &user))
    }
}
