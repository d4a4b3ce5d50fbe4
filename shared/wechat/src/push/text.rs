//! The text of a push, written anew from what the push names.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value};

use super::{Content, Format, Push};

impl Push {
    /// Whether the push names everything that WeChat sent. Then [`Push::to_text`] says the same as WeChat's own text.
    pub fn names_everything(&self) -> bool {
        let named = self.named();
        self.fields.len() == named.len() && named.iter().all(|(name, text)| self.fields.text(name) == Some(text))
    }

    /// The decrypted text with everything that the push names, in the format of the push.
    pub fn to_text(&self) -> String {
        match self.format {
            Format::Xml => {
                let mut xml = String::from("<xml>");
                for (name, text) in self.named() {
                    // The end of a CDATA section within the text is divided between two sections.
                    let text = text.replace("]]>", "]]]]><![CDATA[>");
                    // Writing to a string cannot fail.
                    let _written = write!(xml, "<{name}><![CDATA[{text}]]></{name}>");
                }
                xml + "</xml>"
            }
            Format::Json => {
                let value = |name, text: &str| match (name, text.parse::<u64>()) {
                    ("CreateTime" | "MsgId" | "BusinessId", Ok(number)) if number.to_string() == text => number.into(),
                    _ => Value::from(text),
                };
                let named = self.named().into_iter().map(|(name, text)| (name.to_owned(), value(name, &text)));
                Value::Object(named.collect::<Map<_, _>>()).to_string()
            }
        }
    }

    /// The names and texts of WeChat's fields that the push has.
    fn named(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        fn whole<T: ToString>(number: Option<T>) -> Cow<'static, str> {
            number.map(|number| number.to_string()).unwrap_or_default().into()
        }
        let mut named = vec![
            ("ToUserName", Cow::from(&self.to_user)),
            ("FromUserName", self.from_user.as_str().into()),
            ("CreateTime", whole(Some(self.create_time).filter(|time| *time != 0))),
            ("MsgType", (&self.msg_type).into()),
        ];
        match &self.content {
            Content::Text { content } => named.push(("Content", content.into())),
            Content::Image { pic_url, media_id } => {
                named.extend([("PicUrl", pic_url.into()), ("MediaId", media_id.into())]);
            }
            Content::Miniprogrampage { title, app_id, page_path, thumb_url, thumb_media_id } => named.extend([
                ("Title", title.into()),
                ("AppId", app_id.into()),
                ("PagePath", page_path.into()),
                ("ThumbUrl", thumb_url.into()),
                ("ThumbMediaId", thumb_media_id.into()),
            ]),
            Content::Event { event, session_from } => {
                named.extend([("Event", event.into()), ("SessionFrom", session_from.into())]);
            }
            Content::Other => {}
        }
        named.push(("MsgId", self.msg_id.as_deref().unwrap_or_default().into()));
        named.push(("BusinessId", whole(self.business_id)));
        named.retain(|(_, text)| !text.is_empty());
        named
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Push {
        Push::parse(text).unwrap()
    }

    proptest! {
        #[test]
        fn the_text_of_a_push_is_read_as_the_same_push(content in "\\PC*", xml: bool, event: bool, id in 1_u64..) {
            let (format, create_time) = (if xml { Format::Xml } else { Format::Json }, 1_700_000_000);
            let (msg_type, content) = match event {
                true => ("event", Content::Event { event: "user_enter_tempsession".into(), session_from: content }),
                false => ("text", Content::Text { content }),
            };
            let base = parsed(r#"{"ToUserName":"gh_1","FromUserName":"oUSER","MsgType":"x"}"#);
            let push = Push { format, create_time, msg_type: msg_type.into(), content, msg_id: Some(id.to_string()), ..base };
            let again = parsed(&push.to_text());
            prop_assert!(again.names_everything());
            prop_assert_eq!(Push { fields: again.fields.clone(), ..push }, again);
        }
    }

    #[test]
    fn the_documented_types_name_everything_and_are_read_as_the_same_push() {
        for of_type in [
            r#""MsgType":"text","Content":"this is a test]]>&<b>","MsgId":1234567890123456"#,
            r#""MsgType":"image","PicUrl":"this is a url?a=1&b=2","MediaId":"media_id","MsgId":1234567890123456"#,
            r#""MsgType":"miniprogrampage","MsgId":1234567890123456,"Title":"title","AppId":"appid","PagePath":"path",
               "ThumbUrl":"","ThumbMediaId":"""#,
            r#""MsgType":"miniprogrampage","MsgId":1234567890123456,"Title":"title","AppId":"appid","PagePath":"path",
               "ThumbUrl":"https://example.com/1","ThumbMediaId":"media_id""#,
            r#""MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"sessionFrom""#,
        ] {
            let json = format!(r#"{{"ToUserName":"gh_1","FromUserName":"oUSER","CreateTime":1482048670,{of_type}}}"#);
            let push = parsed(&json);
            for format in [Format::Json, Format::Xml] {
                let again = parsed(&Push { format, ..push.clone() }.to_text());
                assert_eq!(again, Push { format, fields: again.fields.clone(), ..push.clone() }, "{json}");
                assert!(again.names_everything(), "{json}");
            }
            assert_eq!(push.names_everything(), !json.contains(r#""ThumbUrl":"""#), "{json}");
        }
    }

    #[test]
    fn a_push_with_anything_else_does_not_name_everything() {
        let usual =
            r#"{"ToUserName":"gh_1","FromUserName":"oUSER","CreateTime":1700000000,"MsgType":"text","Content":"hi"}"#;
        assert!(parsed(usual).names_everything());
        for (old, new) in [
            (r#""Content":"hi""#, r#""Content":"hi","Unknown":1"#),
            (r#""Content":"hi""#, r#""Content":"hi","PicUrl":"""#),
            (r#""CreateTime":1700000000"#, r#""CreateTime":"1700000000.5""#),
            (r#""CreateTime":1700000000"#, r#""CreateTime":0"#),
            (r#""MsgType":"text""#, r#""MsgType":"location""#),
        ] {
            assert!(!parsed(&usual.replace(old, new)).names_everything(), "{new}");
        }
    }
}
