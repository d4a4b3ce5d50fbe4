//! The seam to the record of users' windows.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;
use kefu_messages::window::{Opening, Refused, Window};

use super::StoreError;

/// The record of users' windows, by account and user: a guard, shared by all workers, see [`kefu_messages::window`].
///
/// The caller gives the times, so the clocks of ingresses and workers matter, as far as windows are hours long. Each entry
/// is kept for `keep_for` from its last change; a lost entry only costs calls.
#[async_trait]
pub trait Windows: Send + Sync {
    /// The record of the user's window; empty when there is no entry.
    async fn get(&self, user: &SessionKey) -> Result<Window, StoreError>;
    /// Does as [`Window::open`], and returns the record after that.
    async fn open(
        &self,
        user: &SessionKey,
        opening: Opening,
        by: &MessageKey,
        at_ms: u64,
        keep_for: Duration,
    ) -> Result<Window, StoreError>;
    /// [`Window::count`]. Does nothing when there is no entry.
    async fn count(
        &self,
        user: &SessionKey,
        seen: &Window,
        by: &MessageKey,
        step: u32,
        keep_for: Duration,
    ) -> Result<(), StoreError>;
    /// [`Window::refuse`].
    async fn refuse(
        &self,
        user: &SessionKey,
        seen: &Window,
        refused: Refused,
        keep_for: Duration,
    ) -> Result<(), StoreError>;
    /// [`Window::transfer`].
    async fn transfer(&self, user: &SessionKey, until_ms: u64, keep_for: Duration) -> Result<(), StoreError>;
    /// Forgets the record, even if the record cannot be read.
    async fn forget(&self, user: &SessionKey) -> Result<(), StoreError>;
}
