//! WeChat's push protocol as pure functions: no I/O, no clock, no configuration.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.
//!
//! * [`signature`] and [`cipher`]: whether a push comes from WeChat, and the push in clear.
//! * [`push`]: the push itself, from XML or JSON; [`json`] mends JSON from other programs; [`openid`]: the user who sent
//!   the push.
//! * [`passive_reply`] and [`event_answer`]: the answer to WeChat.

pub mod cipher;
pub mod event_answer;
pub mod json;
pub mod openid;
pub mod passive_reply;
pub mod push;
pub mod signature;
