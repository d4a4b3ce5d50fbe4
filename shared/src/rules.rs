//! Rules: what to do with which push.

pub mod reply;
