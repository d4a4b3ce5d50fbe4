//! The top-level fields of a body.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use sha2::{Digest, Sha256};

use super::MAX_FIELDS;

/// The top-level fields of a body by name: a scalar as its text, anything nested as its own XML or JSON.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

/// What kefu itself reads.
const DECISIVE: [&str; 18] = [
    "AppId",
    "BusinessId",
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

/// The fields of a body that is being read.
#[derive(Default)]
pub(super) struct Collected {
    fields: BTreeMap<String, String>,
    /// Of which alone the value is kept.
    only: Option<&'static str>,
    /// With those that are not kept and those that repeat.
    count: usize,
}

/// Why a field cannot be added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It decides what the push is and comes a second time: none of the two can be believed.
    Twice,
    /// There are [`MAX_FIELDS`] already.
    TooMany,
}

impl Collected {
    /// Keeps nothing but the field of this name.
    pub(super) fn only(name: &'static str) -> Self {
        Self { only: Some(name), ..Self::default() }
    }

    /// Whether the value of this field is wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.is_none_or(|only| only == name)
    }

    /// Adds a field. A second one of the same name is joined to the first, as lists in XML are written so.
    pub(super) fn insert(&mut self, name: String, value: String) -> Result<(), Unfit> {
        self.count += 1;
        if self.count > MAX_FIELDS {
            return Err(Unfit::TooMany);
        }
        if !self.wants(&name) {
            return Ok(());
        }
        match self.fields.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            Entry::Occupied(occupied) if DECISIVE.contains(&occupied.key().as_str()) => return Err(Unfit::Twice),
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

/// Shows the names only: values are what users write.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
