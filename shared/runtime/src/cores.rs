//! How many threads a program has for its work.

use std::thread::available_parallelism;

/// The processor's cores that this process may use, at least 1.
pub fn all() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Half of the cores, at least 1: what a program should use where other programs or threads work on the same messages. With
/// more threads than that, they wake each other up more often than they do something.
pub fn half() -> usize {
    all().div_ceil(2)
}
