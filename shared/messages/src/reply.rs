//! The replies that users get.
//!
//! A mini program can send four types through `custom/send`; the fields are those of
//! <https://developers.weixin.qq.com/miniprogram/dev/api-backend/open-api/customer-message/customerServiceMessage.send.html>.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub mod cluster;
pub mod control;
mod fields;
pub(crate) mod markup;
#[cfg(feature = "openapi")]
mod openapi;
pub mod picture;
pub mod split;
pub mod template;
pub mod untrusted;

/// One reply to a user: `{ text = "…" }`, `{ image = "FILE" }`, `{ link = {…} }` or `{ miniprogrampage = {…} }`, and
/// the sender. The shape is the same in rules, in a webhook's answer, in `/v1` and in a stored plan.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ReplySection", into = "ReplySection")]
pub struct Reply {
    /// The content.
    pub content: Content,
    /// The customer service account that WeChat shows as the sender (`customservice.kf_account`).
    pub kf_account: Option<String>,
    /// Whether WeChat marks the reply as made by an AI (`aimsgcontext.is_ai_msg`).
    pub is_ai_msg: bool,
}

/// The content of a reply.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A text, which is sent in parts of at most [`MAX_TEXT_BYTES`] bytes: see [`split`].
    Text(String),
    /// A picture: a PNG, JPEG or GIF file, of at most 2 MB by default.
    Image(PathBuf),
    /// A link with a title, a description and a thumbnail.
    Link(Link),
    /// A card that opens a page of the mini program.
    Miniprogrampage(Card),
}

/// A reply as it is written: exactly one of the first four fields.
#[derive(Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct ReplySection {
    /// The text, which must not be blank. kefu removes control characters other than line breaks and tabs, and sends a
    /// text of more than 2000 bytes of UTF-8 in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]", examples("您的订单已发货"))
    )]
    text: Option<String>,
    /// The path of a picture file from the folder of kefu's configuration: a PNG, JPEG or GIF. Ingress and every worker
    /// need the same file there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, examples("images/service_code.png")))]
    image: Option<PathBuf>,
    /// All four fields are required.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    link: Option<Link>,
    /// All fields but `appid` are required.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    miniprogrampage: Option<Card>,
    /// The customer service account that WeChat shows as the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    kf_account: Option<String>,
    /// Whether WeChat marks the reply as made by an AI.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_ai_msg: bool,
}

/// A reply as a rule has it, and notices of the characters that were removed from its texts.
#[derive(Debug, Deserialize)]
#[serde(try_from = "ReplySection")]
pub struct WrittenReply {
    pub(crate) reply: Reply,
    /// In words.
    pub(crate) notices: Vec<String>,
}

impl ReplySection {
    /// The texts that go to WeChat unchanged, with the names of their fields.
    fn texts(&mut self) -> Vec<(&'static str, &mut String)> {
        let Self { text, image: _, link, miniprogrampage, kf_account, is_ai_msg: _ } = self;
        let mut texts: Vec<(&'static str, &mut String)> = Vec::new();
        texts.extend(text.as_mut().map(|text| ("text", text)));
        if let Some(Link { title, description, url, thumb_url }) = link {
            texts.extend([("link.title", title), ("link.description", description)]);
            texts.extend([("link.url", url), ("link.thumb_url", thumb_url)]);
        }
        if let Some(Card { title, pagepath, appid, thumb: _ }) = miniprogrampage {
            texts.extend([("miniprogrampage.title", title), ("miniprogrampage.pagepath", pagepath)]);
            texts.extend(appid.as_mut().map(|appid| ("miniprogrampage.appid", appid)));
        }
        texts.extend(kf_account.as_mut().map(|account| ("kf_account", account)));
        texts
    }
}

impl TryFrom<ReplySection> for WrittenReply {
    type Error = &'static str;

    fn try_from(mut section: ReplySection) -> Result<Self, Self::Error> {
        let notices = section.texts().into_iter().filter_map(|(name, text)| control::notice(name, text)).collect();
        Ok(Self { reply: section.try_into()?, notices })
    }
}

/// Without the characters that WeChat refuses, whatever the source of the reply. A text of nothing but such characters
/// stays, and is a problem of the reply.
impl TryFrom<ReplySection> for Reply {
    type Error = &'static str;

    fn try_from(mut section: ReplySection) -> Result<Self, Self::Error> {
        section.texts().into_iter().for_each(|(_, text)| control::clean(text));
        let ReplySection { text, image, link, miniprogrampage, kf_account, is_ai_msg } = section;
        let given = [
            text.map(Content::Text),
            image.map(Content::Image),
            link.map(Content::Link),
            miniprogrampage.map(Content::Miniprogrampage),
        ];
        match given.map(Vec::from_iter).concat().as_slice() {
            [content] => Ok(Self { content: content.clone(), kf_account, is_ai_msg }),
            _ => Err("must have exactly one of text, image, link, miniprogrampage"),
        }
    }
}

impl From<Reply> for ReplySection {
    fn from(Reply { content, kf_account, is_ai_msg }: Reply) -> Self {
        let section = Self { kf_account, is_ai_msg, ..Self::default() };
        match content {
            Content::Text(text) => Self { text: Some(text), ..section },
            Content::Image(image) => Self { image: Some(image), ..section },
            Content::Link(link) => Self { link: Some(link), ..section },
            Content::Miniprogrampage(card) => Self { miniprogrampage: Some(card), ..section },
        }
    }
}

impl From<Content> for Reply {
    /// From the account itself, not from an AI.
    fn from(content: Content) -> Self {
        Self { content, kf_account: None, is_ai_msg: false }
    }
}

/// The longest text that WeChat takes, in bytes of UTF-8. The limit is undocumented; developers measured 2,048. Whether
/// the unit is bytes or characters is unclear, so kefu uses the safe value.
pub const MAX_TEXT_BYTES: usize = 2_000;

/// A link; WeChat requires all four fields.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The bold line.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]"))]
    pub title: String,
    /// The text below the title.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]"))]
    pub description: String,
    /// The destination of a tap: http or https.
    #[cfg_attr(feature = "openapi", schema(pattern = r"^https?://\S+$", examples("https://shop.example/orders")))]
    pub url: String,
    /// A JPEG or PNG; 640×320 and 80×80 look best. http or https.
    #[cfg_attr(feature = "openapi", schema(pattern = r"^https?://\S+$", examples("https://shop.example/order.png")))]
    pub thumb_url: String,
}

/// A mini program card.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The title.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]"))]
    pub title: String,
    /// A page of the mini program's app.json, optionally with a query.
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]", examples("pages/order?id=1"))
    )]
    pub pagepath: String,
    /// The mini program to open; without this field the sending account itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub appid: Option<String>,
    /// The cover, a picture file as for an `image`; about 520×416.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, examples("images/shop.png")))]
    pub thumb: PathBuf,
}

impl Reply {
    /// The word for the kind, as in `msgtype` and in metric labels.
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::Text(_) => "text",
            Content::Image(_) => "image",
            Content::Link(_) => "link",
            Content::Miniprogrampage(_) => "miniprogrampage",
        }
    }

    /// The picture file that the content shows, as the reply names it, and the name of the field that names it.
    pub fn picture(&self) -> Option<(&'static str, &Path)> {
        match &self.content {
            Content::Text(_) | Content::Link(_) => None,
            Content::Image(file) => Some(("image", file)),
            Content::Miniprogrampage(card) => Some(("miniprogrampage.thumb", &card.thumb)),
        }
    }

    /// How many sends the reply takes: one, or one for each part of a long text (see [`split`]).
    pub fn sends(&self) -> usize {
        if let Content::Text(text) = &self.content { split::count(text) } else { 1 }
    }

    /// The reasons, in words, why WeChat would refuse the reply. `folder` is the folder where relative paths start. The
    /// length of a text does not matter here: see [`split`].
    pub(crate) fn problems(&self, folder: &Path, max_image_bytes: u64) -> Vec<String> {
        let mut problems = Vec::new();
        let mut required = |name: &str, value: &str| problems.extend(control::blank(name, value));
        match &self.content {
            Content::Text(text) => required("text", text),
            Content::Image(_) => {}
            Content::Link(link) => {
                required("link.title", &link.title);
                required("link.description", &link.description);
                problems.extend(fields::url("link.url", &link.url));
                problems.extend(fields::thumb_url("link.thumb_url", &link.thumb_url));
            }
            Content::Miniprogrampage(card) => {
                required("miniprogrampage.title", &card.title);
                problems.extend(fields::pagepath("miniprogrampage.pagepath", &card.pagepath));
                let appid = card.appid.as_deref();
                problems.extend(appid.and_then(|appid| fields::appid("miniprogrampage.appid", appid)));
            }
        }
        let picture = self.picture();
        problems.extend(picture.and_then(|(name, file)| {
            control::in_file_name(name, file).or_else(|| picture::problem(name, &folder.join(file), max_image_bytes))
        }));
        problems.extend(self.kf_account.as_deref().and_then(fields::kf_account));
        problems
    }
}

/// Shows the kind only: texts to users must not reach a log.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}

/// Shows the kind only, like [`Reply`]: placeholders are filled with users' texts.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("link")
    }
}

/// Shows the kind only, like [`Reply`].
impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("miniprogrampage")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_what_is_said() {
        for (text, shown) in [
            (r#"{"text":"hush"}"#, "text"),
            (r#"{"image":"hush.png"}"#, "image"),
            (r#"{"link":{"title":"hush","description":"hush","url":"hush","thumb_url":"hush"}}"#, "link link"),
            (
                r#"{"miniprogrampage":{"title":"hush","pagepath":"hush","thumb":"hush"}}"#,
                "miniprogrampage miniprogrampage",
            ),
        ] {
            let reply: Reply = serde_json::from_str(text).unwrap();
            let parts = match &reply.content {
                Content::Link(link) => format!(" {link:?}"),
                Content::Miniprogrampage(card) => format!(" {card:?}"),
                Content::Text(_) | Content::Image(_) => String::new(),
            };
            assert_eq!(format!("{reply:?}{parts}"), shown);
        }
    }
}
