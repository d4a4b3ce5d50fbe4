# Short names for everyday commands. Each command also works by hand, without just.

# List the commands.
default:
    @just --list

# Run the tests that need no server, with the corpus of fuzz/. `just test NAME` runs the tests whose name contains NAME.
test *ARGS:
    cargo test --workspace --exclude kefu-tests --tests {{ARGS}}

# Run the tests whose name contains NAME, of all kinds, with the servers that these tests need.
one NAME:
    tests/run {{NAME}}

# Measure kefu beside its peers: `just bench ingress`, or without a name everything.
bench *ARGS:
    bench/run {{ARGS}}

# Check everything that a change must pass.
ci:
    .ci/run

# See kefu at work: one process with a simulated WeChat.
demo:
    cargo demo
