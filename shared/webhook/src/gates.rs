//! Gates: each endpoint gives out a fixed number of permits, one for each call that is under way at once.

use std::collections::HashMap;
use std::time::Duration;

use kefu_messages::rules::Endpoint;
use kefu_runtime::gate::{Gate, Permit};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Above this number of endpoints the unused ones are forgotten: rules that are read again may bring ever new ones.
const MANY: usize = 64;

/// The gates of all endpoints. Each endpoint has its own gate, so that an endpoint that hangs holds up no calls of others.
pub(super) struct Gates {
    /// How many calls of each endpoint are under way at once.
    most: usize,
    gates: Mutex<HashMap<Endpoint, Gate>>,
}

impl Gates {
    /// `most`: how many calls of each endpoint are under way at once.
    pub(super) fn new(most: usize) -> Self {
        Self { most, gates: Mutex::default() }
    }

    /// Waits for a permit, for `within` at most; `None` if no permit came free.
    pub(super) async fn take(&self, endpoint: &Endpoint, within: Duration) -> Option<Permit> {
        let gate = self.gate(endpoint);
        gate.enter(Instant::now() + within).await
    }

    fn gate(&self, endpoint: &Endpoint) -> Gate {
        let mut gates = self.gates.lock();
        if let Some(gate) = gates.get(endpoint) {
            return gate.clone();
        }
        if gates.len() >= MANY {
            gates.retain(|_, gate| !gate.is_unused());
        }
        let gate = Gate::new(self.most);
        gates.insert(endpoint.clone(), gate.clone());
        gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const LONG: Duration = Duration::from_secs(5);

    fn endpoint(url: &str) -> Endpoint {
        Endpoint { url: reqwest::Url::parse(url).unwrap(), timeout: None, sync: false, media: false }
    }

    #[tokio::test]
    async fn each_endpoint_has_its_own_permits() {
        let gates = Gates::new(1);
        let (hangs, other) = (endpoint("http://shop.example/a"), endpoint("http://shop.example/b"));
        let turn = gates.take(&hangs, LONG).now_or_never().flatten();
        assert!(turn.is_some());
        assert!(gates.take(&other, LONG).now_or_never().flatten().is_some(), "another path is another endpoint");
        assert!(gates.take(&hangs, LONG).now_or_never().is_none(), "there is one turn");
        drop(turn);
        assert!(gates.take(&hangs, LONG).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn endpoints_that_nobody_asks_are_forgotten() {
        let gates = Gates::new(1);
        let _asked = gates.take(&endpoint("http://shop.example/asked"), LONG).await;
        for number in 0..1_000 {
            drop(gates.take(&endpoint(&format!("http://shop.example/{number}")), LONG).await);
        }
        let gates = gates.gates.lock();
        assert!(gates.len() <= MANY && gates.contains_key(&endpoint("http://shop.example/asked")));
    }
}
