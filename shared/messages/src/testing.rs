//! Values for the tests of several crates.

use kefu_wechat::openid::OpenId;
use kefu_wechat::push::{Content, Fields, Format, Push};

use crate::envelope::Envelope;

/// The text `hello` of a user, with this MsgId.
pub fn envelope(user: &str, id: u32) -> Envelope {
    let push = Push {
        format: Format::Json,
        to_user: "gh_1".to_owned(),
        from_user: OpenId::new(user),
        create_time: 1_700_000_000,
        msg_id: Some(id.to_string()),
        business_id: None,
        msg_type: "text".to_owned(),
        content: Content::Text { content: "hello".to_owned() },
        fields: Fields::default(),
    };
    Envelope::of_push("wx1", push, "{}".to_owned(), 1_700_000_000_000)
}
