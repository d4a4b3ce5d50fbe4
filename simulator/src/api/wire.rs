//! An answer as the simulator sends it over the network, with or without a fault.

use std::io;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::Date;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::Answer;
use super::errcode::{self, ApiError};
use crate::faults::{FaultKind, FaultRequest};

/// WeChat writes `encoding` where others write `charset`.
const JSON: &str = "application/json; encoding=utf-8";
const PAGE: &str = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>\
    <body><center><h1>502 Bad Gateway</h1></center></body></html>";

/// Where the simulator cuts the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Never,
    /// The cut comes before the first byte of the answer.
    Before,
    /// The cut comes in the middle of the body.
    Middle,
}

/// The answer that the simulator sends.
pub(crate) struct Wire {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) filename: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) cut: Cut,
    pub(crate) delay: Duration,
    /// The errcode that a caller can read from the answer, and its text.
    pub(crate) errcode: Option<i64>,
    pub(crate) errmsg: Option<String>,
    json: Option<Value>,
}

impl Wire {
    pub(super) fn new(result: Result<Answer, ApiError>, now_s: i64) -> Self {
        match result {
            Ok(Answer::Json(value)) => Self::of_json(value),
            Ok(Answer::File { content_type, filename, bytes }) => {
                Self { content_type, filename: Some(filename), errcode: Some(0), ..Self::of_bytes(200, bytes) }
            }
            Err(error) => Self::of_json(errcode::json_of(error.0, None, now_s)),
        }
    }

    fn of_bytes(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: "text/plain",
            filename: None,
            body: body.into(),
            cut: Cut::Never,
            delay: Duration::ZERO,
            errcode: None,
            errmsg: None,
            json: None,
        }
    }

    fn of_json(value: Value) -> Self {
        Self {
            content_type: JSON,
            errcode: Some(value.get("errcode").and_then(read_errcode).unwrap_or(0)),
            errmsg: value.get("errmsg").and_then(Value::as_str).map(str::to_owned),
            body: Bytes::from(value.to_string()),
            json: Some(value),
            ..Self::of_bytes(200, Bytes::new())
        }
    }

    pub(super) fn with_fault(self, fault: &FaultRequest, now_s: i64) -> Self {
        let given = || fault.errcode.map(|errcode| errcode::json_of(errcode, fault.errmsg.as_deref(), now_s));
        match fault.kind {
            FaultKind::Errcode => Self::of_json(given().unwrap_or_else(errcode::json_ok)),
            FaultKind::Latency => Self { delay: Duration::from_millis(fault.latency_ms.unwrap_or(0)), ..self },
            FaultKind::Drop => Self { cut: Cut::Before, errcode: None, errmsg: None, ..self },
            FaultKind::CutBody => Self { cut: Cut::Middle, errcode: None, errmsg: None, ..self },
            FaultKind::CutJson => {
                Self { body: self.body.slice(..self.body.len() / 2), errcode: None, errmsg: None, ..self }
            }
            FaultKind::Status => {
                let text = fault.body.clone().unwrap_or_else(|| "Internal Server Error".to_owned());
                Self::of_bytes(fault.status.unwrap_or(500), text)
            }
            FaultKind::Html => Self { content_type: "text/html", ..Self::of_bytes(fault.status.unwrap_or(200), PAGE) },
            FaultKind::ErrcodeAsText => {
                let mut value = given().or(self.json).unwrap_or_else(errcode::json_ok);
                let errcode = value.get("errcode").and_then(Value::as_i64).unwrap_or(0);
                value["errcode"] = json!(errcode.to_string());
                Self::of_json(value)
            }
            FaultKind::LongToken | FaultKind::ExpireToken | FaultKind::InvalidateToken => self,
        }
    }

    pub(super) fn respond(self, date: Date) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        response.insert_header(date);
        response.content_type(self.content_type);
        if let Some(filename) = self.filename {
            response.insert_header(("Content-disposition", format!("attachment; filename=\"{filename}\"")));
        }
        let length = self.body.len();
        match self.cut {
            Cut::Never => response.body(self.body),
            Cut::Before => response.body(SizedStream::new(1, stream::once(async { Err::<Bytes, _>(broken()) }))),
            Cut::Middle => {
                let first = stream::once(std::future::ready(Ok(self.body.slice(..length / 2))));
                let then = stream::once(async {
                    // This yield lets the server write the first part.
                    tokio::task::yield_now().await;
                    Err(broken())
                });
                response.body(SizedStream::new(length as u64, first.chain(then)))
            }
        }
    }
}

/// The end of a body that makes the server close the connection. The server never sends the bytes that it has not yet
/// written, and it does not write the head before it has asked the body for its first part.
fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut by order of a fault")
}

fn read_errcode(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
