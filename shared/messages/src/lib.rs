//! What kefu's two services say to each other, and what they decide it by.
//!
//! * [`envelope`]: the message on its way from ingress to a worker: a push, what a team's own backend sends ([`outbound`]), or
//!   a push that cannot be read ([`unreadable`]).
//! * [`message_key`], [`session`] and [`partition`]: which message it is, whose, and where it goes; [`seat`]: which worker.
//! * [`rules`] and [`reply`]: which push gets which replies; [`plan`]: the replies to one message; [`window`]: how many replies
//!   WeChat takes.
//! * [`problems`] and [`keys`]: what is wrong with a configuration, and what can be in it.

pub mod envelope;
pub mod keys;
pub mod message_key;
pub mod outbound;
pub mod partition;
pub mod plan;
pub mod problems;
pub mod reply;
pub mod rules;
pub mod seat;
pub mod session;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod unreadable;
pub mod window;
