//! Processes and servers that die under load, and what becomes of every push.
//!
//! Nearly each test is a [`trial::Trial`]: users who write without a pause through the simulated WeChat, which re-sends as WeChat
//! does, while the test breaks something. At its end everything that was answered `success` must have been replied to,
//! every step once and in the order in which the user wrote ([`audit`]).
//!
//! Those of [`publishing`] push thousands of messages at once instead, and look at the queues.
//!
//! `tests/run` goes through a few rounds of each, `tests/run --faults` through all of them ([`rounds`]).

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod audit;
mod crashes;
mod handover;
mod outages;
mod outcomes;
mod publishing;
mod rounds;
mod shutdowns;
mod spool;
mod tokens;
mod trial;
mod workers;
mod writer;
