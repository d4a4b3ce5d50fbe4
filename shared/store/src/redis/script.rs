//! Lua scripts, which the server runs by their digest.

use redis::{Cmd, ToRedisArgs, cmd};

/// A script on one key.
pub(super) struct Script {
    code: &'static str,
    digest: String,
}

/// A script with its key and its arguments.
pub(super) struct Invocation {
    pub(super) code: &'static str,
    pub(super) command: Cmd,
}

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        Self { code, digest: redis::Script::new(code).get_hash().to_owned() }
    }

    /// Begins an invocation on `key`. All arguments follow it.
    pub(super) fn key(&self, key: impl ToRedisArgs) -> Invocation {
        let mut command = cmd("EVALSHA");
        command.arg(&self.digest).arg(1).arg(key);
        Invocation { code: self.code, command }
    }
}

impl Invocation {
    pub(super) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        self.command.arg(argument);
        self
    }
}
