//! What tests of several modules handle.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use kefu_wechat::openid::OpenId;
use kefu_wechat::push::{Content, Fields, Format, Push};
use tokio::time::Instant;

use crate::disk::Disk;
use crate::envelope::Envelope;

/// The text `hello` of a user, with this MsgId.
pub(crate) fn envelope(user: &str, id: u32) -> Envelope {
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

/// Has as many calls of the disk hang as it takes, until the returned end is dropped.
pub(crate) async fn hang(disk: &Disk) -> Sender<()> {
    let (end, hangs) = channel::<()>();
    let hangs = Arc::new(Mutex::new(hangs));
    // More than it takes.
    for _ in 0..100 {
        let hangs = Arc::clone(&hangs);
        let work = move || Ok(hangs.lock().map(|hangs| hangs.recv().is_ok()).is_ok());
        assert!(disk.call_until(Instant::now(), work).await.is_err());
    }
    end
}
