//! WeChat's push protocol as pure functions: no I/O, no clock, no configuration.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.
//!
//! * [`signature`] and [`cipher`]: is a push WeChat's, and what does it say in clear.
//! * [`push`]: the push itself, from XML or JSON; [`json`] mends what others wrote; [`openid`]: the user who sent it.
//! * [`passive_reply`] and [`event_answer`]: what WeChat gets back.

pub mod cipher;
pub mod event_answer;
pub mod json;
pub mod openid;
pub mod passive_reply;
pub mod push;
pub mod signature;
