//! Whether anything of a process group still runs.

use rustix::process::{Pid, test_kill_process_group};

/// Whether no process of the group is left, or only such as have ended and wait for their parent to notice: in a
/// container the first process may never do that.
pub(super) fn is_gone(group: Pid) -> bool {
    if test_kill_process_group(group).is_err() {
        return true;
    }
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    !processes.flatten().any(|process| {
        let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        runs_in(&stat, group.as_raw_nonzero().get())
    })
}

/// Reads a line of `/proc/PID/stat`: `PID (name) STATE PPID GROUP …`; the name may hold anything.
fn runs_in(stat: &str, group: i32) -> bool {
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let mut fields = rest.split_whitespace();
    let state = fields.next();
    fields.nth(1).and_then(|field| field.parse().ok()) == Some(group) && !matches!(state, Some("Z" | "X"))
}
