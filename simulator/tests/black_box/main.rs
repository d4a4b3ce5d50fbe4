//! The simulator over HTTP, as its users see it.
#![allow(clippy::unwrap_used)]

mod api;
mod bench;
mod callback;
mod control;
mod faults;
mod hanging_up;
mod media;
mod push;
