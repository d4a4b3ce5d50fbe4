//! What a program prints, and the addresses it names there.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::Role;

/// The lines of a program's standard output and standard error, in the order in which they came.
#[derive(Debug, Default)]
pub struct Output {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    text: String,
    listening: Vec<(Role, SocketAddr)>,
    pipes_open: usize,
}

impl Output {
    /// Starts to read the pipes of a child.
    pub(super) fn of(child: &mut Child) -> Arc<Self> {
        let output = Arc::new(Self::default());
        let stdout = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
        let stderr = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
        for pipe in [stdout, stderr].into_iter().flatten() {
            output.seen.lock().expect("nothing panics while it holds this").pipes_open += 1;
            let output = Arc::clone(&output);
            thread::spawn(move || output.read_to_end(pipe));
        }
        output
    }

    /// The text so far.
    pub fn text(&self) -> String {
        self.seen.lock().expect("nothing panics while it holds this").text.clone()
    }

    /// The whole text, once the program has closed its outputs.
    pub fn whole(&self) -> Option<String> {
        let seen = self.seen.lock().expect("nothing panics while it holds this");
        (seen.pipes_open == 0).then(|| seen.text.clone())
    }

    /// The addresses of a role that the program says it listens on.
    pub fn addresses(&self, role: Role) -> Vec<SocketAddr> {
        let seen = self.seen.lock().expect("nothing panics while it holds this");
        seen.listening.iter().filter(|(of, _)| *of == role).map(|(_, address)| *address).collect()
    }

    fn read_to_end(&self, pipe: impl Read) {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line);
            let mut seen = self.seen.lock().expect("nothing panics while it holds this");
            seen.listening.extend(listening(&text));
            seen.text.push_str(&text);
            line.clear();
        }
        self.seen.lock().expect("nothing panics while it holds this").pipes_open -= 1;
    }
}

/// Reads the log line `{"message":"listening","role":"public","address":"127.0.0.1:43211"}`, its fields at the top or
/// in `fields`.
fn listening(line: &str) -> Option<(Role, SocketAddr)> {
    let event: Value = serde_json::from_str(line).ok()?;
    let fields = event.get("fields").unwrap_or(&event);
    let role = match (fields.get("message")?.as_str()?, fields.get("role")?.as_str()?) {
        ("listening", "public") => Role::Public,
        ("listening", "internal") => Role::Internal,
        _ => return None,
    };
    Some((role, fields.get("address")?.as_str()?.parse().ok()?))
}
