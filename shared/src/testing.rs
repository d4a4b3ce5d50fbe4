//! What tests of several modules handle.

use crate::envelope::{self, Envelope};
use crate::message_key::MessageKey;
use crate::openid::OpenId;
use crate::wechat::push::{Content, Fields, Format, Push};

/// The text `hello` of a user, with this MsgId.
pub(crate) fn envelope(user: &str, id: u32) -> Envelope {
    let push = Push {
        format: Format::Json,
        to_user: "gh_1".to_owned(),
        from_user: OpenId::new(user),
        create_time: 1_700_000_000,
        msg_id: Some(id.to_string()),
        msg_type: "text".to_owned(),
        content: Content::Text { content: "hello".to_owned() },
        fields: Fields::default(),
    };
    Envelope {
        v: envelope::VERSION,
        key: MessageKey::of("wx1", &push),
        account: "wx1".to_owned(),
        received_at_ms: 1_700_000_000_000,
        push,
        raw: "{}".to_owned(),
        traceparent: None,
    }
}
