//! The result of a check, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

use crate::terminal::{GAP, columns, count, write_behind};

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    check: String,
    pub(super) status: Status,
    text: String,
    /// How to correct the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    /// kefu works, but not as well as it could; or the doctor could not find out whether kefu works here.
    Warning,
    /// kefu does not work in this state.
    Failed,
}

impl Finding {
    pub(super) fn ok(check: impl Into<String>, text: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Ok, text: text.into(), mend: None }
    }

    pub(super) fn warning(check: impl Into<String>, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Warning, text: text.into(), mend: Some(mend.into()) }
    }

    pub(super) fn failed(check: impl Into<String>, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Failed, text: text.into(), mend: Some(mend.into()) }
    }
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
        }
    }
}

pub(super) fn write_json(out: &mut impl Write, is_well: bool, findings: &[Finding]) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &json!({ "ok": is_well, "checks": findings }))?;
    writeln!(out)
}

pub(super) fn write(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    let checks = findings.iter().map(|finding| columns(&finding.check)).max().unwrap_or(0);
    for Finding { check, status, text, mend } in findings {
        let head = format!("{check:checks$}{GAP}{:7}{GAP}", status.as_str());
        write_behind(out, &head, text)?;
        if let Some(mend) = mend {
            write_behind(out, &" ".repeat(columns(&head)), &format!("-> {mend}"))?;
        }
    }
    let of = |status| findings.iter().filter(|finding| finding.status == status).count();
    let (failed, warnings) = (of(Status::Failed), count(of(Status::Warning), "warning", "warnings"));
    match failed {
        0 => writeln!(out, "nothing failed, {warnings}"),
        failed => writeln!(out, "{failed} FAILED, {warnings}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_a_line_each_with_how_to_mend_them_below() {
        let findings = [
            Finding::ok("redis", "reached"),
            Finding::warning("redis appendonly", "no\u{1b}", "set it"),
            Finding::failed("spool", "is no folder", "make it one"),
        ];
        let mut out = Vec::new();
        write(&mut out, &findings).unwrap();
        let expected = [
            "redis             ok       reached",
            "redis appendonly  warning  no\\u{1b}",
            "                           -> set it",
            "spool             FAILED   is no folder",
            "                           -> make it one",
            "1 FAILED, 1 warning\n",
        ];
        assert_eq!(String::from_utf8(out).unwrap(), expected.join("\n"));
    }
}
