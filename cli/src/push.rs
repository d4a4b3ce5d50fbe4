//! `kefu push` sends one push to any callback URL, as WeChat would send it.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use kefu_runtime::http_client;
use kefu_simulator::{Cdata, Message, Mode, MsgId, Push, SimulatedAccount, judge};
use kefu_wechat::push::Format;
use reqwest::Url;

/// The arguments of `kefu push`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The callback URL, for example `http://127.0.0.1:8080/push/wx…`.
    #[arg(long, value_parser = callback_url)]
    url: Url,
    /// The account's Token.
    #[arg(long, env = "KEFU_PUSH_TOKEN", hide_env_values = true)]
    token: String,
    /// The account's EncodingAESKey; required in compat and safe mode.
    #[arg(long, env = "KEFU_PUSH_ENCODING_AES_KEY", hide_env_values = true)]
    encoding_aes_key: Option<String>,
    /// The account's appid. Default: the last part of the URL.
    #[arg(long)]
    appid: Option<String>,
    /// The mode of the push. Default: safe with an EncodingAESKey, else plain.
    #[arg(long, value_parser = one_of(&MODES))]
    mode: Option<Mode>,
    /// The data format of the push.
    #[arg(long, default_value = "xml", value_parser = one_of(&FORMATS))]
    format: Format,
    /// The user's openid.
    #[arg(long, default_value = "oUserOfKefuPush")]
    user: String,
    /// The MsgId; kefu takes a push with the same MsgId as a copy. Default: a new MsgId.
    #[arg(long)]
    msg_id: Option<u64>,
    /// In XML, write a text with `]]>` into one CDATA section unchanged, as WeChat does at times.
    #[arg(long)]
    unescaped: bool,
    #[command(flatten)]
    says: Says,
}

/// The user's action: one of these.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Says {
    /// The user writes this text.
    #[arg(long)]
    text: Option<String>,
    /// The user sends a picture with this `MediaId`.
    #[arg(long, value_name = "MEDIA_ID")]
    image: Option<String>,
    /// The user sends a mini program card of this page.
    #[arg(long, value_name = "PAGE_PATH")]
    card: Option<String>,
    /// The user enters the session from a button with this `session-from`.
    #[arg(long, value_name = "SESSION_FROM")]
    enter: Option<String>,
    /// Any other event, by its name.
    #[arg(long)]
    event: Option<String>,
}

const MODES: [(&str, Mode); 3] = [("plain", Mode::Plain), ("compat", Mode::Compat), ("safe", Mode::Safe)];
const FORMATS: [(&str, Format); 2] = [("xml", Format::Xml), ("json", Format::Json)];

/// Reads the name of a value.
fn one_of<T: Copy + Send + Sync + 'static>(values: &'static [(&str, T)]) -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(values.iter().map(|(name, _)| name));
    names
        .try_map(|given| values.iter().find(|(name, _)| *name == given).map(|(_, value)| *value).ok_or("no such value"))
}

/// The time that WeChat waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let appid = match &arguments.appid {
        Some(appid) if is_appid(appid) => appid.clone(),
        Some(_) => bail!("--appid may have only letters, digits, - and _"),
        None => appid_of(&arguments.url)
            .context("the URL does not end in an appid: add the appid, or give --appid")?
            .to_owned(),
    };
    let has_key = arguments.encoding_aes_key.is_some();
    let mode = arguments.mode.unwrap_or(if has_key { Mode::Safe } else { Mode::Plain });
    if mode != Mode::Plain && !has_key {
        let name = if mode == Mode::Safe { "safe" } else { "compat" };
        bail!("--mode {name} needs --encoding-aes-key (or KEFU_PUSH_ENCODING_AES_KEY in the environment)");
    }
    let format = arguments.format;
    let account = SimulatedAccount {
        raw_id: format!("gh_{}", appid.trim_start_matches("wx").get(..12).unwrap_or("000000000000")),
        appid,
        secret: String::new(),
        token: arguments.token,
        encoding_aes_key: arguments.encoding_aes_key,
        mode,
        format,
        callback_url: None,
    };
    let message = arguments.says.message();
    #[expect(clippy::disallowed_methods, reason = "the MsgId of each push is another one, by microseconds")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let msg_id = message.has_msg_id().then(|| MsgId::Number(arguments.msg_id.unwrap_or(now.as_micros() as u64 * 16)));
    let cdata = if arguments.unescaped { Cdata::AsItIs } else { Cdata::Split };
    let create_time = now.as_secs() as i64;
    let push = Push { account, user: arguments.user, create_time, msg_id, message, cdata, format, mode };
    let nonce = rand::random::<u32>().to_string();
    let request = push.build(now.as_secs() as i64, &nonce, rand::random())?;

    let client = http_client::builder(&arguments.url).timeout(TIMEOUT).build()?;
    let started = Instant::now();
    let response = client
        .post(arguments.url.clone())
        .query(&request.query)
        .header("content-type", request.content_type)
        .body(request.body)
        .send()
        .await
        .map_err(|error| anyhow!(no_answer(&arguments.url, error)))?;
    let status = response.status();
    let body = response
        .text()
        .await
        .map_err(reqwest::Error::without_url)
        .context("the connection broke before the whole answer arrived")?;
    println!("{status} after {:.1} ms: {}", started.elapsed().as_secs_f64() * 1_000.0, body.trim_end());
    match status.as_u16() {
        401 => {
            eprintln!(
                "kefu: refused: Token, EncodingAESKey, mode or appid differ from kefu's configuration, or kefu's clock \
                 differs from this machine's clock by more than 24 h; kefu's log has the reason"
            )
        }
        404 => {
            eprintln!("kefu: refused: no kefu with this appid answers at this URL, or the path is not /push/APPID")
        }
        _ => {}
    }
    let verdict = judge(&push, &nonce, status.as_u16(), body.as_bytes());
    if verdict.transfer.is_some() {
        println!("the answer hands the message over to the human agents");
    }
    if let Some(detail) = verdict.detail.filter(|_| status.is_success()) {
        eprintln!("kefu: WeChat would not accept this answer: {detail}");
    }
    Ok(if verdict.outcome.accepted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) fn callback_url(text: &str) -> Result<Url, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("must start with http:// or https://".to_owned());
    }
    Url::parse(text).map_err(|error| error.to_string())
}

/// The last part of the path, if this part can be an appid.
pub(crate) fn appid_of(url: &Url) -> Option<&str> {
    url.path_segments()?.rfind(|part| !part.is_empty()).filter(|part| is_appid(part))
}

fn is_appid(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Why a callback URL gave no answer. The innermost cause says the most. No cause may show the URL, because the URL's
/// query has the signature.
pub(crate) fn no_answer(url: &Url, error: reqwest::Error) -> String {
    let error = error.without_url();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let server = format!("{}{port}", url.host_str().unwrap_or_default());
    if error.is_timeout() {
        return format!("no answer from {server} within {} s, which is as long as WeChat waits", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("no answer from {server}: {cause}")
}

impl Says {
    fn message(self) -> Message {
        if let Some(content) = self.text {
            return Message::text(content);
        }
        if let Some(media_id) = self.image {
            return Message::Image { pic_url: String::new(), media_id };
        }
        if let Some(page_path) = self.card {
            let title = "kefu push".to_owned();
            let (app_id, thumb_url, thumb_media_id) = Default::default();
            return Message::Miniprogrampage { title, app_id, page_path, thumb_url, thumb_media_id };
        }
        if let Some(event) = self.event {
            return Message::Event { event, fields: serde_json::Map::new() };
        }
        Message::enter(self.enter.unwrap_or_default())
    }
}
