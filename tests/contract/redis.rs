//! What the store on Redis promises beyond the seams: how it fails, how it comes back, what an operator finds in it.

mod failover;
mod layout;
mod outage;
mod server;
