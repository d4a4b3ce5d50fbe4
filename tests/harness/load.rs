//! A load: users of a simulated WeChat who write in turn, at a rate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kefu_simulator::{Message, Outcome, PushRequest, State};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The time after the planned end from which no further push is sent.
const GRACE: Duration = Duration::from_secs(60);

/// The order for a load.
#[derive(Debug, Clone)]
pub struct Load {
    /// The appid.
    pub account: String,
    /// How many users write in turn. The next push of a user waits until the former push is answered or given up.
    pub users: u32,
    /// How many pushes the users send in all.
    pub pushes: u32,
    /// How many pushes the users send a second.
    pub per_second: f64,
    /// The start of the users' openids; their number follows, from 0.
    pub user_prefix: String,
}

/// The outcome of a load. Times are in milliseconds.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// How many pushes the simulator sent.
    pub pushes: u32,
    /// How many pushes got a good answer in the end.
    pub answered: u32,
    /// How many pushes got no good answer after all their tries.
    pub failed: u32,
    /// How many pushes the simulator did not send because the whole load took too long.
    pub unsent: u32,
    /// How many requests the pushes took.
    pub tries: u32,
    /// How often each outcome occurred, over all tries.
    pub outcomes: BTreeMap<Outcome, u32>,
    /// Pushes with a good answer, a second.
    pub per_second: f64,
    /// The median time from a push's first request to its good answer: half of the pushes with a good answer are
    /// faster.
    pub p50_ms: f64,
    /// The time that 99 of 100 pushes with a good answer stay below.
    pub p99_ms: f64,
    /// The time of the slowest push with a good answer.
    pub max_ms: f64,
}

/// The counts of one user's pushes, or of all pushes.
#[derive(Default)]
struct Tally {
    answered_ms: Vec<f64>,
    failed: u32,
    unsent: u32,
    outcomes: BTreeMap<Outcome, u32>,
}

impl Load {
    /// Sends all pushes, each user's in order: `load 1`, `load 2`, ….
    ///
    /// # Panics
    /// When the simulator refuses a push, for example because it does not know the account.
    pub async fn run(self, simulator: &Arc<State>) -> LoadReport {
        let (load, started) = (Arc::new(self), Instant::now());
        let mut users = JoinSet::new();
        for user in 0..load.users.min(load.pushes) {
            let (load, simulator) = (Arc::clone(&load), Arc::clone(simulator));
            // A push from the simulator's own thread for pushes changes no thread on its way.
            let thread = simulator.push_thread().clone();
            users.spawn_on(async move { load.write_as(user, &simulator, started).await }, &thread);
        }
        let mut total = Tally::default();
        while let Some(tally) = users.join_next().await {
            total.add(tally.expect("a user's writing does not fail"));
        }
        total.report(load.pushes, started.elapsed())
    }

    /// Sends a push for one user whenever the user's turn comes.
    async fn write_as(&self, user: u32, simulator: &Arc<State>, started: Instant) -> Tally {
        let openid = format!("{}{user}", self.user_prefix);
        let after = |pushes: u32| Duration::from_secs_f64(f64::from(pushes) / self.per_second);
        let mut tally = Tally::default();
        for (turn, number) in (user..self.pushes).step_by(self.users as usize).enumerate() {
            tokio::time::sleep_until(started + after(number)).await;
            if started.elapsed() > after(self.pushes) + GRACE {
                tally.unsent += 1;
                continue;
            }
            let message = Message::text(format!("load {}", turn + 1));
            let request = PushRequest::new(&self.account, &openid, message);
            let left = Instant::now();
            let report = simulator.push(request).await.expect("the simulator takes the push");
            match report.answered {
                true => tally.answered_ms.push(left.elapsed().as_secs_f64() * 1_000.0),
                false => tally.failed += 1,
            }
            for attempt in report.copies.iter().flat_map(|copy| &copy.tries) {
                *tally.outcomes.entry(attempt.outcome).or_default() += 1;
            }
        }
        tally
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.answered_ms.extend(other.answered_ms);
        self.failed += other.failed;
        self.unsent += other.unsent;
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
    }

    fn report(mut self, pushes: u32, elapsed: Duration) -> LoadReport {
        self.answered_ms.sort_by(f64::total_cmp);
        let answered = self.answered_ms.len();
        LoadReport {
            pushes: pushes - self.unsent,
            answered: answered as u32,
            failed: self.failed,
            unsent: self.unsent,
            tries: self.outcomes.values().sum(),
            outcomes: self.outcomes,
            per_second: answered as f64 / elapsed.as_secs_f64().max(f64::EPSILON),
            p50_ms: quantile(&self.answered_ms, 50),
            p99_ms: quantile(&self.answered_ms, 99),
            max_ms: self.answered_ms.last().copied().unwrap_or(0.0),
        }
    }
}

/// The smallest value that `percent` of all values do not exceed; 0 when there are no values.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicBool, Ordering};

    use kefu_simulator::{Filter, Simulator, SimulatorConfig};
    use kefu_wechat::push::{Content, Push};

    use super::*;
    use crate::shop::simulated;
    use crate::stand_in::{Does, StandIn};
    use crate::wechat::{Account, Mode};

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((quantile(&sorted, 50), quantile(&sorted, 99)), (100.0, 198.0));
        assert_eq!((quantile(&[7.0], 50), quantile(&[7.0], 99), quantile(&[], 50)), (7.0, 7.0, 0.0));
    }

    #[tokio::test]
    async fn a_load_keeps_every_user_in_order_and_counts_everything() {
        let refused = AtomicBool::new(false);
        let callback = StandIn::start(move |_| match refused.swap(true, Ordering::Relaxed) {
            false => Does::answer(200, "no"),
            true => Does::answer(200, "success"),
        });
        let callback = callback.await;
        let mut account = simulated(&Account::random(Mode::Plain));
        account.callback_url = Some(callback.url("/push/wx"));
        let load = Load {
            account: account.appid.clone(),
            users: 7,
            pushes: 100,
            per_second: 2_000.0,
            user_prefix: "oLoad".to_owned(),
        };
        let simulator = Simulator::start(SimulatorConfig::new(vec![account])).await.unwrap();
        let report = load.run(&simulator).await;
        assert_eq!((report.pushes, report.answered, report.failed, report.unsent, report.tries), (100, 100, 0, 0, 101));
        assert_eq!(report.outcomes[&Outcome::Malformed], 1);
        assert!(report.p50_ms <= report.p99_ms && report.p99_ms <= report.max_ms);

        let mut said: HashMap<String, Vec<String>> = HashMap::new();
        for request in callback.requests() {
            let push = Push::parse(std::str::from_utf8(&request.body).unwrap()).unwrap();
            let Content::Text { content } = push.content else { panic!() };
            let texts = said.entry(push.from_user.as_str().to_owned()).or_default();
            if texts.last() != Some(&content) {
                texts.push(content);
            }
        }
        assert_eq!(said.len(), 7);
        let first: Vec<String> = (1..=15).map(|n| format!("load {n}")).collect();
        assert_eq!(said["oLoad0"], first);
        let pushes = Filter { kind: Some("push".to_owned()), ..Filter::default() };
        assert_eq!(simulator.journal(&pushes).len(), 101);
    }
}
