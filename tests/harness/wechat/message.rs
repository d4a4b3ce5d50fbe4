//! What a push says, before it is signed or encrypted.

use std::time::{SystemTime, UNIX_EPOCH};

/// The data format an account has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `<xml>…</xml>`
    Xml,
    /// `{…}`
    Json,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Xml, Self::Json];
}

/// A field's value, with its two notations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// CDATA in XML, a string in JSON.
    Text(String),
    /// Digits, bare in both.
    Number(String),
    /// Anything else: the element, tags included, for XML, and the value for JSON.
    Raw {
        /// For XML.
        xml: String,
        /// For JSON.
        json: String,
    },
}

/// Fields in the order in which they are written. What a field may be called or hold is not checked: odd pushes are
/// what many tests are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    fields: Vec<(String, Value)>,
}

impl Message {
    /// The original id of the mini program in messages made here.
    pub const TO_USER: &'static str = "gh_0123456789ab";

    /// A message without any field.
    pub fn empty() -> Self {
        Self { fields: Vec::new() }
    }

    /// The four fields that every message has, now.
    pub fn of_type(user: &str, msg_type: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        Self::empty()
            .text_field("ToUserName", Self::TO_USER)
            .text_field("FromUserName", user)
            .with("CreateTime", Value::Number(now.to_string()))
            .text_field("MsgType", msg_type)
    }

    /// A user's text, with a `MsgId` of its own.
    pub fn text(user: &str, content: &str) -> Self {
        Self::of_type(user, "text").text_field("Content", content).with_fresh_msg_id()
    }

    /// A user's picture.
    pub fn image(user: &str) -> Self {
        Self::of_type(user, "image")
            .text_field("PicUrl", "http://mmbiz.qpic.cn/mmbiz_jpg/0?wx_fmt=jpeg&tp=1")
            .text_field("MediaId", "bMFRVVYZKLYMWPMPFl4Iq0lUzSVkWQVd")
            .with_fresh_msg_id()
    }

    /// A user's mini program card.
    pub fn miniprogrampage(user: &str) -> Self {
        Self::of_type(user, "miniprogrampage")
            .text_field("Title", "订单 <42> & 发票")
            .text_field("AppId", "wx0123456789abcdef")
            .text_field("PagePath", "pages/order/index?id=42&from=card")
            .text_field("ThumbUrl", "")
            .text_field("ThumbMediaId", "")
            .with_fresh_msg_id()
    }

    /// A user opens the conversation; WeChat gives it no `MsgId`.
    pub fn enter_tempsession(user: &str, session_from: &str) -> Self {
        Self::event(user, "user_enter_tempsession").text_field("SessionFrom", session_from)
    }

    /// An event with nothing but its name.
    pub fn event(user: &str, event: &str) -> Self {
        Self::of_type(user, "event").text_field("Event", event)
    }

    /// Sets a field: in its place when there is one of that name, else at the end.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        match self.fields.iter_mut().find(|(of, _)| of == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name.to_owned(), value)),
        }
        self
    }

    /// Sets a field to a text.
    pub fn text_field(self, name: &str, text: &str) -> Self {
        self.with(name, Value::Text(text.to_owned()))
    }

    /// Sets a field to a number.
    pub fn number_field(self, name: &str, number: u64) -> Self {
        self.with(name, Value::Number(number.to_string()))
    }

    /// Leaves a field out.
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(of, _)| of != name);
        self
    }

    /// A random `MsgId` above 2^53, as WeChat's are: a float cannot hold it.
    pub fn with_fresh_msg_id(self) -> Self {
        self.number_field("MsgId", rand::random_range(1 << 54..1 << 63))
    }

    /// A field's value, as a text.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(of, _)| of == name).and_then(|(_, value)| match value {
            Value::Text(text) | Value::Number(text) => Some(text.as_str()),
            Value::Raw { .. } => None,
        })
    }

    /// As XML or JSON.
    pub fn to_text(&self, format: Format) -> String {
        match format {
            Format::Xml => format!("<xml>{}</xml>", self.fields.iter().map(|(n, v)| element(n, v)).collect::<String>()),
            Format::Json => {
                let members: Vec<String> = self.fields.iter().map(|(name, value)| member(name, value)).collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }
}

fn element(name: &str, value: &Value) -> String {
    match value {
        // `]]>` would end the section, so it is spread over two.
        Value::Text(text) => format!("<{name}><![CDATA[{}]]></{name}>", text.replace("]]>", "]]]]><![CDATA[>")),
        Value::Number(number) => format!("<{name}>{number}</{name}>"),
        Value::Raw { xml, .. } => xml.clone(),
    }
}

fn member(name: &str, value: &Value) -> String {
    let value = match value {
        Value::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        Value::Number(number) => number.clone(),
        Value::Raw { json, .. } => json.clone(),
    };
    format!("{}:{value}", serde_json::Value::from(name))
}
