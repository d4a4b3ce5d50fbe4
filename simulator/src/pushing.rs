//! Pushes that are asked for: copies, tries, journal, report.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::journal::{Event, PushAnswered, PushSent};
use crate::message::Message;
use crate::push::{BuildError, Push, build_request};
use crate::pusher::{Progress, PushOrder};
use crate::report::{PushCopy, PushReport, PushRequest, Try};
use crate::simulator::RequestError;
use crate::world::{Target, World};

const MAX_COPIES: u32 = 100;
const MAX_TRIES: u32 = 10;
/// Longer messages are not kept in the journal.
const MAX_JOURNAL_BYTES: usize = 64 * 1_024;

/// A push on its way.
pub(crate) struct Outgoing {
    pub(crate) push_id: u64,
    pub(crate) push: Push,
}

impl Outgoing {
    pub(crate) fn new(world: &World, push: Push) -> Self {
        Self { push_id: world.push_ids.fetch_add(1, Ordering::Relaxed), push }
    }
}

/// Sends what a user does, and waits for the answers to all copies.
pub(crate) async fn push(world: &Arc<World>, request: PushRequest) -> Result<PushReport, RequestError> {
    check(&request)?;
    let since = world.lock().journal.last();
    let mut target = world.target(&request.account, request.format, request.mode)?;
    target.tries = request.tries.unwrap_or(target.tries);
    let message = world.furnish(&request.account, request.message);
    let msg_id = message.has_msg_id().then(|| request.msg_id.unwrap_or_else(|| world.new_msg_id()));
    let create_time = request.create_time.unwrap_or_else(|| world.clock.now_s());
    let push = Push { user: request.user, create_time, msg_id, message, cdata: request.cdata };
    check_buildable(&target, &push)?;

    world.act(&target.account, &push);
    let outgoing = Outgoing::new(world, push);
    let shared = Arc::new((target, outgoing));
    let send = |copy| {
        let (world, shared) = (Arc::clone(world), Arc::clone(&shared));
        // On its own, so that a caller that goes away does not cut it short.
        let runtime = world.runtime.clone();
        runtime.spawn(async move {
            let tries = deliver(&world, &shared.0, &shared.1, copy, true).await?;
            Ok::<_, BuildError>(PushCopy { copy, answered: answered(&tries), tries })
        })
    };
    let mut copies = Vec::new();
    if request.at_once {
        let under_way: Vec<_> = (1..=request.times).map(send).collect();
        for copy in under_way {
            copies.push(copy.await.map_err(|_| RequestError::Stopped)??);
        }
    } else {
        for copy in 1..=request.times {
            copies.push(send(copy).await.map_err(|_| RequestError::Stopped)??);
        }
    }
    let all_answered = copies.iter().all(|copy| copy.answered);
    let (target, Outgoing { push_id, push }) = &*shared;
    Ok(PushReport {
        push_id: *push_id,
        since,
        account: request.account,
        user: push.user.clone(),
        msg_id: push.msg_id.as_ref().map(ToString::to_string),
        create_time: push.create_time,
        format: target.format,
        mode: target.mode,
        answered: all_answered,
        fault_notice: !all_answered && awaited(&push.message),
        copies,
    })
}

fn check(request: &PushRequest) -> Result<(), RequestError> {
    let invalid = |text: String| Err(RequestError::Invalid(text));
    if !(1..=MAX_COPIES).contains(&request.times) {
        return invalid(format!("times is a number from 1 to {MAX_COPIES}"));
    }
    if request.tries.is_some_and(|tries| !(1..=MAX_TRIES).contains(&tries)) {
        return invalid(format!("tries is a number from 1 to {MAX_TRIES}"));
    }
    if request.user.is_empty() {
        return invalid("user is an openid, which is never empty".to_owned());
    }
    Ok(())
}

/// Before a user's window opens: a push that cannot be built has not happened.
pub(crate) fn check_buildable(target: &Target, push: &Push) -> Result<(), BuildError> {
    build_request(&target.account, push, target.format, target.mode, 0, "", [0; 16]).map(drop)
}

/// Sends one copy until it is answered well or its tries are used up.
pub(crate) async fn deliver(
    world: &World,
    target: &Target,
    outgoing: &Outgoing,
    copy: u32,
    journal: bool,
) -> Result<Vec<Try>, BuildError> {
    let Target { account, callback_url, format, mode, tries, timeout, resend_after } = target;
    let Outgoing { push_id, push } = outgoing;
    let (push_id, format, mode) = (*push_id, *format, *mode);
    let order = PushOrder {
        account,
        callback_url,
        push,
        format,
        mode,
        timeout: *timeout,
        tries: *tries,
        resend_after: *resend_after,
    };
    let note = |progress: Progress<'_>| {
        if !journal {
            return;
        }
        let event = match progress {
            Progress::Leaves(number) => {
                let msg_id = push.msg_id.as_ref().map(ToString::to_string);
                Event::Push(PushSent { push_id, copy, number, msg_id, format, mode, message: shown(&push.message) })
            }
            Progress::Ended { attempt, last } => {
                let fault_notice = last && !attempt.outcome.accepted() && awaited(&push.message);
                Event::PushAnswer(PushAnswered { push_id, copy, answer: attempt.clone(), fault_notice })
            }
        };
        world.record(&account.appid, &push.user, event);
    };
    world.pusher.deliver(&order, &world.clock, note).await
}

/// Whether the last try got an answer that WeChat accepts.
pub(crate) fn answered(tries: &[Try]) -> bool {
    tries.last().is_some_and(|attempt| attempt.outcome.accepted())
}

/// Whether a user is waiting for it, who would be told that the service is out of order.
fn awaited(message: &Message) -> bool {
    !matches!(message, Message::Event { .. })
}

fn shown(message: &Message) -> Value {
    match serde_json::to_value(message) {
        Ok(value) if value.to_string().len() <= MAX_JOURNAL_BYTES => value,
        _ => json!({ "type": message.msg_type(), "bytes": "too many" }),
    }
}
