//! `kefu push` sends one push to any callback URL, as WeChat would send it.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
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
    /// The account's EncodingAESKey; compat and safe mode need it.
    #[arg(long, env = "KEFU_PUSH_ENCODING_AES_KEY", hide_env_values = true)]
    encoding_aes_key: Option<String>,
    /// The appid; the last part of the URL when left out.
    #[arg(long)]
    appid: Option<String>,
    /// The mode of the push: safe when a key is given, else plain.
    #[arg(long)]
    mode: Option<ModeArgument>,
    /// The data format.
    #[arg(long, default_value = "xml")]
    format: FormatArgument,
    /// The user's openid.
    #[arg(long, default_value = "oUserOfKefuPush")]
    user: String,
    /// MsgId; a new MsgId when left out. Give the same MsgId again to see that kefu does not answer the copy twice.
    #[arg(long)]
    msg_id: Option<u64>,
    /// In XML, write a text that holds `]]>` unchanged, as users have seen WeChat do, instead of splitting its CDATA
    /// section.
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
    /// Any other event.
    #[arg(long)]
    event: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeArgument {
    Plain,
    Compat,
    Safe,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArgument {
    Xml,
    Json,
}

/// The time that WeChat waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let appid = match &arguments.appid {
        Some(appid) if is_appid(appid) => appid.clone(),
        Some(_) => bail!("--appid has something else than letters and digits"),
        None => appid_of(&arguments.url).context("the URL does not end in an appid: add it, or give --appid")?,
    };
    let mode = match arguments.mode {
        Some(ModeArgument::Plain) => Mode::Plain,
        Some(ModeArgument::Compat) => Mode::Compat,
        Some(ModeArgument::Safe) => Mode::Safe,
        None if arguments.encoding_aes_key.is_some() => Mode::Safe,
        None => Mode::Plain,
    };
    if mode != Mode::Plain && arguments.encoding_aes_key.is_none() {
        let mode = if mode == Mode::Safe { "safe" } else { "compat" };
        bail!("--mode {mode} needs --encoding-aes-key (or KEFU_PUSH_ENCODING_AES_KEY in the environment)");
    }
    let format = match arguments.format {
        FormatArgument::Xml => Format::Xml,
        FormatArgument::Json => Format::Json,
    };
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
        .map_err(|error| no_answer(&arguments.url, &error))?;
    let status = response.status();
    let body = response.text().await.map_err(reqwest::Error::without_url).context("the answer was cut")?;
    println!("{status} after {:.1} ms: {}", started.elapsed().as_secs_f64() * 1_000.0, body.trim_end());
    match status.as_u16() {
        401 => {
            eprintln!(
                "kefu: refused: Token, EncodingAESKey, mode or appid differ from those of kefu, or its clock from this one \
                 by more than 24 h; its log says which"
            )
        }
        404 => eprintln!("kefu: refused: nobody serves this appid there, or the path is another"),
        _ => {}
    }
    let verdict = judge(&push, &nonce, status.as_u16(), body.as_bytes());
    if verdict.transfer.is_some() {
        println!("the answer hands the message over to the human agents");
    }
    if let Some(detail) = verdict.detail.filter(|_| status.is_success()) {
        eprintln!("kefu: WeChat would not take this answer: {detail}");
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
fn appid_of(url: &Url) -> Option<String> {
    let last = url.path_segments()?.rfind(|part| !part.is_empty())?;
    is_appid(last).then(|| last.to_owned())
}

fn is_appid(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// The innermost cause says the most. No cause may show the URL, because the URL's query has the signature.
fn no_answer(url: &Url, error: &reqwest::Error) -> anyhow::Error {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let server = format!("{}{port}", url.host_str().unwrap_or_default());
    if error.is_timeout() {
        return anyhow!("no answer from {server} within {} s, which is as long as WeChat waits", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    anyhow!("no answer from {server}: {cause}")
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
