//! The messages between kefu's two services, and the settings that decide about them.
//!
//! * [`envelope`]: the message on its way from ingress to a worker: a push, a message of a team's own backend
//!   ([`outbound`]), or a push that cannot be read ([`unreadable`]).
//! * [`message_key`], [`session`] and [`partition`]: the identity of a message, its user and account, and its queue.
//! * [`rules`] and [`reply`]: which push gets which replies; [`plan`]: the replies to one message; [`window`]: how many
//!   replies WeChat takes.
//! * [`problems`]: the mistakes in a configuration.

pub mod envelope;
pub mod message_key;
pub mod outbound;
pub mod partition;
pub mod plan;
pub mod problems;
pub mod reply;
pub mod rules;
pub mod session;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod unreadable;
pub mod window;
