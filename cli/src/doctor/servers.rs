//! The checks of Redis and RabbitMQ.

use kefu_program::config::{BackendUrls, Config};
use kefu_queue::rabbitmq::{self, Queues, Settings};
use kefu_runtime::{http_client, in_words};
use kefu_store::redis;
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{Finding, PATIENCE, clock};
use crate::terminal::{MAX_NAMED, count, names};

/// Both inspections end by themselves, half a second after [`PATIENCE`] at the latest. With an embedded database there is nothing to check.
pub(super) async fn look(config: &Config, management: Option<&Url>) -> Vec<Finding> {
    let BackendUrls::Servers { queue, store } = &config.backend else { return Vec::new() };
    let settings = Settings::new(queue.clone(), config.queue.partitions);
    let (redis, rabbitmq, plugins) =
        tokio::join!(redis::inspect(store.expose_secret()), rabbitmq::inspect(&settings), plugins(queue, management));
    let workers = redis.as_ref().ok().and_then(|redis| redis.workers);
    let mut findings = match redis {
        Ok(redis) => of_redis(&redis),
        Err(error) => vec![Finding::failed("redis", error.to_string(), "start Redis, or correct [store] url")],
    };
    match rabbitmq {
        Ok(rabbitmq) => findings.extend(of_rabbitmq(&rabbitmq, settings.partitions, workers)),
        Err(error) => findings.push(Finding::failed("rabbitmq", error.to_string(), "correct [queue] url")),
    }
    findings.push(plugins);
    findings
}

fn of_redis(found: &redis::Inspection) -> Vec<Finding> {
    let mut findings = vec![match &found.version {
        None => not_shown("redis", "version", "the version must be 7.0 or later"),
        Some(version) if found.is_too_old() => {
            Finding::failed("redis", format!("version {version} is too old: kefu needs 7.0 or later"), "update Redis")
        }
        Some(version) => Finding::ok("redis", format!("reached, version {version}")),
    }];
    findings.push(match found.role.as_deref() {
        None => not_shown("redis role", "role", "the role must be master"),
        Some("master") => Finding::ok("redis role", "master: Redis accepts writes"),
        Some(_) => Finding::failed(
            "redis role",
            "this Redis is a replica, which accepts no writes",
            "name the master in [store] url",
        ),
    });
    findings.push(match found.appendonly.as_deref() {
        None => not_shown("redis appendonly", "appendonly", "appendonly must be yes"),
        Some("yes") => Finding::ok("redis appendonly", "yes: a restart forgets nothing"),
        Some(_) => Finding::warning(
            "redis appendonly",
            "no: a restart forgets which replies were sent, so kefu may send replies twice",
            "set appendonly yes",
        ),
    });
    findings.push(match found.maxmemory_policy.as_deref() {
        None => not_shown("redis maxmemory-policy", "maxmemory-policy", "maxmemory-policy must be noeviction"),
        Some("noeviction") => Finding::ok("redis maxmemory-policy", "noeviction: Redis never drops kefu's state"),
        Some(policy) => Finding::warning(
            "redis maxmemory-policy",
            format!("{policy}: Redis may drop kefu's state, so kefu may send replies twice"),
            "set maxmemory-policy noeviction",
        ),
    });
    findings.extend(found.time_ms.map(|ms| clock::compare("redis clock", "Redis", ms, 0)));
    findings
}

fn not_shown(check: &str, what: &str, must: &str) -> Finding {
    let text = format!("Redis does not show its {what}, as many managed servers do not");
    Finding::warning(check, text, format!("check this yourself: {must}"))
}

/// `workers` is the number of workers, as far as the store knows.
fn of_rabbitmq(found: &rabbitmq::Inspection, partitions: u16, workers: Option<usize>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(found.version.as_ref().map(|version| match found.is_too_old() {
        true => Finding::failed(
            "rabbitmq version",
            format!("version {version} is too old: before 4.0, workers do not share the load"),
            "update RabbitMQ to 4.0 or later",
        ),
        false => Finding::ok("rabbitmq version", version.as_str()),
    }));
    match &found.queues {
        Err(why) => {
            findings.push(Finding::failed("rabbitmq", why.as_str(), "start RabbitMQ, or correct [queue] url"));
        }
        Ok(queues) => {
            findings.insert(0, Finding::ok("rabbitmq", "reached, and the broker accepts this user and vhost"));
            findings.extend(topology(queues, partitions));
            findings.extend(contents(queues, partitions, workers));
        }
    }
    findings
}

fn topology(queues: &Queues, partitions: u16) -> Vec<Finding> {
    const CHECK: &str = "rabbitmq queues";
    const MEND: &str = "mend this on the broker; kefu then declares its queues again by itself";
    let different = queues.different.iter().map(|why| Finding::failed(CHECK, why.as_str(), MEND));
    let mut findings: Vec<Finding> = different.take(MAX_NAMED).collect();
    if queues.present == 0 && findings.is_empty() {
        let mend = "start ingress or a worker with this configuration: each declares all of kefu's queues";
        return vec![Finding::warning(CHECK, "this vhost has none of kefu's queues yet", mend)];
    }
    if !queues.missing.is_empty() {
        let text = format!("{} missing: {}", queues.missing.len(), names(&queues.missing));
        findings.push(Finding::failed(CHECK, text, "restart ingress or a worker: each declares all of kefu's queues"));
    }
    if let Some(beyond) = &queues.beyond {
        let text =
            format!("the broker has {beyond}, but [queue] partitions is {partitions}: the number was larger before");
        let mend = "set the number back; or, once the workers have emptied the extra queues and the retry queues, delete the \
             extra queues, the highest number first";
        findings.push(Finding::warning(CHECK, text, mend));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("all {} queues are as kefu needs them", queues.present)));
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
    let known = match workers.filter(|workers| *workers > 0) {
        Some(workers) => format!("{}, ", count(workers, "worker", "workers")),
        None => String::new(),
    };
    let workers = match (queues.without_consumer, queues.with_consumer) {
        (0, _) => Finding::ok("rabbitmq workers", format!("{known}every partition has a worker, {waiting}")),
        (without, 0) if without >= usize::from(partitions) => {
            Finding::warning("rabbitmq workers", format!("no worker takes messages, {waiting}"), "start kefu-worker")
        }
        (without, _) => {
            let text = format!("{known}{without} of {partitions} partitions have no worker, {waiting}");
            let mend = "a worker needs a moment after its start; if the warning stays, read the workers' logs";
            Finding::warning("rabbitmq workers", text, mend)
        }
    };
    let mut findings = vec![workers];
    if queues.dead > 0 {
        let text = count(queues.dead as usize, "dead letter", "dead letters");
        findings.push(Finding::warning("rabbitmq dead letters", text, "kefu dead list shows each with its reason"));
    }
    if queues.unrouted > 0 {
        let text = format!(
            "kefu.unrouted has {}, which no worker takes",
            count(queues.unrouted as usize, "message", "messages")
        );
        let mend = "restart ingress, which declares the queues again; then publish these messages to the exchange kefu.in \
                    with their routing keys";
        findings.push(Finding::failed("rabbitmq unrouted", text, mend));
    }
    findings
}

/// Reports the plugins that the management page lists. kefu needs no plugin, so this finding is never a failure.
async fn plugins(url: &SecretString, management: Option<&Url>) -> Finding {
    const CHECK: &str = "rabbitmq plugins";
    let none_needed = "kefu needs no plugin";
    let Some(page) = Url::parse(url.expose_secret()).ok().and_then(|amqp| page(&amqp, management)) else {
        return Finding::ok(CHECK, format!("not checked without --management-url; {none_needed}"));
    };
    let shown = format!("{}:{}", page.host_str().unwrap_or_default(), page.port_or_known_default().unwrap_or_default());
    let client = http_client::builder(&page).timeout(PATIENCE).no_proxy();
    let asked = async { client.build()?.get(page).send().await?.error_for_status()?.json::<Value>().await };
    let text = match asked.await {
        Ok(nodes) => {
            let plugins = nodes.pointer("/0/enabled_plugins").and_then(Value::as_array).cloned().unwrap_or_default();
            let names: Vec<&str> = plugins.iter().filter_map(Value::as_str).collect();
            match names.is_empty() {
                true => format!("rabbitmq_management, which lists no other plugin; {none_needed}"),
                false => names.join(", "),
            }
        }
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
            format!("the management page on {shown} refuses this user; {none_needed}")
        }
        Err(error) if error.is_connect() => format!("no management page answers on {shown}; {none_needed}"),
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
