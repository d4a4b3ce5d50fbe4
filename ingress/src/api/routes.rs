//! The resources of `/v1`. HTTP types stop here.

use std::sync::Arc;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, Route, web};
use kefu_program::config::Config;
use kefu_runtime::disk::Disk;
use tokio::time::Instant;

use super::problem::{self, MAX_BODY_BYTES};
use super::request::OutboundMessage;
use super::shapes::{Accepted, Message, SendRequest};
use super::{Api, MESSAGE, MESSAGES, Service, head, request};
use crate::refusal::Refusal;
use crate::{ANSWER_WITHIN, body, metric, routes};

pub(super) fn configure(service: &mut web::ServiceConfig, api: &Api) {
    service
        .app_data(web::Data::new(api.clone()))
        .service(web::resource(MESSAGES).route(web::post().to(send_message)).default_service(not_allowed("POST")))
        .service(web::resource(MESSAGE).route(web::get().to(get_message)).default_service(not_allowed("GET")));
}

/// Answers requests with another method than the allowed one.
pub(super) fn not_allowed(allowed: &'static str) -> Route {
    web::to(move |api: web::Data<Api>| async move {
        respond("other", "", Instant::now(), api.service().and(Err(Unserved::Refused(Refusal::Method(allowed)))))
    })
}

/// Why a resource gives no answer of its own.
pub(super) enum Unserved {
    /// The configuration has no `[api]`, so `/v1` does not exist.
    NoApi,
    Refused(Refusal),
}

impl From<Refusal> for Unserved {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Api {
    pub(super) fn service(&self) -> Result<&Service, Unserved> {
        match self.0.get() {
            None => Err(Refusal::Unavailable("kefu is starting".to_owned()).into()),
            Some(None) => Err(Unserved::NoApi),
            Some(Some(service)) if service.shutdown.is_cancelled() => {
                Err(Refusal::Unavailable("kefu is stopping".to_owned()).into())
            }
            Some(Some(service)) => Ok(service),
        }
    }
}

/// Sends a message to a user.
///
/// kefu answers once the message is stored. A repetition of the request with the same `Idempotency-Key` and body within
/// 72 hours sends nothing again. kefu sends the message after the replies to the user's earlier messages.
#[utoipa::path(
    post,
    path = MESSAGES,
    operation_id = "send_message",
    params(
        ("appid" = String, Path, description = "The appid of a configured account", pattern = "^[A-Za-z0-9_-]+$"),
        ("Idempotency-Key" = String, Header, description = "The name of the message among all messages of the account. A repetition has the same", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    request_body(content = SendRequest, description = "At most 65536 bytes"),
    responses(
        (status = 202, description = "The message is stored", body = Accepted,
            headers(("Location" = String, description = "The address of the state: /v1/messages/{id}")),
            links(("get_message" = (operation_id = "get_message", parameters(("id" = "$response.body#/id")))))),
    ),
    security(("key" = [])),
)]
pub(super) async fn send_message(
    request: HttpRequest,
    appid: web::Path<String>,
    mut body: web::Payload,
    api: web::Data<Api>,
) -> HttpResponse {
    let started = Instant::now();
    let sent = async {
        let service = api.service()?;
        let _under_way = service.under_way.token();
        service.accept(&request, &appid, &mut body, started + ANSWER_WITHIN).await.map_err(Unserved::from)
    };
    let response = sent.await.map(|accepted| {
        let location = format!("/v1/messages/{}", accepted.id);
        HttpResponse::Accepted().insert_header((LOCATION, location)).json(accepted)
    });
    let account = api.opened().map_or("", |service| service.account(&appid));
    respond("send_message", account, started, response)
}

/// Returns the state of a message.
///
/// kefu keeps the state for 72 hours after its last change.
#[utoipa::path(
    get,
    path = MESSAGE,
    operation_id = "get_message",
    params(("id" = String, Path, description = "The id of the accepted message")),
    responses(
        (status = 200, description = "The message and its state", body = Message),
    ),
    security(("key" = [])),
)]
pub(super) async fn get_message(request: HttpRequest, id: web::Path<String>, api: web::Data<Api>) -> HttpResponse {
    let started = Instant::now();
    let known = async {
        let service = api.service()?;
        head::authorize(&request, &service.keys)?;
        let progress = service.outbound.progress(&id, started + ANSWER_WITHIN).await?;
        Ok(HttpResponse::Ok().json(Message::new(id.into_inner(), progress)))
    };
    respond("get_message", "", started, known.await)
}

pub(super) fn respond(
    operation: &'static str,
    account: &str,
    started: Instant,
    result: Result<HttpResponse, Unserved>,
) -> HttpResponse {
    match result {
        Ok(response) => {
            metric::api_answered(operation, "ok", started.elapsed());
            tracing::debug!(operation, account, "answered");
            response
        }
        // The internal server answers so for any path that it does not have.
        Err(Unserved::NoApi) => HttpResponse::NotFound().finish(),
        Err(Unserved::Refused(refusal)) => {
            metric::api_answered(operation, refusal.row().word, started.elapsed());
            problem::log(&refusal, operation, account);
            problem::response(refusal)
        }
    }
}

impl Service {
    /// The appid in a form that is safe to log: a path that names no account may hold any text of the client.
    fn account(&self, appid: &str) -> &str {
        self.config.accounts.get(appid).map_or("(unknown)", |account| account.appid.as_str())
    }

    async fn accept(
        &self,
        request: &HttpRequest,
        appid: &str,
        body: &mut web::Payload,
        deadline: Instant,
    ) -> Result<Accepted, Refusal> {
        head::authorize(request, &self.keys)?;
        self.config.accounts.get(appid).ok_or(Refusal::UnknownAccount)?;
        head::require_json(request)?;
        let idempotency_key = head::idempotency_key(request)?;
        let announced = routes::announced_length(request);
        let bytes = body::read(body, announced, MAX_BODY_BYTES, deadline, async |_| Ok(())).await;
        let bytes = bytes.map_err(|refusal| match refusal {
            Refusal::CutBody => Refusal::MalformedRequest(refusal.to_string()),
            other => other,
        })?;
        let message = OutboundMessage::from(request::parse(&bytes)?);
        self.judge_if_new(appid, idempotency_key, &message, deadline).await?;
        self.outbound.accept(appid, idempotency_key, message, routes::traceparent(request), deadline).await
    }

    /// Judges a message that is new. kefu does not judge a message again that it accepted before: the message is on its
    /// way, or this repetition puts it on its way, so a refusal would be wrong.
    async fn judge_if_new(
        &self,
        appid: &str,
        idempotency_key: &str,
        message: &OutboundMessage,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let is_new = || self.outbound.is_new(appid, idempotency_key, &message.fingerprint, deadline);
        // Judging a message without pictures needs no disk, and is faster than asking the store.
        if shows_pictures(message) && !is_new().await? {
            return Ok(());
        }
        match judge(message, &self.config, &self.disk, deadline).await {
            // kefu accepted the message before, or a moment ago.
            Err(Refusal::Unsendable(_)) if !is_new().await? => Ok(()),
            judged => judged,
        }
    }
}

fn shows_pictures(message: &OutboundMessage) -> bool {
    message.outbound.replies.iter().any(|reply| reply.picture().is_some())
}

/// Calls [`request::judge`]. Only a message with pictures is judged on the disk thread, because the disk may hang.
async fn judge(message: &OutboundMessage, config: &Arc<Config>, disk: &Disk, deadline: Instant) -> Result<(), Refusal> {
    if !shows_pictures(message) {
        return request::judge(message, config);
    }
    let (message, config) = (message.clone(), Arc::clone(config));
    while_disk_answers(disk, deadline, move || request::judge(&message, &config)).await
}

/// The result of `check`, which may read files, if `check` returns by the deadline.
async fn while_disk_answers<T: Send + 'static>(
    disk: &Disk,
    deadline: Instant,
    check: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let checked = disk.call_until(deadline, move || Ok(check())).await;
    checked.map_err(|error| Refusal::Unavailable(format!("the pictures cannot be checked: {error}")))?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_check_that_does_not_end_is_given_up_at_the_deadline() {
        let (disk_wakes, disk) = channel::<()>();
        let deadline = Instant::now() + Duration::from_millis(50);
        let checked = while_disk_answers(&Disk::default(), deadline, move || Ok(disk.recv().is_ok())).await;
        assert!(matches!(checked, Err(Refusal::Unavailable(_))), "{checked:?}");
        assert!(Instant::now() >= deadline);
        disk_wakes.send(()).unwrap();
    }

    #[tokio::test]
    async fn nothing_but_pictures_needs_the_disk() {
        let (config, _folder) = kefu_program::testing::config("");
        let config = Arc::new(config);
        let (disk, deadline) = (Disk::default(), Instant::now() + Duration::from_secs(30));
        let message = |replies: &str| {
            OutboundMessage::from(request::parse(format!(r#"{{"to":"oU","replies":[{replies}]}}"#).as_bytes()).unwrap())
        };
        let text = message(r#"{"text":"hi"}"#);
        let judged = judge(&text, &config, &disk, deadline).now_or_never().unwrap();
        assert!(judged.is_ok(), "{judged:?}");
        let picture = message(r#"{"text":"hi"},{"image":"missing.png"}"#);
        let picture = judge(&picture, &config, &disk, deadline);
        tokio::pin!(picture);
        assert!((&mut picture).now_or_never().is_none(), "it is looked at on another thread");
        assert!(matches!(picture.await, Err(Refusal::Unsendable(_))));
    }
}
