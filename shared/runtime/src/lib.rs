//! The needs of every long-running program, whatever the program does. This crate knows nothing of kefu.
//!
//! * [`lifecycle`]: the start and the stop of a program; [`health`]: whether a part of the program works at present;
//!   [`standing`]: whether a part works as its latest calls show, and which changes the log should tell.
//! * [`clock`]: the time; [`disk`]: files on a disk that may hang; [`gate`]: how many calls that may hang are under way at
//!   once; [`http_client`]: the common parts of all HTTP clients.
//! * [`Class`], [`Cause`]: what a caller can do about an error, and what caused it; [`in_words()`]: an error with its
//!   causes, for people.

pub mod clock;
pub mod cores;
pub mod disk;
mod error;
pub mod gate;
pub mod health;
pub mod http_client;
pub mod lifecycle;
pub mod standing;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::{Cause, Class, in_words};
