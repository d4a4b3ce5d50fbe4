//! Rules that are replaced while programs run.

use std::sync::Arc;

use kefu_runtime::health::Health;
use parking_lot::RwLock;

use super::Rules;

/// The rules in force. Clones share the rules.
#[derive(Debug, Clone, Default)]
pub struct LiveRules(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    current: Arc<Rules>,
    refused: Option<String>,
}

impl LiveRules {
    /// The rules in force now; their earlier decisions stay.
    pub fn current(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read().current)
    }

    /// Puts new rules in force, from the next push or message on.
    pub fn replace(&self, rules: impl Into<Arc<Rules>>) {
        *self.0.write() = State { current: rules.into(), refused: None };
    }

    /// Notes that the configuration's present rules are refused, with the reason; the rules in force stay.
    pub fn refuse(&self, why: String) {
        self.0.write().refused = Some(why);
    }

    /// Degraded while the configuration has other rules, which are refused.
    pub fn health(&self) -> Health {
        let refused = self.0.read().refused.clone();
        refused.map_or(Health::Up, Health::Degraded)
    }
}

impl From<Rules> for LiveRules {
    fn from(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(State { current: Arc::new(rules), refused: None })))
    }
}
