//! The contracts of the seams, over every implementation of each.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod clock;
mod queue;
mod redis;
mod store;
