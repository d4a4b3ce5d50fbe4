//! The properties that hold for any bytes at all.

pub mod wechat;
