use kefu_runtime::testing::Log;

use super::{EnvFilter, LogFormat, subscriber};

fn logged(filter: &str, format: LogFormat, log: impl FnOnce()) -> String {
    let lines = Log::default();
    let writer = lines.clone();
    let subscriber = subscriber(EnvFilter::try_new(filter).unwrap(), format, move || writer.clone());
    tracing::subscriber::with_default(subscriber, log);
    lines.text()
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
