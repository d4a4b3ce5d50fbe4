//! One call of the API. The simulator reads the call before it takes the lock.

use actix_multipart::Multipart;
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Bytes, Query};
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};

use super::MAX_BODY;
use super::errcode::ApiError;
use crate::journal::MAX_ENTRY_BYTES;

/// Parameters that never reach the journal.
const SECRETS: [&str; 2] = ["access_token", "secret"];

/// One HTTP request to the API.
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Map<String, Value>,
    pub(crate) body: Bytes,
    /// The body, if it is a JSON object.
    pub(crate) json: Option<Map<String, Value>>,
    /// The part `media` of a multipart body.
    pub(crate) upload: Option<Upload>,
}

/// An uploaded file.
pub(crate) struct Upload {
    pub(crate) filename: Option<String>,
    pub(crate) bytes: Bytes,
}

impl Call {
    pub(super) async fn read(request: &HttpRequest, body: Bytes) -> Self {
        let query = Query::from_query(request.query_string()).map(Query::into_inner).unwrap_or_default();
        let upload = upload(request.headers(), body.clone()).await;
        let json = match serde_json::from_slice(&body) {
            Ok(Value::Object(object)) => Some(object),
            _ => None,
        };
        let (method, path) = (request.method().as_str().to_owned(), request.path().to_owned());
        Self { method, path, query, body, json, upload }
    }

    pub(crate) fn access_token(&self) -> Option<&str> {
        filled(&self.query, "access_token")
    }

    /// The appid that a caller of the token endpoints claims to be.
    pub(crate) fn claimed_appid(&self) -> Option<&str> {
        filled(&self.query, "appid").or_else(|| self.json.as_ref()?.get("appid")?.as_str())
    }

    /// The user that the call is about.
    pub(crate) fn user(&self) -> Option<&str> {
        self.json.as_ref()?.get("touser")?.as_str()
    }

    /// The body's JSON, or the error with which WeChat answers a body without a JSON object.
    pub(crate) fn object(&self) -> Result<&Map<String, Value>, ApiError> {
        match &self.json {
            _ if self.body.is_empty() => Err(ApiError::EMPTY_BODY),
            _ if has_escaped_text(&self.body) => Err(ApiError::ESCAPED_TEXT),
            Some(object) => Ok(object),
            None => Err(ApiError::FORMAT),
        }
    }

    /// The call as the journal shows it.
    pub(crate) fn for_journal(&self) -> Value {
        let without_secrets = |object: &Map<String, Value>| {
            let mut object = object.clone();
            object.retain(|name, _| !SECRETS.contains(&name.as_str()));
            Value::Object(object)
        };
        match (&self.upload, &self.json) {
            (Some(upload), _) => json!({ "filename": upload.filename, "bytes": upload.bytes.len() }),
            _ if self.body.len() > MAX_ENTRY_BYTES => json!({ "bytes": self.body.len() }),
            (None, Some(object)) => without_secrets(object),
            _ if self.body.is_empty() => without_secrets(&self.query),
            _ => Value::String(String::from_utf8_lossy(&self.body).into_owned()),
        }
    }
}

/// A text field that is present and not empty.
pub(super) fn filled<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The part `media` of a multipart body; `None` if the body is not multipart or does not keep to its boundary. WeChat
/// does not know the parameter `filename*`.
async fn upload(headers: &HeaderMap, body: Bytes) -> Option<Upload> {
    let mut parts = Multipart::new(headers, stream::iter([Ok::<_, PayloadError>(body)]));
    let mut upload = None;
    while let Some(part) = parts.next().await {
        let mut part = part.ok()?;
        let bytes = part.bytes(MAX_BODY).await.ok()?.ok()?;
        if upload.is_none() && part.name() == Some("media") {
            let filename = part.content_disposition().and_then(|disposition| disposition.get_filename());
            upload = Some(Upload { filename: filename.map(str::to_owned), bytes });
        }
    }
    upload
}

/// Whether the body has a character beyond ASCII, or a control character, in the form `\uXXXX`, which WeChat refuses.
/// Users have seen escaped ASCII characters pass, such as `\u003d` in addresses.
fn has_escaped_text(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        let escape = &rest[at + 1..];
        let code = escape.strip_prefix(b"u").and_then(|digits| std::str::from_utf8(digits.get(..4)?).ok());
        let code = code.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if code.is_some_and(|code| !matches!(code, 0x20..=0x7e)) {
            return true;
        }
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn escapes_of_control_characters_and_beyond_ascii_are_refused_and_an_escaped_backslash_is_none() {
        for escaped in [r"\u4f60", r"\\\u4f60", r"\u0002", r"\u000a", r"\u001F", r"\u007f", r"\ud83d"] {
            assert!(has_escaped_text(format!(r#"{{"content":"{escaped}"}}"#).as_bytes()), "{escaped}");
        }
        assert!(!has_escaped_text(br#"{"content":"\\u4f60 \u003c \n \t \b"}"#));
        assert!(!has_escaped_text("{\"content\":\"你\"}".as_bytes()));
    }

    #[tokio::test]
    async fn the_journal_sees_neither_secret_nor_token() {
        let get = TestRequest::get().uri("/?access_token=T&a=1").to_http_request();
        let get = Call::read(&get, Bytes::new()).await;
        assert_eq!(get.for_journal(), json!({ "a": "1" }));
        let body = Bytes::from_static(br#"{"appid":"wx1","secret":"hush"}"#);
        let post = Call::read(&TestRequest::post().to_http_request(), body).await;
        assert_eq!(post.for_journal(), json!({ "appid": "wx1" }));
    }

    async fn upload_of(content_type: &str, body: &'static [u8]) -> Option<Upload> {
        let request = TestRequest::post().insert_header(("Content-Type", content_type)).to_http_request();
        Call::read(&request, Bytes::from_static(body)).await.upload
    }

    const TYPE: &str = "multipart/form-data; boundary=XX";

    #[tokio::test]
    async fn the_part_media_of_a_body_is_found_with_its_filename_and_bytes() {
        let body = b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--XX\r\n\
            content-disposition: form-data; name=\"media\"; filename=\"p.png\"\r\nContent-Type: image/png\r\n\r\n\
            \x89\r\n--X\r\n--XX--\r\n";
        let upload = upload_of(TYPE, body).await.unwrap();
        assert_eq!(upload.filename.as_deref(), Some("p.png"));
        assert_eq!(upload.bytes, &b"\x89\r\n--X"[..]);
    }

    #[tokio::test]
    async fn a_body_that_is_cut_or_of_another_type_has_no_upload() {
        let cut = b"--XX\r\nContent-Disposition: form-data; name=\"media\"\r\n\r\nabc";
        assert!(upload_of(TYPE, cut).await.is_none());
        assert!(upload_of("application/json", b"{}").await.is_none());
        assert!(upload_of("multipart/form-data", b"").await.is_none());
    }
}
