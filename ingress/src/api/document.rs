//! The OpenAPI document, generated from the code.

use std::sync::LazyLock;

use actix_web::{HttpResponse, web};
use tokio::time::Instant;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Content, Header, InfoBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use super::problem::{PROBLEM_JSON, detail};
// `__path_…` is what `utoipa::path` makes of an operation, and what the derive below looks for.
use super::routes::{__path_get_message, __path_send_message, not_allowed, respond};
use super::{Api, DOCUMENT, MESSAGE, MESSAGES, problem};
use crate::refusal::Refusal;

/// The operations that the document describes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(send_message, get_message, get_document), components(schemas(problem::Problem)))]
struct Operations;

const UNAUTHENTICATED: Refusal = Refusal::Unauthenticated("");
const UNAVAILABLE: Refusal = Refusal::Unavailable(String::new());

/// The refusals of each resource, and when the resource is unavailable.
const REFUSALS: [(&str, &[Refusal], &str); 3] = [
    (
        MESSAGES,
        &[
            Refusal::MalformedRequest(String::new()),
            UNAUTHENTICATED,
            Refusal::UnknownAccount,
            Refusal::SlowBody,
            Refusal::TooLarge,
            Refusal::NotJson,
            Refusal::KeyReused,
            Refusal::Unsendable(Vec::new()),
            UNAVAILABLE,
        ],
        "queue or store did not answer within 4.5 seconds, or kefu starts or stops. The message may or may not be stored: \
         send it again, with the same Idempotency-Key",
    ),
    (
        MESSAGE,
        &[UNAUTHENTICATED, Refusal::UnknownMessage, UNAVAILABLE],
        "the store did not answer within 4.5 seconds, or kefu starts or stops",
    ),
    (DOCUMENT, &[UNAVAILABLE], "kefu starts or stops"),
];

/// The document. It stays the same for the life of the process.
pub(super) static OPENAPI: LazyLock<OpenApi> = LazyLock::new(|| {
    let mut document = Operations::openapi();
    document.info = InfoBuilder::new()
        .title("kefu")
        .description(Some("Sending messages to users of WeChat mini programs from a backend of one's own."))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The key of [api]")).build();
    let components = document.components.get_or_insert_with(Components::default);
    components.add_security_scheme("key", SecurityScheme::Http(bearer));
    for (path, refusals, unavailable) in REFUSALS {
        let Some(resource) = document.paths.paths.get_mut(path) else { continue };
        for operation in resource.get.iter_mut().chain(&mut resource.post) {
            let responses = &mut operation.responses.responses;
            for refusal in refusals {
                let status = refusal.row().status.to_string();
                responses.entry(status).or_insert_with(|| RefOr::T(response(refusal, refusals, unavailable)));
            }
        }
    }
    document
});

pub(super) fn configure(service: &mut web::ServiceConfig) {
    let document = web::resource(DOCUMENT).route(web::get().to(get_document));
    service.service(document.default_service(not_allowed("GET")));
}

/// Returns this document. The request needs no key.
#[utoipa::path(
    get,
    path = DOCUMENT,
    operation_id = "get_document",
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"),
    ),
    security(()),
)]
async fn get_document(api: web::Data<Api>) -> HttpResponse {
    respond("get_document", "", Instant::now(), api.service().map(|_| HttpResponse::Ok().json(&*OPENAPI)))
}

/// The answer for a refusal, and for the other refusals of the resource with the same status.
fn response(refusal: &Refusal, refusals: &[Refusal], unavailable: &str) -> Response {
    let said = |refusal: &Refusal| {
        let detail = match refusal {
            Refusal::Unavailable(_) => Some(unavailable.to_owned()),
            _ => detail(refusal).filter(|detail| !detail.is_empty()),
        };
        detail.map_or(refusal.row().title.to_owned(), |detail| format!("{}: {detail}", refusal.row().title))
    };
    let same = refusals.iter().filter(|other| other.row().status == refusal.row().status);
    let response = ResponseBuilder::new()
        .description(same.map(said).collect::<Vec<_>>().join("; or "))
        .content(PROBLEM_JSON, Content::new(Some(Ref::from_schema_name("Problem"))));
    let header = |about: &str| {
        let mut header = Header::default();
        header.description = Some(about.to_owned());
        header
    };
    match refusal {
        Refusal::Unauthenticated(_) => response.header("WWW-Authenticate", header("Bearer")),
        Refusal::Unavailable(_) => response.header("Retry-After", header("Seconds")),
        _ => response,
    }
    .build()
}

#[cfg(test)]
mod tests {
    use kefu_messages::reply::Reply;
    use serde_json::{Value, json, to_value};

    use super::super::{head, request};
    use super::*;

    #[test]
    fn the_limits_in_the_document_are_those_of_the_code() {
        let document = to_value(&*OPENAPI).unwrap();
        let fields = &document["components"]["schemas"]["SendRequest"]["properties"];
        assert_eq!(fields["to"]["maxLength"], json!(request::LONGEST_OPENID));
        assert_eq!(fields["business_id"]["maximum"], json!(request::MAX_BUSINESS_ID));
        let operation = &document["paths"][MESSAGES]["post"];
        assert_eq!(operation["parameters"][1]["schema"]["maxLength"], json!(head::LONGEST_KEY));
        let body = operation["requestBody"]["description"].as_str().unwrap();
        assert_eq!(body, format!("At most {} bytes", problem::MAX_BODY_BYTES));
    }

    #[test]
    fn a_reply_in_the_document_has_exactly_one_content_and_no_unknown_field() {
        let document = to_value(&*OPENAPI).unwrap();
        let schemas = &document["components"]["schemas"];
        let kinds = schemas["Reply"]["oneOf"].as_array().unwrap().iter().map(|kind| {
            let name = kind["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            &schemas[name]
        });
        let card = json!({ "title": "t", "pagepath": "p", "thumb": "t.png" });
        let link = json!({ "title": "t", "description": "d", "url": "u", "thumb_url": "u" });
        let contents = [("text", json!("t")), ("image", json!("i.png")), ("link", link), ("miniprogrampage", card)];
        assert_eq!(kinds.len(), contents.len());
        for (kind, (field, content)) in kinds.zip(contents) {
            let reply = json!({ field: content, "kf_account": "a@b", "is_ai_msg": true });
            let written: Reply = serde_json::from_value(reply.clone()).unwrap();
            assert_eq!((written.kind(), to_value(&written).unwrap()), (field, reply.clone()));
            let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!((names(&kind["properties"]), &kind["required"]), (names(&reply), &json!([field])));
            assert_eq!(kind["additionalProperties"], json!(false));
        }
        for name in ["Link", "Card", "SendRequest"] {
            assert_eq!(schemas[name]["additionalProperties"], json!(false), "{name}");
        }
    }

    #[test]
    fn each_resource_says_which_refusals_it_has() {
        let document = to_value(&*OPENAPI).unwrap();
        for (path, method, statuses) in [
            (MESSAGES, "post", "202 400 401 404 408 413 415 422 503"),
            (MESSAGE, "get", "200 401 404 503"),
            (DOCUMENT, "get", "200 503"),
        ] {
            let responses = document["paths"][path][method]["responses"].as_object().unwrap();
            assert_eq!(responses.keys().map(String::as_str).collect::<Vec<_>>().join(" "), statuses);
        }
    }
}
