//! The replies that a rule can give.
//!
//! A mini program can send four types through `custom/send`; the fields are those of
//! <https://developers.weixin.qq.com/miniprogram/dev/api-backend/open-api/customer-message/customerServiceMessage.send.html>.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One reply to a user: `{ text = "…" }`, `{ image = "FILE" }`, `{ link = {…} }` or `{ miniprogrampage = {…} }`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// A text of at most [`MAX_TEXT_BYTES`] bytes.
    Text(String),
    /// A picture: a PNG, JPEG or GIF file, of at most 2 MB by default.
    Image(PathBuf),
    /// A link with a title, a description and a thumbnail.
    Link(Link),
    /// A card that opens a page of the mini program.
    Miniprogrampage(Card),
}

/// The longest text that WeChat takes, in bytes of UTF-8. Undocumented; developers measured 2,048, and whether bytes or
/// characters is unclear, so the safe side is taken.
pub const MAX_TEXT_BYTES: usize = 2_000;

/// A link; WeChat requires all four fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The bold line.
    pub title: String,
    /// The text below it.
    pub description: String,
    /// Where a tap leads: http or https.
    pub url: String,
    /// A JPEG or PNG; 640×320 and 80×80 look best. http or https.
    pub thumb_url: String,
}

/// A mini program card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The title.
    pub title: String,
    /// A page of the mini program's app.json, with a query if need be.
    pub pagepath: String,
    /// The mini program to open; the sending account itself when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appid: Option<String>,
    /// The cover, a picture file as for [`Reply::Image`]; about 520×416.
    pub thumb: PathBuf,
}

impl Reply {
    /// The word for the kind, as in `msgtype` and in metric labels.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Image(_) => "image",
            Self::Link(_) => "link",
            Self::Miniprogrampage(_) => "miniprogrampage",
        }
    }
}

/// Shows the kind only: what is said to users must not reach a log.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}
