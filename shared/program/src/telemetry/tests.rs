use std::io::Write;
use std::sync::{Arc, Mutex};

use super::{EnvFilter, LogFormat, subscriber};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(filter: &str, format: LogFormat, log: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = subscriber(EnvFilter::try_new(filter).unwrap(), format, move || writer.clone());
    tracing::subscriber::with_default(subscriber, log);
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn a_library_says_nothing_below_info_whatever_the_filter_asks_for() {
    for filter in ["trace", "lapin=trace,kefu_worker=trace", "trace,lapin::frames=trace"] {
        for format in [LogFormat::Text, LogFormat::Json] {
            let output = logged(filter, format, || {
                tracing::trace!(target: "lapin::frames", "body-1");
                tracing::debug!(target: "lapin", "body-2");
                tracing::warn!(target: "lapin::returned_messages", "body-3");
                let span = tracing::debug_span!(target: "lapin::io_loop", "body-4", text = "body-5");
                span.in_scope(|| tracing::warn!(target: "lapin::io_loop", "the connection is lost"));
                tracing::trace!(target: "kefu_worker::step", "begun");
            });
            assert!(!output.contains("body"), "{filter}: {output}");
            assert!(output.contains("the connection is lost") && output.contains("begun"), "{filter}: {output}");
        }
    }
}

#[test]
fn the_filter_still_takes_away_what_it_does_not_ask_for() {
    let output = logged("info,lapin=error", LogFormat::Text, || {
        tracing::debug!(target: "kefu_worker", "one");
        tracing::warn!(target: "lapin", "two");
        tracing::info!(target: "kefu", "three");
        tracing::info!(target: "kefuture", "four");
        tracing::debug!(target: "kefuture", "five");
    });
    let said: Vec<&str> = output.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(said, ["three", "four"], "{output}");
}
