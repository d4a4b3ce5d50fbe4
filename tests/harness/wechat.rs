//! WeChat's side of the protocol, written from its documentation and from known answers alone.
//!
//! None of this uses a crate of `shared/`. Sources: WeChat's page on message push
//! (<https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>) and the vectors in
//! `tests/vectors.json`.

mod account;
mod answer;
pub mod cipher;
mod client;
mod kinds;
mod message;
mod push;
mod signature;
pub mod vectors;

pub use account::{Account, Mode};
pub use answer::{Answer, OpenError, field};
pub use client::Client;
pub use kinds::kinds;
pub use message::{Format, Message, Value};
pub use push::PushRequest;
pub use signature::signature;
