//! The pushing side: the copies of a push, their tries, the journal's entries, the report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use kefu_wechat::push::{Content, Push as ParsedPush};
use kefu_wechat::signature;
use serde_json::{Value, json};

use crate::api::media::PNG;
use crate::api::user::Action;
use crate::config::{Limits, Mode};
use crate::journal::{Event, MAX_ENTRY_BYTES, PushAnswered, PushSent};
use crate::message::Message;
use crate::state::{RequestError, State, WeChat};

pub(crate) mod answer;
pub(crate) mod pusher;
pub(crate) mod report;
pub(crate) mod request;

use pusher::{Received, milliseconds, nonce};
use report::{PushCopy, PushReport, PushRequest, VerifyReport};
use request::{BuildError, Push};

const MAX_COPIES: u32 = 100;
const MAX_TRIES: u32 = 10;
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

impl State {
    /// Pushes and waits for the answers to all copies.
    ///
    /// # Errors
    /// The simulator cannot fulfil the request. A push that fails is no error.
    pub async fn push(self: &Arc<Self>, request: PushRequest) -> Result<PushReport, RequestError> {
        check(&request)?;
        let (times, at_a_time) = (request.times, if request.at_once { request.times } else { 1 });
        let (since, push_id, outgoing) = {
            let mut wechat = self.lock();
            let since = wechat.journal.last();
            let outgoing = prepare(&mut wechat, request, &self.url())?;
            act(&mut wechat, &outgoing.push);
            wechat.last_push_id += 1;
            (since, wechat.last_push_id, Arc::new(outgoing))
        };
        let (state, sending) = (Arc::clone(self), Arc::clone(&outgoing));
        let copies = self.pusher.thread.spawn(async move {
            let copies = stream::iter(1..=times).map(|copy| deliver(&state, &sending, push_id, copy));
            copies.buffered(at_a_time as usize).try_collect::<Vec<_>>().await
        });
        let copies = copies.await.map_err(|_| RequestError::Stopped)??;
        let answered = copies.iter().all(|copy| copy.answered);
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
            answered,
            fault_notice: !answered && awaited(&push.message),
            copies,
        })
    }

    /// Does WeChat's URL verification.
    ///
    /// # Errors
    /// The simulator has no such account, or the account has no callback URL.
    pub async fn verify(&self, account: &str) -> Result<VerifyReport, RequestError> {
        let ((account, callback_url), limits) = {
            let wechat = self.lock();
            (wechat.target(account)?, wechat.limits)
        };
        let (timestamp, nonce) = (self.clock().now_s().to_string(), nonce());
        let echostr = rand::random_range(10_u64.pow(18)..10_u64.pow(19)).to_string();
        let signature = signature::sign(&account.token, &timestamp, &nonce);
        let query = [("signature", &signature), ("timestamp", &timestamp), ("nonce", &nonce), ("echostr", &echostr)];
        let get = self.pusher.client.get(callback_url).query(&query);
        let started = Instant::now();
        let received = self.pusher.thread.spawn(pusher::exchange(get, limits.push_timeout_ms)).await;
        let received = received.map_err(|_| RequestError::Stopped)?;
        let duration_ms = milliseconds(started.elapsed());
        let (status, body, detail) = match received {
            Err(verdict) => (None, None, verdict.detail),
            Ok(Received { status, body, .. }) => {
                let detail = match status {
                    200 if body == echostr.as_bytes() => None,
                    200 => Some("the body is not exactly the echostr".to_owned()),
                    _ => Some(format!("the status is {status}")),
                };
                (Some(status), Some(String::from_utf8_lossy(&body).into_owned()), detail)
            }
        };
        Ok(VerifyReport { ok: detail.is_none(), echostr, status, body, duration_ms, detail })
    }
}

fn check(request: &PushRequest) -> Result<(), RequestError> {
    let problem = if !(1..=MAX_COPIES).contains(&request.times) {
        format!("times must be a number from 1 to {MAX_COPIES}")
    } else if request.tries.is_some_and(|tries| !(1..=MAX_TRIES).contains(&tries)) {
        format!("tries must be a number from 1 to {MAX_TRIES}")
    } else if request.user.is_empty() {
        "user is empty: give the openid of the user".to_owned()
    } else {
        return Ok(());
    };
    Err(RequestError::Invalid(problem))
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
fn furnish(wechat: &mut WeChat, appid: &str, mut message: Message, url: &str) -> Message {
    if let Message::Image { pic_url, media_id } = &mut message
        && media_id.is_empty()
    {
        let (limits, now_s) = (wechat.limits, wechat.clock.now_s());
        *media_id = wechat.media.add(appid, PNG, Bytes::from_static(PICTURE), &limits, now_s);
        if pic_url.is_empty() {
            *pic_url = format!("{url}/simulator/media/{media_id}");
        }
    }
    message
}

/// Carries out the user's action: the user becomes known, and the action opens a window where WeChat opens one.
fn act(wechat: &mut WeChat, push: &Push) {
    let (appid, limits, now_ms) = (&push.account.appid, wechat.limits, wechat.clock.now_ms());
    wechat.users.know(appid, &push.user);
    let (user, action) = match &push.message {
        Message::Enter { .. } => (push.user.clone(), Some(Action::Enter)),
        Message::Event { .. } => (push.user.clone(), None),
        Message::Raw { text } => match ParsedPush::parse(text) {
            Ok(parsed) => (parsed.from_user.as_str().to_owned(), action_of(&parsed.content)),
            Err(_) => return,
        },
        _ => (push.user.clone(), Some(Action::Message)),
    };
    let user = wechat.users.know(appid, &user);
    if let Some(action) = action {
        user.act(action, &limits, now_ms);
    }
}

/// The action of a raw text that the simulator can read.
fn action_of(content: &Content) -> Option<Action> {
    match content {
        Content::Event { event, .. } if event == "user_enter_tempsession" => Some(Action::Enter),
        Content::Event { .. } => None,
        _ => Some(Action::Message),
    }
}

/// Sends one copy until WeChat accepts the answer or the tries are used up. The simulator signs and encrypts each try
/// anew. Whether WeChat does so is undocumented, and a receiver must not depend on it.
async fn deliver(state: &State, outgoing: &Outgoing, push_id: u64, copy: u32) -> Result<PushCopy, BuildError> {
    let Outgoing { push, callback_url, limits } = outgoing;
    let mut copy = PushCopy { copy, answered: false, tries: Vec::new() };
    for number in 1..=limits.push_tries.max(1) {
        if number > 1 {
            tokio::time::sleep(Duration::from_millis(limits.resend_after_ms)).await;
        }
        let nonce = nonce();
        let request = push.build(state.clock().now_s(), &nonce, rand::random())?;
        outgoing.record(
            state,
            Event::Push(PushSent {
                push_id,
                copy: copy.copy,
                number,
                msg_id: push.msg_id.as_ref().map(ToString::to_string),
                format: push.format,
                mode: push.mode,
                message: shown(&push.message),
            }),
        );
        let post = state.pusher.client.post(callback_url).query(&request.query);
        let post = post.header("Content-Type", request.content_type).body(request.body);
        let attempt = pusher::attempt(push, &nonce, number, post, limits.push_timeout_ms).await;
        copy.answered = attempt.outcome.accepted();
        let fault_notice = number >= limits.push_tries && !copy.answered && awaited(&push.message);
        let answer = PushAnswered { push_id, copy: copy.copy, answer: attempt.clone(), fault_notice };
        outgoing.record(state, Event::PushAnswer(answer));
        copy.tries.push(attempt);
        if copy.answered {
            break;
        }
    }
    Ok(copy)
}

/// The message for the journal, which keeps it once for each try.
fn shown(message: &Message) -> Value {
    match serde_json::to_value(message) {
        Ok(value) if value.to_string().len() <= MAX_ENTRY_BYTES => value,
        _ => json!({ "type": message.msg_type(), "bytes": "too many" }),
    }
}

/// Whether a user waits for the answer, and would see that the service is out of order.
fn awaited(message: &Message) -> bool {
    !matches!(message, Message::Event { .. })
}
