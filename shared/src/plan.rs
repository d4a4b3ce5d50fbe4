//! The plan of one message: the replies decided for it.

use serde::{Deserialize, Serialize};

use crate::reply::Reply;

/// The replies decided for one message, in the order in which they are sent. It is stored in the ledger before the
/// first is sent, so that whoever goes on after a crash sends the same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One step a reply. Empty when no rule matched: the message is ignored.
    pub steps: Vec<Reply>,
}
