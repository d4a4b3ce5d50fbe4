//! The temporary media: uploads, and pictures of simulated users.

use std::collections::{HashMap, VecDeque};

use actix_web::web::Bytes;

use super::token::random_text;
use crate::config::Limits;

/// The most bytes of all media together. Beyond this limit the simulator forgets the oldest media first.
const MAX_BYTES: usize = 256 * 1_024 * 1_024;
const ID_CHARS: usize = 64;

/// All media that the simulator keeps.
#[derive(Default)]
pub(crate) struct Media {
    items: HashMap<String, Item>,
    order: VecDeque<String>,
    bytes: usize,
}

/// One file.
#[derive(Clone)]
pub(crate) struct Item {
    appid: String,
    pub(crate) kind: &'static ImageKind,
    pub(crate) bytes: Bytes,
    expires_s: i64,
}

/// A picture format that WeChat accepts.
#[derive(Debug)]
pub(crate) struct ImageKind {
    pub(super) first_bytes: &'static [u8],
    pub(crate) content_type: &'static str,
    pub(super) extension: &'static str,
}

pub(crate) const PNG: &ImageKind =
    &ImageKind { first_bytes: b"\x89PNG\r\n\x1a\n", content_type: "image/png", extension: "png" };
pub(super) const IMAGE_KINDS: [&ImageKind; 4] = [
    PNG,
    &ImageKind { first_bytes: b"\xff\xd8\xff", content_type: "image/jpeg", extension: "jpg" },
    &ImageKind { first_bytes: b"GIF87a", content_type: "image/gif", extension: "gif" },
    &ImageKind { first_bytes: b"GIF89a", content_type: "image/gif", extension: "gif" },
];

impl Media {
    /// Keeps a file. Returns its media_id.
    pub(crate) fn add(
        &mut self,
        appid: &str,
        kind: &'static ImageKind,
        bytes: Bytes,
        limits: &Limits,
        now_s: i64,
    ) -> String {
        let media_id = random_text(ID_CHARS);
        self.bytes += bytes.len();
        let expires_s = now_s.saturating_add_unsigned(limits.media_lifetime_s);
        let item = Item { appid: appid.to_owned(), kind, bytes, expires_s };
        self.items.insert(media_id.clone(), item);
        self.order.push_back(media_id.clone());
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.items.remove(&oldest).map_or(0, |item| item.bytes.len());
        }
        media_id
    }

    /// An account's file that has not expired.
    pub(crate) fn get(&self, appid: &str, media_id: &str, now_s: i64) -> Option<&Item> {
        self.items.get(media_id).filter(|item| item.appid == appid && now_s < item.expires_s)
    }

    /// A file of any account, for the chat page.
    pub(crate) fn peek(&self, media_id: &str) -> Option<&Item> {
        self.items.get(media_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_account_and_ends_after_three_days() {
        let mut media = Media::default();
        let id = media.add("wx1", PNG, Bytes::from_static(b"x"), &Limits::default(), 0);
        assert!(media.get("wx1", &id, 3 * 86_400 - 1).is_some());
        assert!(media.get("wx1", &id, 3 * 86_400).is_none());
        assert!(media.get("wx2", &id, 0).is_none());
    }

    #[test]
    fn the_oldest_files_make_room() {
        let mut media = Media::default();
        let half = Bytes::from(vec![0; MAX_BYTES / 2]);
        let ids = [(); 3].map(|()| media.add("wx1", PNG, half.clone(), &Limits::default(), 0));
        let kept = ids.map(|id| media.peek(&id).is_some());
        assert_eq!(kept, [false, true, true]);
    }
}
