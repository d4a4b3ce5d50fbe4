# Short names for what is done every day. Each line also works by hand, without just.

# What can be done.
default:
    @just --list

# The tests that need no server, with the corpus of fuzz/. `just test NAME` runs those whose name contains NAME.
test *ARGS:
    cargo test --workspace --exclude kefu-tests --tests {{ARGS}}

# The tests whose name contains NAME, of all kinds, with the servers that they need.
one NAME:
    tests/run {{NAME}}

# Everything that a change must pass.
ci:
    .ci/run

# kefu at work: one process with a simulated WeChat.
demo:
    cargo run --release --bin kefu -- demo
