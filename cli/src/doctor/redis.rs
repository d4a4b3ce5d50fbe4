//! The checks of the store.

use kefu_store::redis::{self, Inspection};
use secrecy::{ExposeSecret, SecretString};

use super::{Finding, clock, in_time};

const CHECK: &str = "redis";
const REACH: &str = "start it, or correct [store] url";

/// The server's state, or the finding that the server does not answer.
pub(super) async fn ask(url: &SecretString) -> Result<Inspection, Finding> {
    let asked = in_time(CHECK, REACH, redis::inspect(url.expose_secret())).await?;
    asked.map_err(|error| Finding::failed(CHECK, error.to_string(), REACH))
}

pub(super) fn judge(found: &Inspection) -> Vec<Finding> {
    let mut findings = vec![version(found)];
    findings.push(match found.role.as_deref() {
        Some("master") => Finding::ok("redis role", "it takes writes"),
        None => untold("redis role", "role", "it must be a master, not a replica"),
        Some(_) => {
            Finding::failed("redis role", "it is a replica, which takes no writes", "name the master in [store] url")
        }
    });
    findings.push(match found.appendonly.as_deref() {
        Some("yes") => Finding::ok("redis appendonly", "yes: a restart forgets nothing"),
        None => untold("redis appendonly", "appendonly", "it must be yes"),
        Some(_) => Finding::warning(
            "redis appendonly",
            "no: a restart forgets what was sent, and messages may be answered twice",
            "set appendonly yes",
        ),
    });
    findings.push(match found.maxmemory_policy.as_deref() {
        Some("noeviction") => Finding::ok("redis maxmemory-policy", "noeviction: nothing is lost in silence"),
        None => untold("redis maxmemory-policy", "maxmemory-policy", "it must be noeviction"),
        Some(policy) => Finding::warning(
            "redis maxmemory-policy",
            format!("{policy}: it may evict kefu's state, and messages may be answered twice"),
            "set maxmemory-policy noeviction",
        ),
    });
    findings.extend(found.time_ms.map(|ms| clock::compare("redis clock", "Redis", ms, 0)));
    findings
}

fn version(found: &Inspection) -> Finding {
    match &found.version {
        None => untold(CHECK, "version", "it must be 7.0 or later"),
        Some(version) if found.is_too_old() => {
            Finding::failed(CHECK, format!("it is {version}, kefu needs 7.0 or later"), "update Redis")
        }
        Some(version) => Finding::ok(CHECK, format!("reached, version {version}")),
    }
}

fn untold(check: &str, what: &str, must: &str) -> Finding {
    Finding::warning(
        check,
        format!("it does not tell its {what}, as many managed ones do not"),
        format!("look yourself: {must}"),
    )
}
