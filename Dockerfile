# The one image of the system: `onboard`, whose subcommands are the services
# and the tools. Needs no BuildKit; `docker compose up -d --build` makes it.

# `deploy/local/digests.yml` gives both by digest.
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

# The manifests alone, with empty sources. A later stage copies from here, and
# what it copies only changes when a manifest or Cargo.lock does.
FROM ${RUST_IMAGE} AS manifests
WORKDIR /source
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
 && find . -mindepth 2 -name Cargo.toml -printf '%h\n' | while read -r package; do \
      mkdir -p "$package/src" && echo '//! Empty.' > "$package/src/lib.rs" || exit 1; \
    done \
 && printf '//! Empty.\nfn main() {}\n' > services/onboard/src/main.rs

# Dependencies first: a layer of their own, rebuilt only with the manifests.
FROM ${RUST_IMAGE} AS build
ENV CARGO_TERM_COLOR=never CARGO_TARGET_DIR=/target
WORKDIR /source
COPY --from=manifests /source ./
RUN cargo build --release --locked -p onboard
COPY . .
# Cargo compares modification times, and those of the checkout are older than
# the empty sources built above.
RUN find . -name '*.rs' -exec touch {} + \
 && cargo build --release --locked -p onboard \
 && install -D /target/release/onboard /image/usr/local/bin/onboard \
 && install -D /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt

FROM ${DEBIAN_IMAGE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin onboard
COPY --from=build /image /
USER 10001:10001
WORKDIR /
# 4001 auth, 4002 todo; health and metrics in production: 4101 auth, 4102 todo, 4003 relay,
# 4004 worker. SIGTERM drains.
EXPOSE 4001 4002 4003 4004 4101 4102
STOPSIGNAL SIGTERM
ENTRYPOINT ["onboard"]
CMD ["--help"]
