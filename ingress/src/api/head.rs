//! The requirements on the head of a request.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use kefu_program::config;
use kefu_program::internal::bearer;
use secrecy::ExposeSecret;

use crate::refusal::Refusal;

/// The longest `Idempotency-Key`, in characters.
pub(super) const LONGEST_KEY: usize = 255;

/// Accepts `Authorization: Bearer KEY` with one of the keys.
pub(crate) fn authorize(request: &HttpRequest, keys: &config::Api) -> Result<(), Refusal> {
    let keys = keys.keys.iter().map(ExposeSecret::expose_secret);
    if bearer::is_given(request, keys) {
        Ok(())
    } else {
        Err(Refusal::Unauthenticated("the API key is missing or wrong"))
    }
}

/// Accepts `application/json` with any parameters: JSON is always UTF-8.
pub(crate) fn require_json(request: &HttpRequest) -> Result<(), Refusal> {
    let given = one(request, CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Refusal::NotJson) }
}

/// The `Idempotency-Key`. Without a key kefu could send the same message twice.
pub(crate) fn idempotency_key(request: &HttpRequest) -> Result<&str, Refusal> {
    let malformed = |what: &str| Refusal::MalformedRequest(format!("the header Idempotency-Key {what}"));
    if !request.headers().contains_key("idempotency-key") {
        return Err(malformed("is missing: choose one for each message, and repeat a request with the same"));
    }
    one(request, "idempotency-key")
        .filter(|key| (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| malformed("must be given once, with 1 to 255 visible characters of ASCII, without blanks"))
}

/// The value of the header, unless the header is absent, comes twice or is no text.
fn one<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let mut values = request.headers().get_all(name);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn with(name: &'static str, values: &[&str]) -> HttpRequest {
        values
            .iter()
            .fold(TestRequest::default(), |request, value| request.append_header((name, *value)))
            .to_http_request()
    }

    #[test]
    fn the_present_key_and_the_one_before_are_taken_and_no_other() {
        let keys = config::Api { keys: ["the-present-key-1", "the-key-before-it"].map(Into::into).into() };
        for good in ["Bearer the-present-key-1", "Bearer the-key-before-it"] {
            assert_eq!(authorize(&with("authorization", &[good]), &keys), Ok(()), "{good}");
        }
        let another = with("authorization", &["Bearer another-key-of-16"]);
        assert_eq!(authorize(&another, &keys), Err(Refusal::Unauthenticated("the API key is missing or wrong")));
    }

    #[test]
    fn an_idempotency_key_is_one_and_visible() {
        let longest = "k".repeat(255);
        for good in ["1", "order-1|paid", &longest] {
            assert_eq!(idempotency_key(&with("idempotency-key", &[good])), Ok(good));
        }
        let too_long = "k".repeat(256);
        for bad in [&[][..], &[""], &["a b"], &["é"], &["a", "b"], &[&too_long]] {
            assert!(
                matches!(idempotency_key(&with("idempotency-key", bad)), Err(Refusal::MalformedRequest(_))),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn json_is_json_with_parameters_and_nothing_else() {
        for good in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(require_json(&with("content-type", &[good])), Ok(()));
        }
        for bad in [&[][..], &["text/plain"], &["application/json5"], &["application/json", "text/plain"]] {
            assert_eq!(require_json(&with("content-type", bad)), Err(Refusal::NotJson), "{bad:?}");
        }
    }
}
