//! The callback URL: `GET` and `POST /push/{appid}`. HTTP types stop here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{ALLOW, CONTENT_LENGTH};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use kefu_messages::envelope::Envelope;
use kefu_messages::unreadable::Unreadable;
use kefu_program::config::{Account, Config};
use kefu_runtime::clock;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::body::{Bodies, Body};
use crate::connection::Reading;
use crate::decision::{Decision, UndecidedEvents};
use crate::freshness::ClockWarning;
use crate::intake::{Intake, Ownership};
use crate::refusal::{Refusal, Row, shown};
use crate::sync_webhook::SyncWebhooks;
use crate::unreadable::UnreadablePushes;
use crate::verify::{SignedQuery, Verified};
use crate::{ANSWER_WITHIN, metric, verify};

/// The largest body, in bytes, that ingress decrypts, parses and matches with rules on the thread that serves
/// connections.
const QUICK: usize = 64 * 1024;

/// The parts that the routes use.
pub(crate) struct Callback {
    pub(crate) config: Arc<Config>,
    pub(crate) bodies: Bodies,
    pub(crate) undecided_events: UndecidedEvents,
    pub(crate) sync_webhooks: SyncWebhooks,
    pub(crate) unreadable: UnreadablePushes,
    pub(crate) clock_warning: ClockWarning,
}

/// All requests come to one function: a comparison of the path costs less than the patterns of resources.
pub(crate) fn configure(app: &mut web::ServiceConfig) {
    app.default_service(web::to(route));
}

async fn route(
    request: HttpRequest,
    mut body: web::Payload,
    callback: web::Data<Callback>,
    intake: web::Data<Intake>,
) -> HttpResponse<AnswerBody> {
    let appid = request.path().strip_prefix("/push/").filter(|appid| !appid.is_empty() && !appid.contains('/'));
    let response = match (appid, request.method()) {
        (None, _) => HttpResponse::NotFound().body("not found\n"),
        (Some(appid), &Method::GET) => verify_url(&request, appid, &callback),
        (Some(appid), &Method::POST) => receive_push(&request, appid, &mut body, &callback, &intake).await,
        (Some(_), _) => HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, POST")).finish(),
    };
    response.map_body(|_, text| AnswerBody { text, _unread: body })
}

/// WeChat's check of the URL, which WeChat sends when the URL is saved in the console. The answer is `echostr` and
/// nothing else.
fn verify_url(request: &HttpRequest, appid: &str, callback: &Callback) -> HttpResponse {
    let started = Instant::now();
    let echo = callback.account(appid).and_then(|account| {
        let query = SignedQuery::parse(request.query_string())?;
        verify::verify_url(account, &query, clock::now_ms())?;
        query.echostr.clone().ok_or(Refusal::Unauthenticated("echostr is missing"))
    });
    let echo = echo.inspect_err(|refusal| callback.note(refusal, appid));
    respond("verify", appid, started, echo.map(|echostr| (Answer::plain(echostr), "verified")))
}

async fn receive_push(
    request: &HttpRequest,
    appid: &str,
    body: &mut web::Payload,
    callback: &Callback,
    intake: &Intake,
) -> HttpResponse {
    let started = Instant::now();
    let _under_way = metric::UnderWay::start();
    let result = callback.receive(request, appid, body, intake, started).await;
    let result = result.inspect_err(|refusal| callback.note(refusal, appid));
    respond("push", appid, started, result)
}

/// The body of an answer, and with it the unread rest of the request.
///
/// While the payload still exists when the answer is written, the server closes a connection whose request it has not
/// read to the end. Without the payload the server would read a chunked request on for ever, and hold the connection.
struct AnswerBody {
    text: BoxBody,
    _unread: web::Payload,
}

impl MessageBody for AnswerBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.text.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.text).poll_next(context)
    }
}

impl Callback {
    fn account(&self, appid: &str) -> Result<&Account, Refusal> {
        self.config.accounts.get(appid).ok_or(Refusal::UnknownAccount)
    }

    /// Notes the refusal of a stale request, and ignores other refusals.
    fn note(&self, refusal: &Refusal, appid: &str) {
        if let Refusal::Stale(stale) = refusal {
            self.clock_warning.note(*stale, appid);
        }
    }

    /// Takes one push in. `Ok` has the answer and the outcome's label, and means that the push is stored.
    async fn receive(
        &self,
        request: &HttpRequest,
        appid: &str,
        body: &mut web::Payload,
        intake: &Intake,
        started: Instant,
    ) -> Result<(Answer, &'static str), Refusal> {
        let deadline = started + ANSWER_WITHIN;
        let account = self.account(appid)?;
        let query = SignedQuery::parse(request.query_string())?;
        let now_ms = clock::now_ms();
        verify::admit(account, &query, now_ms)?;
        let reading = request.conn_data::<Reading>();
        let announced = announced_length(request);
        let Body { bytes, room: _room } = self.bodies.read(body, announced, reading, deadline).await?;
        let _paused = reading.map(Reading::pause);
        let (Verified { content, pair }, decision) = self.open_and_decide(appid, &query, bytes, now_ms).await?;
        let envelope = match content {
            Ok((push, raw)) => Envelope::of_push(appid, push, raw, clock::now_ms()),
            Err((bytes, error)) => {
                self.unreadable.admit(account, &bytes, &error)?;
                Envelope::of_unreadable(appid, Unreadable::new(bytes, &error), clock::now_ms())
            }
        };
        let envelope = Envelope { answered: decision.answered(), traceparent: traceparent(request), ..envelope };
        let (answer, outcome) = match intake.claim(&envelope, deadline).await? {
            Ownership::Stored { answer } => (answer, "duplicate"),
            Ownership::Ours(claimed) => {
                let answer = claimed.or_release(self.answer(&envelope, &decision, started).await).await?;
                claimed.publish().await?.complete(&answer).await;
                (answer, self.outcome(&envelope, &decision))
            }
        };
        tracing::debug!(key = %envelope.key, account = appid, outcome, "the push is stored");
        let seal = pair.and_then(|pair| pair.seal(account));
        Ok((Answer::to(&envelope.push, answer, seal, &query.nonce), outcome))
    }

    /// The text of the answer: the empty text for `success`. Ingress may have to ask a synchronous webhook for this
    /// text.
    async fn answer(&self, envelope: &Envelope, decision: &Decision, started: Instant) -> Result<String, Refusal> {
        match decision {
            Decision::Ask(endpoint) => self.sync_webhooks.decide(endpoint, envelope, started).await,
            Decision::Transfer(text) | Decision::EventAnswer(text) => Ok(text.clone()),
            Decision::Success | Decision::Undecided(_) => Ok(String::new()),
        }
    }

    /// The word for metrics and logs that says how this request stored a push. This function also logs what an operator
    /// should know about the push.
    fn outcome(&self, envelope: &Envelope, decision: &Decision) -> &'static str {
        if let Some(unreadable) = &envelope.unreadable {
            tracing::warn!(
                key = %envelope.key,
                account = envelope.account,
                bytes = unreadable.bytes.0.len(),
                reason = shown(&unreadable.reason),
                "kefu cannot read an authentic push, and keeps the push as a dead letter"
            );
            return "unreadable";
        }
        match decision {
            Decision::Transfer(_) => "transferred",
            Decision::Ask(_) => "decided",
            Decision::Success | Decision::EventAnswer(_) => "published",
            Decision::Undecided(event) => {
                self.undecided_events.note(event);
                "published"
            }
        }
    }

    /// The content of the request, and the decision how ingress answers once that content is stored. A large body is
    /// opened on another thread, because this takes long enough to keep other requests waiting.
    async fn open_and_decide(
        &self,
        appid: &str,
        query: &SignedQuery,
        body: Vec<u8>,
        now_ms: u64,
    ) -> Result<(Verified, Decision), Refusal> {
        let is_quick = body.len() <= QUICK;
        let (config, appid, query) = (Arc::clone(&self.config), appid.to_owned(), query.clone());
        let open = move || {
            let account = config.accounts.get(&appid).ok_or(Refusal::UnknownAccount)?;
            let verified = verify::open(account, &query, body, now_ms)?;
            let decision = match &verified.content {
                Ok((push, _)) => Decision::of(&config.rules.current(), &appid, push),
                Err(_) => Decision::Success,
            };
            Ok((verified, decision))
        };
        if is_quick {
            return open();
        }
        web::block(open).await.map_err(|_| Refusal::Unavailable("opening the push panicked".into()))?
    }
}

fn respond(
    kind: &'static str,
    appid: &str,
    started: Instant,
    result: Result<(Answer, &'static str), Refusal>,
) -> HttpResponse {
    let took = started.elapsed();
    match result {
        Ok((body, outcome)) => {
            metric::answered(kind, outcome, took);
            tracing::debug!(kind, account = appid, outcome, took_ms = took.as_millis() as u64, "answered");
            HttpResponse::Ok().content_type(body.content_type).body(body.text)
        }
        Err(refusal) => {
            let Row { status, label, .. } = refusal.row();
            metric::answered(kind, label, took);
            refusal.log(kind, appid, took);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = HttpResponse::build(status);
            if refusal.ends_connection() {
                response.force_close();
            }
            response.content_type(Answer::PLAIN).body(refusal.text())
        }
    }
}

/// The length of the body, as the head of the request announces it.
pub(crate) fn announced_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The W3C trace context of a request, if it is well-formed.
pub(crate) fn traceparent(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get("traceparent")?.to_str().ok()?;
    let lengths: Vec<usize> = value.split('-').map(str::len).collect();
    let fine = lengths == [2, 32, 16, 2] && value.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    fine.then(|| value.to_owned())
}
