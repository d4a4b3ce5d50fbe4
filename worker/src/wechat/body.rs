//! Replies as custom/send takes them.

use std::io;

use kefu_messages::reply::{Content, Reply};
use kefu_wechat::openid::OpenId;
use serde::Serialize;
use serde_json::json;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// The JSON of a reply to `user`, in the session with the sub-merchant `business_id`, if the session is with one. The
/// JSON is raw UTF-8, since WeChat refuses `\uXXXX` escapes or shows them literally. A control character in any field
/// is left out. `media_id` is the picture's, where the reply has a picture. A card without an appid opens the sending
/// mini program, `appid`.
pub(crate) fn of(
    user: &OpenId,
    business_id: Option<u64>,
    appid: &str,
    reply: &Reply,
    media_id: Option<&str>,
) -> Vec<u8> {
    let media_id = media_id.unwrap_or_default();
    let content = match &reply.content {
        Content::Text(text) => json!({ "content": text }),
        Content::Image(_) => json!({ "media_id": media_id }),
        Content::Link(link) => json!({
            "title": link.title, "description": link.description, "url": link.url, "thumb_url": link.thumb_url,
        }),
        Content::Miniprogrampage(card) => json!({
            "title": card.title,
            "appid": card.appid.as_deref().unwrap_or(appid),
            "pagepath": card.pagepath,
            "thumb_media_id": media_id,
        }),
    };
    let mut body = json!({ "touser": user.as_str(), "msgtype": reply.kind(), reply.kind(): content });
    if let Some(account) = &reply.kf_account {
        body["customservice"] = json!({ "kf_account": account });
    }
    if reply.is_ai_msg {
        body["aimsgcontext"] = json!({ "is_ai_msg": 1 });
    }
    if let Some(business_id) = business_id {
        body["businessid"] = json!(business_id);
    }
    let mut bytes = Vec::with_capacity(256);
    // The serializer writes texts, numbers and maps into memory, which cannot fail.
    let written = body.serialize(&mut Serializer::with_formatter(&mut bytes, WithoutEscapes));
    debug_assert!(written.is_ok(), "JSON cannot be written: {written:?}");
    bytes
}

/// Writes no `\uXXXX`, `\b` or `\f`. JSON has these escapes for control characters, which replies leave out.
struct WithoutEscapes;

impl Formatter for WithoutEscapes {
    fn write_char_escape<W: ?Sized + io::Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::AsciiControl(_) | CharEscape::Backspace | CharEscape::FormFeed => Ok(()),
            escape => CompactFormatter.write_char_escape(writer, escape),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kefu_messages::reply::{Card, Link};
    use serde_json::Value;

    use super::*;

    fn json_of(content: Content, media_id: Option<&str>) -> Value {
        serde_json::from_slice(&of(&OpenId::new("oUSER"), None, "wx1", &content.into(), media_id)).unwrap()
    }

    #[test]
    fn each_kind_has_the_shape_that_wechat_documents() {
        assert_eq!(
            json_of(Content::Text("你好".into()), None),
            json!({"touser":"oUSER","msgtype":"text","text":{"content":"你好"}})
        );
        assert_eq!(
            json_of(Content::Image("a.png".into()), Some("M")),
            json!({"touser":"oUSER","msgtype":"image","image":{"media_id":"M"}})
        );
        let link = Link {
            title: "t".into(),
            description: "d".into(),
            url: "https://a.example/?x=1&y=2".into(),
            thumb_url: "https://a.example/t.png".into(),
        };
        assert_eq!(
            json_of(Content::Link(link), None),
            json!({"touser":"oUSER","msgtype":"link","link":{
                "title":"t","description":"d","url":"https://a.example/?x=1&y=2","thumb_url":"https://a.example/t.png"}})
        );
        let mut card = Card { title: "t".into(), pagepath: "pages/a?x=1".into(), appid: None, thumb: "t.png".into() };
        let expected = |appid: &str| {
            json!({"touser":"oUSER","msgtype":"miniprogrampage","miniprogrampage":{
                "title":"t","appid":appid,"pagepath":"pages/a?x=1","thumb_media_id":"M"}})
        };
        assert_eq!(json_of(Content::Miniprogrampage(card.clone()), Some("M")), expected("wx1"));
        card.appid = Some("wx2".into());
        assert_eq!(json_of(Content::Miniprogrampage(card), Some("M")), expected("wx2"));
    }

    #[test]
    fn who_speaks_and_for_whom_is_said() {
        let text = Content::Text("hi".into());
        let reply = Reply { content: text, kf_account: Some("agent@shop".into()), is_ai_msg: true };
        let body: Value = serde_json::from_slice(&of(&OpenId::new("oUSER"), Some(7), "wx1", &reply, None)).unwrap();
        let expected = json!({"touser":"oUSER","msgtype":"text","text":{"content":"hi"},
            "customservice":{"kf_account":"agent@shop"},"aimsgcontext":{"is_ai_msg":1},"businessid":7});
        assert_eq!(body, expected);
    }

    #[test]
    fn text_goes_out_as_raw_utf8() {
        let body =
            of(&OpenId::new("oUSER"), None, "wx1", &Content::Text("您好 😀 <a href=\"x\">&</a>".into()).into(), None);
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("您好 😀 <a href=\\\"x\\\">&</a>"), "{body}");
        assert!(!body.contains("\\u"));
    }

    #[test]
    fn no_character_is_escaped_but_those_that_have_a_letter_of_their_own() {
        let all: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        let link = Link { title: all.clone(), description: all.clone(), url: all.clone(), thumb_url: all.clone() };
        let card = Card { title: all.clone(), pagepath: all.clone(), appid: Some(all.clone()), thumb: "t.png".into() };
        for content in [Content::Text(all.clone()), Content::Link(link), Content::Miniprogrampage(card)] {
            let reply = Reply { content, kf_account: Some(all.clone()), is_ai_msg: true };
            let body = of(&OpenId::new(&*all), Some(7), &all, &reply, Some(&all));
            let body = String::from_utf8(body).unwrap();
            // Each backslash that is left begins another escape, once the pairs that stand for a backslash are removed.
            let rest = body.replace("\\\\", "");
            let escaped: BTreeSet<&str> = rest.match_indices('\\').map(|(at, _)| &rest[at..at + 2]).collect();
            assert_eq!(escaped, BTreeSet::from(["\\\"", "\\n", "\\r", "\\t"]));
            assert!(serde_json::from_str::<Value>(&body).is_ok());
        }
    }
}
