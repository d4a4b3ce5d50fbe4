//! Pushes with texts in CDATA as they are, and what they are read as.

use kefu_wechat::push::{Content, Push, PushError};

/// What WeChat writes before a text, and behind it.
pub(crate) const HEAD: &str = "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oU]]></FromUserName>\
    <CreateTime>1699600000</CreateTime>";
pub(crate) const TAIL: &str = "<MsgId>24000000000000001</MsgId><BusinessId>7</BusinessId></xml>";

pub(crate) fn text_push(content: &str) -> String {
    format!("{HEAD}<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{content}]]></Content>{TAIL}")
}

pub(crate) fn card_push(title: &str, page_path: &str) -> String {
    format!(
        "{HEAD}<MsgType><![CDATA[miniprogrampage]]></MsgType><Title><![CDATA[{title}]]></Title>\
         <AppId><![CDATA[wx1]]></AppId><PagePath><![CDATA[{page_path}]]></PagePath><ThumbUrl><![CDATA[]]></ThumbUrl>\
         <ThumbMediaId><![CDATA[]]></ThumbMediaId>{TAIL}"
    )
}

pub(crate) fn enter_push(session_from: &str) -> String {
    format!(
        "{HEAD}<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[user_enter_tempsession]]></Event>\
         <SessionFrom><![CDATA[{session_from}]]></SessionFrom></xml>"
    )
}

/// Reads it, and sees that the fields that WeChat writes are as it wrote them.
pub(crate) fn read(body: &str) -> Result<Content, PushError> {
    let push = Push::parse(body)?;
    assert_eq!((push.to_user.as_str(), push.from_user.as_str(), push.create_time), ("gh_1", "oU", 1_699_600_000));
    match &push.content {
        Content::Text { .. } => assert_eq!(push.msg_type, "text"),
        Content::Miniprogrampage { app_id, thumb_url, thumb_media_id, .. } => {
            assert_eq!((push.msg_type.as_str(), app_id.as_str()), ("miniprogrampage", "wx1"));
            assert_eq!((thumb_url.as_str(), thumb_media_id.as_str()), ("", ""));
        }
        Content::Event { event, .. } => {
            assert_eq!((push.msg_type.as_str(), event.as_str()), ("event", "user_enter_tempsession"));
            assert_eq!((push.msg_id.as_deref(), push.business_id), (None, None));
            return Ok(push.content);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((push.msg_id.as_deref(), push.business_id), (Some("24000000000000001"), Some(7)));
    for absent in ["InfoType", "Encrypt", "MediaId"] {
        assert_eq!(push.fields.text(absent), None);
    }
    Ok(push.content)
}

pub(crate) fn text_of(body: &str) -> String {
    match read(body) {
        Ok(Content::Text { content } | Content::Event { session_from: content, .. }) => content,
        other => panic!("{other:?}: {body}"),
    }
}

/// As a text that was split over sections is read.
pub(crate) fn joined(text: &str) -> String {
    let mut joined = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("]]>") {
        joined.push_str(before);
        match after.trim_start().strip_prefix("<![CDATA[") {
            Some(after) => rest = after,
            None => return format!("{joined}]]>{after}"),
        }
    }
    joined + rest
}
