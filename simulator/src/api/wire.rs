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

use super::errcode::ApiError;
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
    /// An answer in JSON. Without an `errcode` the call was successful.
    pub(super) fn json(value: Value) -> Self {
        let errcode = &value["errcode"];
        Self {
            errcode: errcode.as_i64().or_else(|| errcode.as_str()?.parse().ok()).or(Some(0)),
            errmsg: value["errmsg"].as_str().map(str::to_owned),
            body: Bytes::from(value.to_string()),
            json: Some(value),
            ..Self::new(200, JSON, "")
        }
    }

    /// The answer to a successful call that returns nothing else.
    pub(super) fn ok() -> Self {
        Self::json(json!({ "errcode": 0, "errmsg": "ok" }))
    }

    /// The answer to a successful call that returns a file.
    pub(super) fn file(content_type: &'static str, filename: String, bytes: Bytes) -> Self {
        Self { filename: Some(filename), errcode: Some(0), ..Self::new(200, content_type, bytes) }
    }

    fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            filename: None,
            body: body.into(),
            cut: Cut::Never,
            delay: Duration::ZERO,
            errcode: None,
            errmsg: None,
            json: None,
        }
    }

    /// The answer as a fault changes it.
    pub(super) fn with_fault(self, fault: &FaultRequest, now_s: i64) -> Self {
        let given = || fault.errcode.map(|errcode| ApiError(errcode).json(fault.errmsg.as_deref(), now_s));
        match fault.kind {
            FaultKind::Errcode => given().map_or_else(Self::ok, Self::json),
            FaultKind::Latency => Self { delay: Duration::from_millis(fault.latency_ms.unwrap_or(0)), ..self },
            FaultKind::Drop => Self { cut: Cut::Before, errcode: None, errmsg: None, ..self },
            FaultKind::CutBody => Self { cut: Cut::Middle, errcode: None, errmsg: None, ..self },
            FaultKind::CutJson => {
                Self { body: self.body.slice(..self.body.len() / 2), errcode: None, errmsg: None, ..self }
            }
            FaultKind::Status => {
                let text = fault.body.clone().unwrap_or_else(|| "Internal Server Error".to_owned());
                Self::new(fault.status.unwrap_or(500), "text/plain", text)
            }
            FaultKind::Html => Self::new(fault.status.unwrap_or(200), "text/html", PAGE),
            FaultKind::ErrcodeAsText => {
                let mut value = given().or(self.json).or(Self::ok().json).unwrap_or_default();
                value["errcode"] = json!(value["errcode"].as_i64().unwrap_or(0).to_string());
                Self::json(value)
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
