//! All of kefu with a simulated WeChat: what is pushed, and what the user gets.

mod faults;
mod main_path;
mod media;
mod refusals;
mod round_trips;
mod texts;
mod tokens;
mod transfers;
mod windows;
