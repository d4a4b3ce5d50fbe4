//! The top-level fields of a body.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use sha2::{Digest, Sha256};

/// The top-level fields of a body by name: a scalar as its text, anything nested as its own XML or JSON.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

/// What kefu itself reads.
const DECISIVE: [&str; 17] = [
    "AppId",
    "Content",
    "CreateTime",
    "Encrypt",
    "Event",
    "FromUserName",
    "InfoType",
    "MediaId",
    "MsgId",
    "MsgType",
    "PagePath",
    "PicUrl",
    "SessionFrom",
    "ThumbMediaId",
    "ThumbUrl",
    "Title",
    "ToUserName",
];

impl Fields {
    /// The text of a field, empty if it has none, `None` if it is absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Adds a field. A second one of the same name is joined to the first, as lists in XML are written so; `false` if it
    /// is one that decides what the push is: then none of the two can be believed.
    pub(super) fn insert(&mut self, name: String, value: String) -> bool {
        match self.0.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            Entry::Occupied(occupied) if DECISIVE.contains(&occupied.key().as_str()) => return false,
            Entry::Occupied(mut occupied) => {
                let joined = occupied.get_mut();
                joined.push('\n');
                joined.push_str(&value);
            }
        }
        true
    }

    /// SHA-256 over all names and values except the field `ignored`, whatever order they came in.
    pub fn digest_without(&self, ignored: &str) -> [u8; 32] {
        let mut sha256 = Sha256::new();
        for text in self.0.iter().filter(|(name, _)| *name != ignored).flat_map(|(name, value)| [name, value]) {
            sha256.update((text.len() as u64).to_be_bytes());
            sha256.update(text.as_bytes());
        }
        sha256.finalize().into()
    }
}

/// Shows the names only: values are what users write.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
