//! The checks of the queue.

use kefu_queue::rabbitmq::{self, Inspection, Queues, Settings};
use kefu_runtime::{http_client, in_words};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{Finding, PATIENCE, in_time};
use crate::terminal::count;

const CHECK: &str = "rabbitmq";
const REACH: &str = "start it, or correct [queue] url";
/// How many names a finding shows at most.
const MAX_NAMED: usize = 5;

/// The broker's state, or the finding that the broker does not answer.
pub(super) async fn ask(url: &SecretString, partitions: u16) -> Result<Inspection, Finding> {
    let settings = Settings::new(url.clone(), partitions);
    let asked = in_time(CHECK, REACH, rabbitmq::inspect(&settings)).await?;
    asked.map_err(|error| Finding::failed(CHECK, error.to_string(), "correct [queue] url"))
}

/// `workers` is the number of workers, as far as the store knows.
pub(super) fn judge(found: &Inspection, partitions: u16, workers: Option<usize>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(found.version.as_ref().map(|version| match found.is_too_old() {
        true => Finding::failed(
            "rabbitmq version",
            format!("it is {version}: workers do not share the load before 4.0, and kefu is tested with that"),
            "update RabbitMQ to 4.0 or later",
        ),
        false => Finding::ok("rabbitmq version", version.as_str()),
    }));
    match &found.queues {
        Err(why) => findings.push(Finding::failed(CHECK, why.as_str(), REACH)),
        Ok(queues) => {
            findings.insert(0, Finding::ok(CHECK, "reached, and it takes user and vhost"));
            findings.extend(topology(queues, partitions));
            findings.extend(contents(queues, partitions, workers));
        }
    }
    findings
}

fn topology(queues: &Queues, partitions: u16) -> Vec<Finding> {
    const CHECK: &str = "rabbitmq queues";
    let different = queues.different.iter().map(|why| Finding::failed(CHECK, why.as_str(), "as it says"));
    let mut findings: Vec<Finding> = different.take(MAX_NAMED).collect();
    if queues.present == 0 && findings.is_empty() {
        let mend = "start ingress or a worker with this configuration: it declares them";
        return vec![Finding::warning(CHECK, "none of kefu's are on this vhost yet", mend)];
    }
    if !queues.missing.is_empty() {
        let named: Vec<&str> = queues.missing.iter().take(MAX_NAMED).map(String::as_str).collect();
        let more = if queues.missing.len() > MAX_NAMED { ", …" } else { "" };
        let text = format!("{} missing: {}{more}", queues.missing.len(), named.join(", "));
        findings.push(Finding::failed(CHECK, text, "restart ingress or a worker: each declares all of them"));
    }
    if let Some(beyond) = &queues.beyond {
        let text = format!("there is {beyond}, and [queue] partitions is {partitions}: it was more before");
        let mend = "set it back, or let the workers of before empty the queues beyond and delete them";
        findings.push(Finding::warning(CHECK, text, mend));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("all {} are there as they must be", queues.present)));
    }
    findings
}

fn contents(queues: &Queues, partitions: u16, workers: Option<usize>) -> Vec<Finding> {
    if queues.present == 0 {
        return Vec::new();
    }
    let waiting = match queues.waiting {
        1 => "1 message waits".to_owned(),
        waiting => format!("{waiting} messages wait"),
    };
    // A worker takes messages, so the store's count of zero workers is no real count.
    let taking = match workers.filter(|workers| *workers > 0) {
        Some(workers) => format!("{}, ", count(workers, "worker", "workers")),
        None => String::new(),
    };
    let workers = match (queues.without_consumer, queues.with_consumer) {
        (0, _) => Finding::ok("rabbitmq workers", format!("{taking}every partition is taken from, {waiting}")),
        (without, 0) if without >= usize::from(partitions) => {
            Finding::warning("rabbitmq workers", format!("none takes messages, {waiting}"), "start kefu-worker")
        }
        (without, _) => {
            let text = format!("{taking}{without} of {partitions} partitions have no worker, {waiting}");
            Finding::warning("rabbitmq workers", text, "a worker that just started takes a moment; else see its log")
        }
    };
    let mut findings = vec![workers];
    if queues.dead > 0 {
        let text = format!("there are {}", queues.dead);
        findings.push(Finding::warning("rabbitmq dead letters", text, "kefu dead list shows them, and why"));
    }
    if queues.unrouted > 0 {
        let text = format!("kefu.unrouted has {} messages, which nobody handles", queues.unrouted);
        let mend = "restart ingress, which mends the topology, then publish them to kefu.in with their routing keys";
        findings.push(Finding::failed("rabbitmq unrouted", text, mend));
    }
    findings
}

/// Reports the plugins that the management page lists. kefu needs no plugin, so this finding is never a failure.
pub(super) async fn plugins(url: &SecretString, management: Option<&Url>) -> Finding {
    const CHECK: &str = "rabbitmq plugins";
    let none_needed = "kefu itself needs none";
    let Some(page) = Url::parse(url.expose_secret()).ok().and_then(|amqp| page(&amqp, management)) else {
        return Finding::ok(CHECK, format!("not looked at without --management-url; {none_needed}"));
    };
    let shown = format!("{}:{}", page.host_str().unwrap_or_default(), page.port_or_known_default().unwrap_or_default());
    let client = http_client::builder(&page).timeout(PATIENCE).no_proxy();
    let asked = async { client.build()?.get(page).send().await?.error_for_status()?.json::<Value>().await };
    let text = match asked.await {
        Ok(nodes) => {
            let plugins = nodes.pointer("/0/enabled_plugins").and_then(Value::as_array).cloned().unwrap_or_default();
            let names: Vec<&str> = plugins.iter().filter_map(Value::as_str).collect();
            match names.is_empty() {
                true => format!("rabbitmq_management, which does not list the others; {none_needed}"),
                false => names.join(", "),
            }
        }
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
            format!("the management page on {shown} does not tell this user; {none_needed}")
        }
        Err(error) if error.is_connect() => {
            format!("no management page on {shown}; {none_needed}")
        }
        Err(error) => format!("the management page on {shown}: {}; {none_needed}", in_words(&error.without_url())),
    };
    Finding::ok(CHECK, text)
}

/// The address of the list of plugins, if the operator named a management page. kefu does not send its password to that
/// page, so the doctor sends it only by order.
fn page(amqp: &Url, management: Option<&Url>) -> Option<Url> {
    let mut page = management?.clone();
    page.set_path("/api/nodes");
    page.set_query(Some("columns=name,enabled_plugins"));
    let (user, password) = match amqp.username() {
        "" => ("guest", "guest"),
        user => (user, amqp.password().unwrap_or_default()),
    };
    page.set_username(user).ok()?;
    page.set_password(Some(password)).ok()?;
    Some(page)
}
