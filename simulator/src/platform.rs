//! Everything that the simulated WeChat knows, behind one lock.

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::config::{Limits, SimulatedAccount, SimulatorConfig};
use crate::faults::{FaultKind, FaultRequest, Faults};
use crate::journal::{Event, Log};
use crate::media::Media;
use crate::simulator::RequestError;
use crate::tokens::Tokens;
use crate::users::Users;

/// The state. One lock around all of it makes a fault exact in its count, and the journal's order the true one.
pub(crate) struct Platform {
    pub(crate) accounts: BTreeMap<String, SimulatedAccount>,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) tokens: Tokens,
    pub(crate) users: Users,
    pub(crate) media: Media,
    pub(crate) faults: Faults,
    pub(crate) journal: Log,
}

impl Platform {
    pub(crate) fn new(config: SimulatorConfig) -> Self {
        Self {
            accounts: config.accounts.into_iter().map(|account| (account.appid.clone(), account)).collect(),
            limits: config.limits,
            clock: config.clock,
            tokens: Tokens::default(),
            users: Users::default(),
            media: Media::default(),
            faults: Faults::default(),
            journal: Log::default(),
        }
    }

    pub(crate) fn account(&self, appid: &str) -> Result<&SimulatedAccount, RequestError> {
        self.accounts.get(appid).ok_or_else(|| RequestError::UnknownAccount(appid.to_owned()))
    }

    /// Writes an entry down, now.
    pub(crate) fn record(&mut self, account: Option<String>, user: Option<String>, event: Event) {
        self.journal.append(self.clock.now_ms(), account, user, event, self.limits.journal_entries);
    }

    /// Orders a fault, or does it at once if it is of that kind.
    pub(crate) fn order(&mut self, fault: FaultRequest) -> Result<u64, RequestError> {
        fault.check().map_err(RequestError::Invalid)?;
        if let Some(account) = &fault.account {
            self.account(account)?;
            let now_ms = self.clock.now_ms();
            match fault.kind {
                FaultKind::ExpireToken => self.tokens.expire(account, now_ms),
                FaultKind::InvalidateToken => self.tokens.invalidate(account, now_ms),
                _ => {}
            }
        }
        Ok(self.faults.add(fault))
    }
}
