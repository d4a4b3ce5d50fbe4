//! A simulated WeChat, for demonstrations and tests.
//!
//! The simulator has WeChat's two sides. The API side answers `token`, `stable_token`, `custom/send`, `typing`,
//! `media/upload` and `media/get` as WeChat does, errors and reply windows included. The pushing side signs, encrypts
//! and posts the messages of simulated users, waits 5 seconds for each answer and tries three times. A test orders
//! faults over HTTP, a journal records everything that happens, and a chat page lets a person play the user.
//! `README.md` beside this crate lists the HTTP routes.
//!
//! ```no_run
//! # async fn example(account: kefu_simulator::SimulatedAccount) -> Result<(), Box<dyn std::error::Error>> {
//! use kefu_simulator::{Message, PushRequest, Simulator, SimulatorConfig};
//!
//! let simulator = Simulator::start(SimulatorConfig::new(vec![account])).await?;
//! let report = simulator.push(PushRequest::new("wx0123456789abcdef", "oUser", Message::text("你好"))).await?;
//! assert!(report.answered);
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod api;
pub mod clock;
pub mod config;
mod control;
pub mod faults;
pub mod journal;
pub mod message;
mod push;
mod simulator;
mod start_error;
mod state;

pub use clock::Clock;
pub use config::{Limits, Mode, SimulatedAccount, SimulatorConfig};
pub use faults::{FaultKind, FaultRequest};
pub use journal::{ApiCall, Entry, Event, Filter};
pub use message::{Message, MsgId};
pub use push::answer::{Verdict, judge};
pub use push::report::{Outcome, PushCopy, PushReport, PushRequest, Transfer, Try, VerifyReport};
pub use push::request::{BuildError, Cdata, Push, SignedRequest};
pub use simulator::Simulator;
pub use start_error::StartError;
pub use state::{RequestError, State};
