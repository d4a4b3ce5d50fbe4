//! One attempt at one message.

pub(crate) mod backoff;
