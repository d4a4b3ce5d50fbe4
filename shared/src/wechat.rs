//! WeChat's push protocol, as pure functions: no I/O, no clock, no configuration.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

pub mod cipher;
pub mod event_answer;
pub mod passive_reply;
pub mod push;
pub mod signature;
