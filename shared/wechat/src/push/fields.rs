//! The top-level fields of a body.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use sha2::{Digest, Sha256};

use super::MAX_FIELDS;

/// The top-level fields of a body by name: a scalar as its text, anything nested as its own XML or JSON.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

/// The fields that kefu itself reads and WeChat itself writes: none of them ever contains a user's text.
pub(super) const WRITTEN_BY_WECHAT: [&str; 14] = [
    "AppId",
    "BusinessId",
    "CreateTime",
    "Encrypt",
    "Event",
    "FromUserName",
    "InfoType",
    "MediaId",
    "MsgId",
    "MsgType",
    "PicUrl",
    "ThumbMediaId",
    "ThumbUrl",
    "ToUserName",
];

/// The fields that kefu itself reads and that contain a text of a user, or of the mini program.
pub(super) const TEXTS: [&str; 4] = ["Content", "PagePath", "SessionFrom", "Title"];

/// Whether kefu itself reads the field.
pub(super) fn is_decisive(name: &str) -> bool {
    WRITTEN_BY_WECHAT.contains(&name) || TEXTS.contains(&name)
}

impl Fields {
    /// The text of a field: empty if the field has no text, `None` if the field is absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// SHA-256 over all names and values except the field `ignored`, whatever their order.
    pub fn digest_without(&self, ignored: &str) -> [u8; 32] {
        let mut sha256 = Sha256::new();
        for text in self.0.iter().filter(|(name, _)| *name != ignored).flat_map(|(name, value)| [name, value]) {
            sha256.update((text.len() as u64).to_be_bytes());
            sha256.update(text.as_bytes());
        }
        sha256.finalize().into()
    }
}

/// The fields of a body while the body is being read.
#[derive(Default)]
pub(super) struct Collected {
    fields: BTreeMap<String, String>,
    /// Repeated fields included.
    count: usize,
}

/// Why a field cannot be added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The field decides what the push is, and comes a second time: neither value can be believed.
    Twice,
    /// The body has [`MAX_FIELDS`] fields already.
    TooMany,
}

impl Collected {
    /// Whether the body has a field of this name already.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Adds a field. A second field of the same name is joined to the first, because XML writes lists in this way.
    pub(super) fn insert(&mut self, name: String, value: String) -> Result<(), Unfit> {
        self.count += 1;
        if self.count > MAX_FIELDS {
            return Err(Unfit::TooMany);
        }
        match self.fields.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            Entry::Occupied(occupied) if is_decisive(occupied.key()) => return Err(Unfit::Twice),
            Entry::Occupied(mut occupied) => {
                let joined = occupied.get_mut();
                joined.push('\n');
                joined.push_str(&value);
            }
        }
        Ok(())
    }

    pub(super) fn into_fields(self) -> Fields {
        Fields(self.fields)
    }
}

/// Shows the names only: the values are users' texts.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
