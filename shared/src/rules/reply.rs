//! The replies that a rule can give.
//!
//! A mini program can send four types through `custom/send`; the fields are those of
//! <https://developers.weixin.qq.com/miniprogram/dev/api-backend/open-api/customer-message/customerServiceMessage.send.html>.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One reply to a user: `{ text = "…" }`, `{ image = "FILE" }`, `{ link = {…} }` or `{ miniprogrampage = {…} }`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "ReplySection")]
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

/// A reply as it is written: exactly one of these.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ReplySection {
    text: Option<String>,
    image: Option<PathBuf>,
    link: Option<Link>,
    miniprogrampage: Option<Card>,
}

impl TryFrom<ReplySection> for Reply {
    type Error = &'static str;

    fn try_from(section: ReplySection) -> Result<Self, Self::Error> {
        let ReplySection { text, image, link, miniprogrampage } = section;
        let given = [
            text.map(Self::Text),
            image.map(Self::Image),
            link.map(Self::Link),
            miniprogrampage.map(Self::Miniprogrampage),
        ];
        match given.map(Vec::from_iter).concat().as_slice() {
            [reply] => Ok(reply.clone()),
            _ => Err("must have exactly one of text, image, link, miniprogrampage"),
        }
    }
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

    /// What WeChat would refuse, in words; `folder` is where relative paths start.
    pub(super) fn problems(&self, folder: &Path, max_image_bytes: u64) -> Vec<String> {
        let mut problems = Vec::new();
        let mut required = |name: &str, value: &str| {
            if value.trim().is_empty() {
                problems.push(format!("{name} is empty"));
            }
        };
        match self {
            Self::Text(text) => {
                required("text", text);
                if text.len() > MAX_TEXT_BYTES {
                    problems.push(format!("text has {} bytes, the most is {MAX_TEXT_BYTES}", text.len()));
                }
            }
            Self::Image(path) => problems.extend(picture_problem("image", &folder.join(path), max_image_bytes)),
            Self::Link(link) => {
                required("link.title", &link.title);
                required("link.description", &link.description);
                problems.extend(url_problem("link.url", &link.url));
                problems.extend(url_problem("link.thumb_url", &link.thumb_url));
            }
            Self::Miniprogrampage(card) => {
                required("miniprogrampage.title", &card.title);
                required("miniprogrampage.pagepath", &card.pagepath);
                let thumb = folder.join(&card.thumb);
                problems.extend(picture_problem("miniprogrampage.thumb", &thumb, max_image_bytes));
            }
        }
        problems
    }
}

/// The picture formats that media/upload takes, told by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// PNG
    Png,
    /// JPEG
    Jpeg,
    /// GIF
    Gif,
}

impl PictureFormat {
    /// The format of a file that starts with these bytes.
    pub fn of(content: &[u8]) -> Option<Self> {
        match content {
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', ..] => Some(Self::Gif),
            _ => None,
        }
    }
}

fn picture_problem(name: &str, path: &Path, max_bytes: u64) -> Option<String> {
    let shown = path.display();
    match std::fs::read(path) {
        Err(error) => Some(format!("{name} {shown} cannot be read: {error}")),
        Ok(content) if content.len() as u64 > max_bytes => {
            Some(format!("{name} {shown} has {} bytes, the most is {max_bytes}", content.len()))
        }
        Ok(content) if PictureFormat::of(&content).is_none() => Some(format!("{name} {shown} is no PNG, JPEG or GIF")),
        Ok(_) => None,
    }
}

fn url_problem(name: &str, url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let fine = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
    (!fine).then(|| format!("{name} must be an http:// or https:// address"))
}

/// Shows the kind only: what is said to users must not reach a log.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}
