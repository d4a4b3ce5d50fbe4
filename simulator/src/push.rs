//! One push as WeChat would send it: pure functions, without clock, chance or network.

use kefu_shared::wechat::push::Format;

use crate::config::{Mode, SimulatedAccount};
use crate::message::{Message, MsgId};

/// What one push says.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// `FromUserName`.
    pub user: String,
    /// `CreateTime`, in seconds since the Unix epoch.
    pub create_time: i64,
    /// `MsgId`.
    pub msg_id: Option<MsgId>,
    /// What the user does.
    pub message: Message,
}

/// An HTTP POST, ready but for the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The query parameters in WeChat's order, not yet percent-encoded.
    pub query: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// Its Content-Type.
    pub content_type: &'static str,
}

/// Why a push cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Compat and safe mode encrypt.
    #[error("compat and safe mode need an EncodingAESKey, and the account has none")]
    NoKey,
    /// The EncodingAESKey is none.
    #[error(transparent)]
    Key(#[from] kefu_shared::wechat::cipher::KeyError),
}

/// Signs and, where `mode` asks for it, encrypts a push. `random` must be fresh for each.
///
/// # Errors
/// If the mode needs a key and the account has no usable one.
pub fn build_request(
    _account: &SimulatedAccount,
    _push: &Push,
    _format: Format,
    _mode: Mode,
    _timestamp: i64,
    _nonce: &str,
    _random: [u8; 16],
) -> Result<SignedRequest, BuildError> {
    todo!()
}

impl SignedRequest {
    /// The callback URL with the query parameters added, percent-encoded.
    pub fn url(&self, _callback_url: &str) -> String {
        todo!()
    }
}
