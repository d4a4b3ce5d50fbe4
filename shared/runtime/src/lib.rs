//! What every long-running program needs, whatever it is for. It knows nothing of kefu.
//!
//! * [`lifecycle`]: the start and the stop of a program; [`health`]: can a part of it do its work right now.
//! * [`clock`]: the time; [`disk`]: files on a disk that may hang; [`gate`]: how many
//!   calls that may hang are under way at once; [`http_client`]: what all HTTP clients have in common.
//! * [`in_words`]: an error with its causes, for people.

pub mod clock;
pub mod disk;
pub mod gate;
pub mod health;
pub mod http_client;
mod in_words;
pub mod lifecycle;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use in_words::in_words;
