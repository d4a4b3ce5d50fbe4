//! The pushing side: the copies of a push, their tries, the journal's entries, the report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use kefu_wechat::push::{Content, Push as ParsedPush};
use kefu_wechat::signature;
use serde_json::{Value, json};

use crate::api::media::ImageKind;
use crate::api::user::Action;
use crate::config::{Limits, Mode};
use crate::journal::{Event, PushAnswered, PushSent};
use crate::message::Message;
use crate::state::{RequestError, State, WeChat};

pub(crate) mod answer;
pub(crate) mod pusher;
pub(crate) mod report;
pub(crate) mod request;

use pusher::{milliseconds, nonce};
use report::{PushCopy, PushReport, PushRequest, Try, VerifyReport};
use request::{BuildError, Push, with_query};

const MAX_COPIES: u32 = 100;
const MAX_TRIES: u32 = 10;
/// The longest message that the journal keeps.
const MAX_JOURNAL_BYTES: usize = 64 * 1_024;
/// The picture that a simulated user sends.
const PICTURE: &[u8] = include_bytes!("../assets/picture.png");

/// A push that is ready to be sent, with the settings of that moment.
struct Outgoing {
    push: Push,
    callback_url: String,
    limits: Limits,
}

impl Outgoing {
    /// Writes an event of this push into the journal.
    fn record(&self, state: &State, event: Event) {
        let push = &self.push;
        state.lock().record(Some(push.account.appid.clone()), Some(push.user.clone()), event);
    }
}

/// Sends a push, and waits for the answers to all copies.
pub(crate) async fn push(state: &Arc<State>, request: PushRequest) -> Result<PushReport, RequestError> {
    check(&request)?;
    let (times, at_once) = (request.times, request.at_once);
    let (since, push_id, outgoing) = {
        let mut wechat = state.lock();
        let since = wechat.journal.last();
        let outgoing = prepare(&mut wechat, request, &state.url())?;
        (since, leave(&mut wechat, &outgoing.push), Arc::new(outgoing))
    };
    let send = |copy| {
        let (pushing, outgoing) = (Arc::clone(state), Arc::clone(&outgoing));
        state.pusher.spawn(async move {
            let tries = deliver(&pushing, &outgoing, push_id, copy).await?;
            Ok::<_, BuildError>(PushCopy { copy, answered: answered(&tries), tries })
        })
    };
    let mut copies = Vec::new();
    if at_once {
        let under_way: Vec<_> = (1..=times).map(send).collect();
        for copy in under_way {
            copies.push(copy.await.map_err(|_| RequestError::Stopped)??);
        }
    } else {
        for copy in 1..=times {
            copies.push(send(copy).await.map_err(|_| RequestError::Stopped)??);
        }
    }
    let all_answered = copies.iter().all(|copy| copy.answered);
    let push = &outgoing.push;
    Ok(PushReport {
        push_id,
        since,
        account: push.account.appid.clone(),
        user: push.user.clone(),
        msg_id: push.msg_id.as_ref().map(ToString::to_string),
        create_time: push.create_time,
        format: push.format,
        mode: push.mode,
        answered: all_answered,
        fault_notice: !all_answered && awaited(&push.message),
        copies,
    })
}

/// WeChat's check of a callback URL.
pub(crate) async fn verify(state: &State, appid: &str) -> Result<VerifyReport, RequestError> {
    let ((account, callback_url), limits) = {
        let wechat = state.lock();
        (wechat.target(appid)?, wechat.limits)
    };
    let (timestamp, nonce) = (state.clock().now_s().to_string(), nonce());
    let echostr = rand::random_range(10_u64.pow(18)..10_u64.pow(19)).to_string();
    let query = [
        ("signature", signature::sign(&account.token, &timestamp, &nonce)),
        ("timestamp", timestamp),
        ("nonce", nonce),
        ("echostr", echostr.clone()),
    ];
    let started = Instant::now();
    let get = state.pusher.client.get(with_query(&callback_url, &query));
    let received = state.pusher.spawn(pusher::exchange(get, limits.push_timeout_ms)).await;
    let received = received.map_err(|_| RequestError::Stopped)?;
    let duration_ms = milliseconds(started.elapsed());
    let (status, body, detail) = match received {
        Err(verdict) => (None, None, verdict.detail),
        Ok(received) => {
            let detail = match (received.status, received.body == echostr.as_bytes()) {
                (200, true) => None,
                (200, false) => Some("the body is not the echostr and nothing else".to_owned()),
                (status, _) => Some(format!("the status is {status}")),
            };
            (Some(received.status), Some(String::from_utf8_lossy(&received.body).into_owned()), detail)
        }
    };
    Ok(VerifyReport { ok: detail.is_none(), echostr, status, body, duration_ms, detail })
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

/// Builds the push of a request. This function refuses a push that cannot be built, before the push opens the user's
/// window.
fn prepare(wechat: &mut WeChat, request: PushRequest, url: &str) -> Result<Outgoing, RequestError> {
    let (account, callback_url) = wechat.target(&request.account)?;
    let mut limits = wechat.limits;
    limits.push_tries = request.tries.unwrap_or(limits.push_tries);
    let message = furnish(wechat, &account.appid, request.message, url);
    let msg_id = message.has_msg_id().then(|| request.msg_id.unwrap_or_else(|| wechat.new_msg_id()));
    let push = Push {
        user: request.user,
        create_time: request.create_time.unwrap_or_else(|| wechat.clock.now_s()),
        msg_id,
        message,
        cdata: request.cdata,
        format: request.format.unwrap_or(account.format),
        mode: request.mode.unwrap_or(account.mode),
        account,
    };
    if push.mode != Mode::Plain {
        push.key()?;
    }
    Ok(Outgoing { push, callback_url, limits })
}

/// Adds a media_id that media/get knows to a picture without a media_id.
fn furnish(wechat: &mut WeChat, appid: &str, message: Message, url: &str) -> Message {
    match message {
        Message::Image { pic_url, media_id } if media_id.is_empty() => {
            let (limits, now_s) = (wechat.limits, wechat.clock.now_s());
            let media_id = wechat.media.add(appid, ImageKind::Png, Bytes::from_static(PICTURE), &limits, now_s);
            let pic_url = if pic_url.is_empty() { format!("{url}/simulator/media/{media_id}") } else { pic_url };
            Message::Image { pic_url, media_id }
        }
        other => other,
    }
}

/// Carries out the user's action: the user becomes known, and the action opens a window where WeChat opens one. Returns
/// the push's number.
fn leave(wechat: &mut WeChat, push: &Push) -> u64 {
    let (user, action) = match &push.message {
        Message::Enter { .. } => (push.user.clone(), Some(Action::Enter)),
        Message::Event { .. } => (push.user.clone(), None),
        Message::Raw { text } => raw_action(text).unwrap_or_else(|| (push.user.clone(), None)),
        _ => (push.user.clone(), Some(Action::Message)),
    };
    let (appid, limits, now_ms) = (&push.account.appid, wechat.limits, wechat.clock.now_ms());
    wechat.users.register(appid, &push.user);
    match action {
        Some(action) => wechat.users.act(appid, &user, action, &limits, now_ms),
        None => wechat.users.register(appid, &user),
    }
    wechat.new_push_id()
}

/// The user and the action of a raw text, if the simulator can read the text.
fn raw_action(text: &str) -> Option<(String, Option<Action>)> {
    let push = ParsedPush::parse(text).ok()?;
    let action = match &push.content {
        Content::Event { event, .. } if event == "user_enter_tempsession" => Some(Action::Enter),
        Content::Event { .. } => None,
        _ => Some(Action::Message),
    };
    Some((push.from_user.as_str().to_owned(), action))
}

/// Sends one copy until WeChat accepts the answer or the tries are used up. The simulator signs and encrypts each try
/// anew. Whether WeChat does so is undocumented, and a receiver must not depend on it.
async fn deliver(state: &State, outgoing: &Outgoing, push_id: u64, copy: u32) -> Result<Vec<Try>, BuildError> {
    let Outgoing { push, callback_url, limits } = outgoing;
    let mut tries = Vec::new();
    for number in 1..=limits.push_tries.max(1) {
        if number > 1 {
            tokio::time::sleep(Duration::from_millis(limits.resend_after_ms)).await;
        }
        let nonce = nonce();
        let request = push.build(state.clock().now_s(), &nonce, rand::random())?;
        let (msg_id, message) = (push.msg_id.as_ref().map(ToString::to_string), shown(&push.message));
        let sent = PushSent { push_id, copy, number, msg_id, format: push.format, mode: push.mode, message };
        outgoing.record(state, Event::Push(sent));
        let post = state.pusher.client.post(request.url(callback_url));
        let post = post.header("Content-Type", request.content_type).body(request.body);
        let attempt = pusher::attempt(push, &nonce, number, post, limits.push_timeout_ms).await;
        let accepted = attempt.outcome.accepted();
        let last = accepted || number >= limits.push_tries;
        let fault_notice = last && !accepted && awaited(&push.message);
        let answered = PushAnswered { push_id, copy, answer: attempt.clone(), fault_notice };
        outgoing.record(state, Event::PushAnswer(answered));
        tries.push(attempt);
        if last {
            break;
        }
    }
    Ok(tries)
}

/// Whether the last try got an answer that WeChat accepts.
fn answered(tries: &[Try]) -> bool {
    tries.last().is_some_and(|attempt| attempt.outcome.accepted())
}

/// Whether a user waits for the answer, and would see that the service is out of order.
fn awaited(message: &Message) -> bool {
    !matches!(message, Message::Event { .. })
}

fn shown(message: &Message) -> Value {
    match serde_json::to_value(message) {
        Ok(value) if value.to_string().len() <= MAX_JOURNAL_BYTES => value,
        _ => json!({ "type": message.msg_type(), "bytes": "too many" }),
    }
}
