//! Values for the tests of several crates.

use kefu_wechat::openid::OpenId;
use kefu_wechat::push::{Content, Fields, Format, Push};

use crate::envelope::Envelope;

/// The text `hello` of a user, with this MsgId.
pub fn envelope(user: &str, id: u32) -> Envelope {
    text(user, id, "hello", "{}")
}

/// The text `content` of a user, with this MsgId and this decrypted text.
pub fn text(user: &str, id: u32, content: &str, raw: &str) -> Envelope {
    let push = Push {
        format: Format::Json,
        to_user: "gh_1".to_owned(),
        from_user: OpenId::new(user),
        create_time: 1_700_000_000,
        msg_id: Some(id.to_string()),
        business_id: None,
        msg_type: "text".to_owned(),
        content: Content::Text { content: content.to_owned() },
        fields: Fields::default(),
    };
    Envelope::of_push("wx1", push, raw.to_owned(), 1_700_000_000_000)
}
