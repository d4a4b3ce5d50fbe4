//! The worker's seat, which decides its share of the partitions.

/// The number of a worker among the running workers, from 0 on.
pub type Seat = u16;
