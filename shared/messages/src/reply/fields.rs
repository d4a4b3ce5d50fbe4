//! Checks the fields of replies against WeChat's documentation.

use super::control;

/// The destination of a reply's link: http or https.
pub(super) fn url(name: &str, url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let fine = rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control() || "\"<>".contains(c))
    });
    (!fine).then(|| format!("{name} must be an http:// or https:// address"))
}

/// The picture of a link: JPG or PNG. The check works only if the address shows the format.
pub(super) fn thumb_url(name: &str, address: &str) -> Option<String> {
    const OTHERS: [&str; 9] = ["gif", "webp", "svg", "bmp", "avif", "heic", "tif", "tiff", "ico"];
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let other = extension.filter(|extension| OTHERS.contains(&extension.as_str()));
    url(name, address).or_else(|| other.map(|other| format!("{name} must be a JPG or PNG, not {other}")))
}

/// A page as in `app.json`, optionally with a query.
pub(super) fn pagepath(name: &str, path: &str) -> Option<String> {
    if let Some(blank) = control::blank(name, path) {
        return Some(blank);
    }
    let page = path.split('?').next().unwrap_or_default();
    let fine = !page.starts_with('/') && !page.contains("://") && !path.contains(|c: char| c.is_whitespace());
    (!fine).then(|| format!("{name} must be a page as in app.json, for example pages/index/index?id=1"))
}

/// The id of a mini program.
pub(super) fn appid(name: &str, appid: &str) -> Option<String> {
    let digits = appid.strip_prefix("wx").unwrap_or_default();
    let fine = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!fine).then(|| format!("{name} must be an appid: wx and 16 hexadecimal digits"))
}

/// A customer service account in full.
pub(super) fn kf_account(account: &str) -> Option<String> {
    let fine =
        account.split_once('@').is_some_and(|(name, of)| !name.is_empty() && !of.is_empty() && !of.contains('@'))
            && !account.contains(|c: char| c.is_whitespace() || c.is_control());
    (!fine).then(|| "kf_account must be a customer service account in full: NAME@ACCOUNT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_documentation_shows_is_taken_and_what_it_rules_out_is_not() {
        let thumb = |address: &str| thumb_url("thumb_url", address).is_none();
        for (address, fine) in [
            ("https://shop.example/a.png?x=1", true),
            ("http://shop.example", true),
            ("https://mmbiz.qpic.cn/mmbiz_jpg/abc/0?wx_fmt=jpeg", true),
            ("https://shop.example/a.GIF#x", false),
            ("https://shop.example/a.webp?format=png", false),
            ("https:///a.png", false),
            ("https://?a.png", false),
            ("shop.example/a.png", false),
            ("https://shop.example/a b.png", false),
            ("ftp://shop.example/a.png", false),
        ] {
            assert_eq!(thumb(address), fine, "{address}");
        }
        let page = |path: &str| pagepath("pagepath", path).is_none();
        assert!(page("pages/index/index?foo=bar") && page("pages/a?next=https://x/") && page("index"));
        assert!(!page("/pages/index/index") && !page("") && !page("https://shop.example/") && !page("pages/a b"));
        assert!(appid("appid", "wx0123456789abcdef").is_none());
        assert!(
            ["wx0123456789abcde", "gh_0123456789abcd", "wx0123456789abcdeg", ""]
                .iter()
                .all(|id| appid("a", id).is_some())
        );
        assert!(kf_account("agent1@shop").is_none() && kf_account("客服@gh_1").is_none());
        assert!(["agent", "@shop", "agent@", "a@b@c", "a b@c", ""].iter().all(|account| kf_account(account).is_some()));
    }
}
