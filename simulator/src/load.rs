//! A stream of pushes at a rate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::message::Message;
use crate::push::{Cdata, Push};
use crate::pusher::milliseconds;
use crate::pushing::{Outgoing, answered, check_buildable, deliver};
use crate::report::{LoadReport, LoadRequest, Outcome};
use crate::simulator::RequestError;
use crate::world::{Target, World};

const MAX_PUSHES: u32 = 100_000;
const MAX_PLANNED: f64 = 600.0;
/// How long after the plan's end no further push is sent.
const GRACE: Duration = Duration::from_secs(60);

struct Run {
    world: Arc<World>,
    request: LoadRequest,
    target: Target,
    started: Instant,
    deadline: Instant,
}

/// What one user's pushes came to.
#[derive(Default)]
struct Tally {
    answered_ms: Vec<f64>,
    failed: u32,
    unsent: u32,
    outcomes: BTreeMap<Outcome, u32>,
    max_late: Duration,
}

/// Pushes at a rate. Users write in turn; the next push of a user waits until the former is answered or given up.
pub(crate) async fn load(world: &Arc<World>, request: LoadRequest) -> Result<LoadReport, RequestError> {
    let since = world.lock().journal.last();
    let run = Arc::new(prepare(world, request)?);
    let pushes = run.request.pushes;
    let mut users = JoinSet::new();
    for user in 0..run.request.users.min(pushes) {
        let run = Arc::clone(&run);
        users.spawn_on(async move { write_as(&run, user).await }, &world.runtime);
    }
    let mut total = Tally::default();
    while let Some(tally) = users.join_next().await {
        total.add(tally.map_err(|_| RequestError::Stopped)??);
    }
    Ok(total.report(since, pushes, run.started.elapsed()))
}

fn prepare(world: &Arc<World>, request: LoadRequest) -> Result<Run, RequestError> {
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
    let target = world.target(&request.account, request.format, request.mode)?;
    let message = Message::text("");
    let probe = Push { user: String::new(), create_time: 0, msg_id: None, message, cdata: Cdata::Split };
    check_buildable(&target, &probe)?;
    let started = Instant::now();
    let deadline = started + Duration::from_secs_f64(planned_s) + GRACE;
    Ok(Run { world: Arc::clone(world), request, target, started, deadline })
}

async fn write_as(run: &Run, user: u32) -> Result<Tally, RequestError> {
    let mut tally = Tally::default();
    let openid = format!("{}{user}", run.request.user_prefix);
    let turns = (user..run.request.pushes).step_by(run.request.users as usize);
    for (turn, number) in turns.enumerate() {
        let due = run.started + Duration::from_secs_f64(f64::from(number) / run.request.per_second);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = run.world.stopping.cancelled() => return Err(RequestError::Stopped),
        }
        if Instant::now() > run.deadline {
            tally.unsent += 1;
            continue;
        }
        tally.max_late = tally.max_late.max(due.elapsed());
        let message = Message::text(format!("{} {}", run.request.text, turn + 1));
        let msg_id = Some(run.world.new_msg_id());
        let create_time = run.world.clock.now_s();
        let push = Push { user: openid.clone(), create_time, msg_id, message, cdata: Cdata::Split };
        send(run, push, &mut tally).await?;
    }
    Ok(tally)
}

async fn send(run: &Run, push: Push, tally: &mut Tally) -> Result<(), RequestError> {
    run.world.act(&run.target.account, &push);
    let outgoing = Outgoing::new(&run.world, push);
    let started = Instant::now();
    let tries = deliver(&run.world, &run.target, &outgoing, 1, run.request.journal).await?;
    match answered(&tries) {
        true => tally.answered_ms.push(milliseconds(started.elapsed())),
        false => tally.failed += 1,
    }
    for attempt in tries {
        *tally.outcomes.entry(attempt.outcome).or_default() += 1;
    }
    Ok(())
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
        // At most 100,000 of them.
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

/// The smallest value that `percent` of all do not exceed; 0 of none.
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
