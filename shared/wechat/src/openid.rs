//! A user's openid. No log may contain the whole openid.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The openid of a user (`FromUserName` of a push).
///
/// `Debug` and `Display` mask the openid, so that no log line names a person. [`OpenId::as_str`] returns the whole value,
/// and is only for WeChat's API, the store and the queue.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenId(String);

impl OpenId {
    /// Takes the value as WeChat sent it.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The whole openid.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OpenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.chars().count();
        if count < 12 {
            return f.write_str("…");
        }
        let first: String = self.0.chars().take(3).collect();
        let last: String = self.0.chars().skip(count - 3).collect();
        write!(f, "{first}…{last}")
    }
}

impl fmt::Debug for OpenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_shows_the_whole_openid() {
        let openid = OpenId::new("o9AgO5Kd5ggOC-bXrbNODIiE3bGY");
        assert_eq!(openid.to_string(), "o9A…bGY");
        assert!(!format!("{openid:?}").contains("gOC-bXrb"));
        assert_eq!(OpenId::new("short").to_string(), "…");
    }
}
