//! A stream of pushes at a rate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kefu_wechat::push::Format;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::pusher::milliseconds;
use super::report::{Outcome, PushRequest};
use super::{Outgoing, answered, deliver, leave, prepare};
use crate::config::Mode;
use crate::message::Message;
use crate::state::{RequestError, State};

const MAX_PUSHES: u32 = 100_000;
const MAX_PLANNED: f64 = 600.0;
/// The time after the planned end from which the simulator sends no further push.
const GRACE: Duration = Duration::from_secs(60);

/// An order to push at a rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadRequest {
    /// The appid.
    pub account: String,
    /// How many users write in turn, 1 to 100,000. The next push of a user waits until the former push is answered.
    pub users: u32,
    /// How many pushes the users send in all, 1 to 100,000.
    pub pushes: u32,
    /// How many pushes the users send a second, above 0. The whole load must not take longer than 10 minutes.
    pub per_second: f64,
    /// The text that the users write. A space and the number of the user's message, from 1, follow the text.
    #[serde(default = "load_text")]
    pub text: String,
    /// The start of the users' openids; their number follows, from 0.
    #[serde(default = "load_user")]
    pub user_prefix: String,
    /// The data format; the account's when left out.
    pub format: Option<Format>,
    /// The mode; the account's when left out.
    pub mode: Option<Mode>,
    /// Whether the journal records the pushes. The journal always records API calls.
    #[serde(default)]
    pub journal: bool,
}

fn load_text() -> String {
    "load".to_owned()
}

fn load_user() -> String {
    "oLoad".to_owned()
}

/// The outcome of a stream of pushes. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The journal's last number before the first push.
    pub since: u64,
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
    pub outcomes: std::collections::BTreeMap<Outcome, u32>,
    /// The time from the first request to the last answer.
    pub elapsed_ms: f64,
    /// Pushes with a good answer, a second.
    pub per_second: f64,
    /// The median time from a push's first request to its good answer: half of the pushes with a good answer are
    /// faster.
    pub p50_ms: f64,
    /// The time that 99 of 100 pushes with a good answer stay below.
    pub p99_ms: f64,
    /// The time of the slowest push with a good answer.
    pub max_ms: f64,
    /// How long after its planned time the most delayed push was sent. A large value means that the simulator or the
    /// callback cannot keep the pace.
    pub max_late_ms: f64,
}

/// The counts of one user's pushes, or of all pushes.
#[derive(Default)]
struct Tally {
    answered_ms: Vec<f64>,
    failed: u32,
    unsent: u32,
    outcomes: BTreeMap<Outcome, u32>,
    max_late: Duration,
}

/// Sends pushes at a rate. Users write in turn. The next push of a user waits until the former push is answered or
/// given up.
pub(crate) async fn load(state: &Arc<State>, request: LoadRequest) -> Result<LoadReport, RequestError> {
    let since = state.journal_last();
    let planned = check(state, &request)?;
    let (request, started) = (Arc::new(request), Instant::now());
    let mut users = JoinSet::new();
    for user in 0..request.users.min(request.pushes) {
        let (pushing, request) = (Arc::clone(state), Arc::clone(&request));
        let work = async move { write_as(&pushing, &request, user, started, planned).await };
        users.spawn_on(work, &state.pusher.thread);
    }
    let mut total = Tally::default();
    while let Some(tally) = users.join_next().await {
        total.add(tally.map_err(|_| RequestError::Stopped)??);
    }
    Ok(total.report(since, request.pushes, started.elapsed()))
}

/// The planned duration of the load.
fn check(state: &State, request: &LoadRequest) -> Result<Duration, RequestError> {
    let invalid = |text: String| Err(RequestError::Invalid(text));
    for (name, count) in [("users", request.users), ("pushes", request.pushes)] {
        if !(1..=MAX_PUSHES).contains(&count) {
            return invalid(format!("{name} is a number from 1 to {MAX_PUSHES}"));
        }
    }
    let planned_s = f64::from(request.pushes) / request.per_second;
    if !(0.0..=MAX_PLANNED).contains(&planned_s) {
        return invalid(format!("pushes / per_second must be at most {MAX_PLANNED} seconds"));
    }
    request.push(state, 0, 0)?;
    Ok(Duration::from_secs_f64(planned_s))
}

/// Sends a push for one user whenever the user's turn comes.
async fn write_as(
    state: &State,
    request: &LoadRequest,
    user: u32,
    started: Instant,
    planned: Duration,
) -> Result<Tally, RequestError> {
    let mut tally = Tally::default();
    let turns = (user..request.pushes).step_by(request.users as usize);
    for (turn, number) in turns.enumerate() {
        let due = started + Duration::from_secs_f64(f64::from(number) / request.per_second);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = state.stopping.cancelled() => return Err(RequestError::Stopped),
        }
        if started.elapsed() > planned + GRACE {
            tally.unsent += 1;
            continue;
        }
        tally.max_late = tally.max_late.max(due.elapsed());
        let outgoing = request.push(state, user, turn + 1)?;
        let push_id = leave(&mut state.lock(), &outgoing.push);
        let left = Instant::now();
        let tries = deliver(state, &outgoing, push_id, 1).await?;
        match answered(&tries) {
            true => tally.answered_ms.push(milliseconds(left.elapsed())),
            false => tally.failed += 1,
        }
        for attempt in tries {
            *tally.outcomes.entry(attempt.outcome).or_default() += 1;
        }
    }
    Ok(tally)
}

impl LoadRequest {
    /// The push of a user in the user's turn number `turn`.
    fn push(&self, state: &State, user: u32, turn: usize) -> Result<Outgoing, RequestError> {
        let user = format!("{}{user}", self.user_prefix);
        let message = Message::text(format!("{} {turn}", self.text));
        let request = PushRequest::new(&self.account, user, message);
        let request = PushRequest { format: self.format, mode: self.mode, ..request };
        let outgoing = prepare(&mut state.lock(), request, "")?;
        Ok(Outgoing { journal: self.journal, ..outgoing })
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.answered_ms.extend(other.answered_ms);
        self.failed += other.failed;
        self.unsent += other.unsent;
        self.max_late = self.max_late.max(other.max_late);
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
    }

    fn report(mut self, since: u64, pushes: u32, elapsed: Duration) -> LoadReport {
        self.answered_ms.sort_by(f64::total_cmp);
        // The load has at most 100,000 pushes.
        let answered = self.answered_ms.len() as u32;
        LoadReport {
            since,
            pushes: pushes - self.unsent,
            answered,
            failed: self.failed,
            unsent: self.unsent,
            tries: self.outcomes.values().sum(),
            outcomes: self.outcomes,
            elapsed_ms: milliseconds(elapsed),
            per_second: f64::from(answered) / elapsed.as_secs_f64().max(f64::EPSILON),
            p50_ms: quantile(&self.answered_ms, 50),
            p99_ms: quantile(&self.answered_ms, 99),
            max_ms: self.answered_ms.last().copied().unwrap_or(0.0),
            max_late_ms: milliseconds(self.max_late),
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
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((quantile(&sorted, 50), quantile(&sorted, 99)), (100.0, 198.0));
        assert_eq!((quantile(&[7.0], 50), quantile(&[7.0], 99), quantile(&[], 50)), (7.0, 7.0, 0.0));
    }
}
