//! Temporary media: what was uploaded, and what simulated users send.

use std::collections::{HashMap, VecDeque};

use actix_web::web::Bytes;

use crate::config::Limits;
use crate::tokens::random_text;

/// All media together; the oldest go first.
const MAX_BYTES: usize = 256 * 1_024 * 1_024;
const ID_CHARS: usize = 64;

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
    pub(crate) kind: ImageKind,
    pub(crate) bytes: Bytes,
    expires_s: i64,
}

/// The picture formats that WeChat takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageKind {
    Png,
    Jpeg,
    Gif,
}

impl ImageKind {
    /// Tells the format by the first bytes.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            _ => None,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
        }
    }
}

impl Media {
    /// Keeps a file; gives its media_id.
    pub(crate) fn add(&mut self, appid: &str, kind: ImageKind, bytes: Bytes, limits: &Limits, now_s: i64) -> String {
        let media_id = random_text(ID_CHARS);
        self.bytes += bytes.len();
        let item = Item {
            appid: appid.to_owned(),
            kind,
            bytes,
            expires_s: now_s.saturating_add_unsigned(limits.media_lifetime_s),
        };
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
        let id = media.add("wx1", ImageKind::Png, Bytes::from_static(b"x"), &Limits::default(), 0);
        assert!(media.get("wx1", &id, 3 * 86_400 - 1).is_some());
        assert!(media.get("wx1", &id, 3 * 86_400).is_none());
        assert!(media.get("wx2", &id, 0).is_none());
    }

    #[test]
    fn the_oldest_files_make_room() {
        let mut media = Media::default();
        let half = Bytes::from(vec![0; MAX_BYTES / 2]);
        let ids = [(); 3].map(|()| media.add("wx1", ImageKind::Png, half.clone(), &Limits::default(), 0));
        let kept = ids.map(|id| media.peek(&id).is_some());
        assert_eq!(kept, [false, true, true]);
    }
}
