//! The allocator of every program that has this crate.

use mimalloc::MiMalloc;

/// Most of what a push allocates is freed on another thread, which costs glibc's allocator a lock.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
