//! Extra slashes in a path, which consoles, probes and proxies add: `//push/wx1/` means `/push/wx1`.

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;

/// Gives the request the path that its sender means, before a resource is looked for. Nothing is redirected, because WeChat
/// follows no redirect; the query stays unchanged. An encoded slash, `%2F`, does not count.
pub fn merge(request: &mut ServiceRequest) {
    let Some(path) = merged(request.path()) else { return };
    let mut parts = request.uri().clone().into_parts();
    let path_and_query = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    parts.path_and_query = PathAndQuery::try_from(path_and_query).ok();
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// The path without empty parts; `None` if the path has no empty parts, like nearly every path.
fn merged(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let is_fine = !bytes.windows(2).any(|pair| pair == b"//") && (bytes.len() == 1 || !bytes.ends_with(b"/"));
    if is_fine || !path.starts_with('/') {
        return None;
    }
    let mut merged = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        merged.push('/');
        merged.push_str(part);
    }
    Some(if merged.is_empty() { "/".to_owned() } else { merged })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// The target of a request after the merge, and the path by which resources are matched.
    fn target(uri: &str) -> (String, String) {
        let mut request = TestRequest::with_uri(uri).to_srv_request();
        merge(&mut request);
        (request.uri().to_string(), request.match_info().as_str().to_owned())
    }

    #[test]
    fn slashes_too_many_are_taken_out_of_the_path_alone() {
        for (given, path) in [
            ("/push/wx1", "/push/wx1"),
            ("/push/wx1/", "/push/wx1"),
            ("//push/wx1", "/push/wx1"),
            ("/push//wx1", "/push/wx1"),
            ("///push//wx1///", "/push/wx1"),
            ("/push/%2Fwx1%2F", "/push/%2Fwx1%2F"),
            ("/", "/"),
            ("//", "/"),
        ] {
            assert_eq!(target(given), (path.to_owned(), path.to_owned()), "{given}");
            let query = "?nonce=a//b/&x=%2F%2f&y=";
            assert_eq!(target(&format!("{given}{query}")), (format!("{path}{query}"), path.to_owned()), "{given}");
        }
        assert_eq!(target("http://kefu//push/wx1/?a=/").0, "http://kefu/push/wx1?a=/");
    }
}
