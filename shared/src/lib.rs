//! What kefu's two services stand on, and nothing else.
//!
//! * [`wechat`]: WeChat's push protocol as pure functions.
//! * [`envelope`]: the contract between ingress and worker; [`message_key`], [`openid`], [`partition`] and [`session`]:
//!   whose message it is, and where it goes.
//! * [`outbound`]: what a team's own backend sends through kefu; [`unreadable`]: pushes that cannot be read.
//! * [`store`] and [`queue`]: the seams to state and to the queue, each with a production and an embedded
//!   implementation; [`backend`] opens the pair that a configuration names, [`embedded`] is the file under both embedded
//!   ones, [`spool`] what ingress has beside a broker.
//! * [`rules`] and [`reply`]: which push gets which replies; [`plan`]: those of one message; [`webhook`]: the team's own
//!   service, which is asked; [`window`]: how many WeChat takes.
//! * [`program`]: the frame that every program runs in.
//! * [`config`], [`reload`], [`telemetry`], [`lifecycle`], [`health`], [`internal`], [`clock`], [`disk`],
//!   [`http_client`]: what makes a program of it. [`json`]: reads what others wrote.

pub mod backend;
pub mod config;
pub mod internal;
pub mod program;
pub mod reload;
pub mod telemetry;
