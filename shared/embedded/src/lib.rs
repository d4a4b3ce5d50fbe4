//! Both seams in one database file, for a deployment of one process.
//!
//! * [`Database`]: the file, with one writer thread.
//! * [`queue`] and [`store`]: the seams of the same names, on the file.

mod database;
pub mod queue;
pub mod store;

pub(crate) use database::millis;
#[cfg(any(test, feature = "testing"))]
pub use database::testing;
pub use database::{Database, DatabaseError, FILE_NAME, MAX_BATCH};
