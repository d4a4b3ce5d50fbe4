//! The top-level fields of a body.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::MAX_FIELDS;

/// The top-level fields of a body by name: a scalar as its text, anything nested as its own XML or JSON.
///
/// All names and values are in one text, so that a body costs two allocations and not two for each field.
#[derive(Clone, Default)]
pub struct Fields {
    text: String,
    /// In the order of the body; no name comes twice.
    fields: Vec<Field>,
}

/// The places of a field in the text.
#[derive(Clone)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

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
        self.find(name).map(|field| self.slice(&field.value))
    }

    /// The number of fields.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// SHA-256 over all names and values except the field `ignored`, whatever their order.
    pub fn digest_without(&self, ignored: &str) -> [u8; 32] {
        let mut sha256 = Sha256::new();
        let kept = self.by_name().into_iter().filter(|(name, _)| *name != ignored);
        for text in kept.flat_map(|(name, value)| [name, value]) {
            sha256.update((text.len() as u64).to_be_bytes());
            sha256.update(text.as_bytes());
        }
        sha256.finalize().into()
    }

    fn by_name(&self) -> Vec<(&str, &str)> {
        let pairs = self.fields.iter().map(|field| (self.slice(&field.name), self.slice(&field.value)));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_unstable_by_key(|&(name, _)| name);
        pairs
    }

    fn find(&self, name: &str) -> Option<&Field> {
        // The lengths of the names differ more often than not.
        self.fields.iter().find(|field| field.name.len() == name.len() && self.slice(&field.name) == name)
    }

    fn slice(&self, place: &Range<usize>) -> &str {
        self.text.get(place.clone()).unwrap_or_default()
    }

    fn append(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.by_name() == other.by_name()
    }
}

impl Eq for Fields {}

/// The fields of a body while the body is being read.
#[derive(Default)]
pub(super) struct Collected {
    fields: Fields,
    has_repeated: bool,
}

/// Why a field cannot be added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The field comes a second time, and decides what the push is, so that neither value can be believed; or the caller takes
    /// no field twice.
    Twice,
    /// The body has [`MAX_FIELDS`] fields already.
    TooMany,
}

impl Collected {
    /// For a body of so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        let fields = Fields { text: String::with_capacity(bytes), fields: Vec::with_capacity(16) };
        Self { fields, has_repeated: false }
    }

    /// Whether the body has a field of this name already.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.find(name).is_some()
    }

    /// Adds a field, or refuses a name that the body has already.
    pub(super) fn insert_new(&mut self, name: &str, value: &str) -> Result<(), Unfit> {
        if self.has(name) {
            return Err(Unfit::Twice);
        }
        self.append(name, value)
    }

    /// Adds a field. A second field of the same name is joined to the first, because XML writes lists in this way.
    pub(super) fn insert(&mut self, name: &str, value: &str) -> Result<(), Unfit> {
        let is_repeated = self.has(name);
        if is_repeated && is_decisive(name) && self.fields.len() < MAX_FIELDS {
            return Err(Unfit::Twice);
        }
        self.has_repeated |= is_repeated;
        self.append(name, value)
    }

    fn append(&mut self, name: &str, value: &str) -> Result<(), Unfit> {
        if self.fields.len() == MAX_FIELDS {
            return Err(Unfit::TooMany);
        }
        let (name, value) = (self.fields.append(name), self.fields.append(value));
        self.fields.fields.push(Field { name, value });
        Ok(())
    }

    pub(super) fn into_fields(self) -> Fields {
        if !self.has_repeated {
            return self.fields;
        }
        let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for field in &self.fields.fields {
            values.entry(self.fields.slice(&field.name)).or_default().push(self.fields.slice(&field.value));
        }
        let mut joined = Fields::default();
        for (name, values) in values {
            let (name, value) = (joined.append(name), joined.append(&values.join("\n")));
            joined.fields.push(Field { name, value });
        }
        joined
    }
}

/// Shows the names only: the values are users' texts.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name().iter().map(|(name, _)| name)).finish()
    }
}
