# One image with kefu's three programs: kefu-ingress, kefu-worker and kefu.
#
#   docker build -t kefu:local .
#   docker run --rm kefu:local kefu --help
#
# The image builds with BuildKit and without BuildKit.

FROM rust:1-trixie AS chef
WORKDIR /src
RUN cargo install --locked cargo-chef@0.1.78

# The recipe lists the dependencies: it changes with a manifest or with Cargo.lock, and not with the sources. Cargo compiles
# nothing of `tests` here, but a workspace without one of its members would not match Cargo.lock.
FROM chef AS planner
COPY Cargo.toml Cargo.lock ./
COPY shared shared
COPY ingress ingress
COPY worker worker
COPY cli cli
COPY simulator simulator
COPY tests/Cargo.toml tests/
RUN cargo chef prepare --recipe-path recipe.json

# This layer compiles the dependencies alone, under empty sources. Docker builds the layer again only when the recipe changes.
FROM chef AS builder
COPY --from=planner /src/recipe.json .
RUN cargo chef cook --release --locked --package kefu-ingress --package kefu-worker --package kefu-cli

COPY Cargo.toml Cargo.lock ./
COPY shared shared
COPY ingress ingress
COPY worker worker
COPY cli cli
COPY simulator simulator
COPY tests/Cargo.toml tests/
RUN cargo build --release --locked --package kefu-ingress --package kefu-worker --package kefu-cli \
    && mkdir /out \
    && cp target/release/kefu-ingress target/release/kefu-worker target/release/kefu /out/

FROM debian:trixie-slim

# The ids are fixed, so that the owner of a volume stays the same from image to image.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 kefu \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/kefu --shell /usr/sbin/nologin kefu \
    && install -d -m 0755 /etc/kefu \
    && install -d -m 0750 -o kefu -g kefu /var/lib/kefu

COPY deploy/docker/healthcheck deploy/docker/kefu-start /usr/local/bin/
COPY --from=builder /out/ /usr/local/bin/

# These labels change with every build, so no slow step stands below them.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kefu" \
      org.opencontainers.image.description="Takes the customer-service pushes of WeChat mini programs and sends the replies" \
      org.opencontainers.image.source="https://github.com/kefu-rs/kefu" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

ENV KEFU_CONFIG=/etc/kefu/kefu.toml
WORKDIR /var/lib/kefu
USER 10001:10001

# 8080: pushes. 9080 and 9081: /livez, /readyz and /metrics of ingress and worker; keep these ports from the internet.
EXPOSE 8080 9080 9081

# The programs stop on SIGTERM even as process 1, so the image needs no init.
CMD ["kefu", "--help"]
