//! The links that WeChat shows in a text: `<a href="…" data-miniprogram-appid="…" data-miniprogram-path="…">label</a>`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/kf-mgnt/kf-message/sendCustomMessage.html>.

use std::ops::Range;

/// One link of a text.
pub(super) struct Anchor<'a> {
    /// From `<a` to the end of `</a>`; without `</a>`, to the end of the opening tag.
    pub(super) range: Range<usize>,
    /// The text between `<a` and `>`.
    attributes: &'a str,
    has_end: bool,
}

/// The links of a text, in order.
pub(super) fn anchors(text: &str) -> Vec<Anchor<'_>> {
    let lower = text.to_ascii_lowercase();
    let mut anchors: Vec<Anchor<'_>> = Vec::new();
    for (start, _) in lower.match_indices("<a") {
        let from = start + 2;
        let is_tag = lower[from..].starts_with(|c: char| c.is_whitespace() || c == '>');
        let is_nested = anchors.last().is_some_and(|before| start < before.range.end);
        if !is_tag || is_nested {
            continue;
        }
        let Some(length) = lower[from..].find('>') else { break };
        let opened = from + length + 1;
        let label = lower[opened..].find("</a>");
        let end = label.map_or(opened, |label| opened + label + "</a>".len());
        anchors.push(Anchor { range: start..end, attributes: &text[from..opened - 1], has_end: label.is_some() });
    }
    anchors
}

impl<'a> Anchor<'a> {
    /// The value of an attribute, with or without quotes.
    fn attribute(&self, name: &str) -> Option<&'a str> {
        let lower = self.attributes.to_ascii_lowercase();
        let (at, _) = lower.match_indices(name).find(|(at, _)| lower[..*at].ends_with(char::is_whitespace))?;
        let value = self.attributes[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
        match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split(quote).next(),
            _ => value.split_whitespace().next(),
        }
    }
}

/// The mistakes in the links of a text, in words. `is_own`: whether an appid may be the sending mini program's.
pub(crate) fn problems(text: &str, is_own: impl Fn(&str) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for anchor in anchors(text) {
        if !anchor.has_end {
            problems.push("a link <a …> of the text has no </a>".to_owned());
        }
        let (appid, path) = (anchor.attribute("data-miniprogram-appid"), anchor.attribute("data-miniprogram-path"));
        if appid.is_some() != path.is_some() {
            let text =
                "a link of the text needs both data-miniprogram-appid and data-miniprogram-path, or none of them";
            problems.push(text.to_owned());
        }
        if let Some(appid) = appid.filter(|appid| !is_own(appid)) {
            problems.push(format!(
                "the data-miniprogram-appid of a link of the text must be the sending mini program's own, not {appid}"
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_nothing_else() {
        let text = r#"a<b <abc> <a href="x">1</a>, <A
            HREF='y'>2</A> <a>3"#;
        let found: Vec<&str> = anchors(text).into_iter().map(|anchor| &text[anchor.range]).collect();
        assert_eq!(found, ["<a href=\"x\">1</a>", "<A\n            HREF='y'>2</A>", "<a>"]);
        assert!(anchors("<a href=").is_empty());
    }

    #[test]
    fn a_link_to_a_page_is_one_of_the_sending_mini_program() {
        let link = |attributes: &str| problems(&format!("go <a {attributes}>there</a>"), |appid| appid == "wx1");
        assert!(link(r#"href="https://x""#).is_empty());
        assert!(link(r#"href="https://x" data-miniprogram-appid="wx1" data-miniprogram-path="pages/a""#).is_empty());
        assert!(link("data-miniprogram-path='pages/a' data-miniprogram-appid=wx1").is_empty());
        for (attributes, expected) in [
            (r#"data-miniprogram-appid="wx2" data-miniprogram-path="p""#, "not wx2"),
            (r#"data-miniprogram-appid="wx1""#, "needs both"),
            (r#"data-miniprogram-path="pages/a""#, "needs both"),
        ] {
            let problems = link(attributes);
            assert!(matches!(&problems[..], [one] if one.contains(expected)), "{problems:?}");
        }
        assert!(problems("<a href='x'>there", |_| true)[0].contains("no </a>"));
    }
}
