//! The usual shape of a body: a flat list of elements in which nothing is in doubt.

use memchr::{memchr, memchr_iter, memchr3};

use crate::push::Fields;
use crate::push::fields::Collected;

/// The fields of an `<xml>` whose elements have different names, no attributes, and each one CDATA section or plain text
/// without references. `None` for every other body, which [`super::tree`] reads. Where this function returns fields, they
/// are those of [`super::tree::read`], without doubt; nearly all pushes are read here, in a quarter of the time.
pub(super) fn read(body: &str) -> Option<Fields> {
    let mut fields = Collected::of(body.len());
    let mut rest = body.strip_prefix("<xml>")?.trim_start();
    loop {
        rest = rest.strip_prefix('<')?;
        if let Some(end) = rest.strip_prefix("/xml>") {
            return end.is_empty().then(|| fields.into_fields());
        }
        let (name, after) = split_at_byte(rest, b'>')?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let content = after.trim_start();
        let (value, end) = match content.strip_prefix("<![CDATA[") {
            Some(section) => {
                let (value, end) = split_at_section_end(section)?;
                (value, end.trim_start())
            }
            None => {
                let end = memchr3(b'<', b'>', b'&', content.as_bytes())?;
                (content.get(..end)?.trim_end(), content.get(end..)?)
            }
        };
        rest = end.strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')?.trim_start();
        fields.insert_new(name, value).ok()?;
    }
}

fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr(byte, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The texts before and after the first `]]>`.
fn split_at_section_end(text: &str) -> Option<(&str, &str)> {
    let is_end = |&at: &usize| text.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(b"]]>"));
    let at = memchr_iter(b']', text.as_bytes()).find(is_end)?;
    Some((text.get(..at)?, text.get(at + 3..)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::tree::{self, Faults, Reading};
    use super::*;

    const TEXT: &str = "<xml>\n<ToUserName><![CDATA[gh_1]]></ToUserName>\n<CreateTime>1714037059</CreateTime>\n\
        <Content><![CDATA[ a<b & <c>]] 您好 ]]></Content>\n</xml>";

    #[test]
    fn a_push_as_wechat_writes_it_has_the_usual_shape() {
        let fields = read(TEXT).unwrap();
        assert_eq!(fields.text("ToUserName"), Some("gh_1"));
        assert_eq!(fields.text("CreateTime"), Some("1714037059"));
        assert_eq!(fields.text("Content"), Some(" a<b & <c>]] 您好 "));
    }

    #[test]
    fn what_another_reader_might_see_otherwise_has_not_the_usual_shape() {
        for body in [
            "<xml><A>1</A><A>2</A></xml>",
            "<xml><A>a&amp;b</A></xml>",
            "<xml><A><B>1</B></A></xml>",
            "<xml><A b=\"1\">1</A></xml>",
            "<xml><A/></xml>",
            "<xml><A><![CDATA[1]]> <![CDATA[2]]></A></xml>",
            "<xml><A><![CDATA[1]]>2</A></xml>",
            "<xml><A>1</A></xml><xml/>",
            "<xml><!-- --><A>1</A></xml>",
            "<xml><A>1</B></xml>",
            "<xml><A>1</A>",
        ] {
            assert!(read(body).is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_here_is_what_the_reader_of_all_xml_reads(
            pieces in proptest::collection::vec(
                prop::sample::select(vec![
                    "<A>", "</A>", "<Bc>", "</Bc>", "<![CDATA[", "]]>", "]]", "]", ">", "<", "&", "&lt;", " ", "\n", "\r\n",
                    "1", "x y", "您", "\u{a0}", "\u{feff}", "\0", "/", "A", "<A/>", "<A >", "<!--", "-->", "<?", "?>", "<xml>",
                ]),
                0..24,
            ),
            is_tidy in any::<bool>(),
        ) {
            let element = |(n, pieces): (usize, &[&str])| match n % 2 {
                0 => format!("<N{n}>{}</N{n}>", pieces.concat()),
                _ => format!("<N{n}><![CDATA[{}]]></N{n}>", pieces.concat()),
            };
            let inner = match is_tidy {
                true => pieces.chunks(2).enumerate().map(element).collect(),
                false => pieces.concat(),
            };
            let body = format!("<xml>{inner}</xml>");
            if let Some(fields) = read(&body) {
                let whole = tree::read(&body, Faults::Mended);
                prop_assert!(matches!(whole, Ok(Reading { fields: whole, doubt: None }) if whole == fields), "{}", body);
            }
        }
    }
}
