//! `Authorization: Bearer KEY`: the right to use the protected resources of the internal server.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Whether the request has one of these keys, in one header. The function compares digests, in constant time: the time
/// reveals neither a key nor its length.
pub fn is_given<'a>(request: &HttpRequest, keys: impl IntoIterator<Item = &'a str>) -> bool {
    let Some(given) = key(request) else { return false };
    let given = Sha256::digest(given.as_bytes());
    let is_one = |key: &str| Sha256::digest(key.as_bytes()).as_slice().ct_eq(given.as_slice());
    keys.into_iter().fold(Choice::from(0), |found, key| found | is_one(key)).into()
}

fn key(request: &HttpRequest) -> Option<&str> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const KEYS: [&str; 2] = ["the-present-key-1", "the-key-before-it"];

    fn with(values: &[&str]) -> HttpRequest {
        let request = |request: TestRequest, value: &&str| request.append_header((AUTHORIZATION, *value));
        values.iter().fold(TestRequest::default(), request).to_http_request()
    }

    #[test]
    fn either_key_is_taken_and_nothing_like_one() {
        for good in ["Bearer the-present-key-1", "bearer the-key-before-it", "BEARER  the-present-key-1"] {
            assert!(is_given(&with(&[good]), KEYS), "{good}");
        }
        for bad in ["", "Bearer", "Bearer ", "the-present-key-1", "Basic the-present-key-1", "Bearer the-present-key-"]
        {
            assert!(!is_given(&with(&[bad]), KEYS), "{bad}");
        }
        assert!(!is_given(&with(&["Bearer the-present-key-1", "Bearer the-present-key-1"]), KEYS), "twice");
        assert!(!is_given(&with(&["Bearer the-present-key-1"]), []), "there is no key");
    }
}
