# Short names for the commands of CONTRIBUTING.md. `just` alone lists them.

_list:
    @just --list --unsorted

# The whole system on this machine
up *arguments:
    cargo run -- up {{ arguments }}

# Unit and integration tests; `just test outages::` runs some of the integration tests
test *filter:
    {{ if filter == "" { "cargo test --workspace" } else { "cargo test -p onboard-tests --test integration " + filter } }}

# Everything that must hold before a change lands
ci:
    .ci/run

# Lints, as CI runs them
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy --workspace --test endurance --locked -- -D warnings

# Format all Rust code
fmt:
    cargo fmt --all

# The documentation of the crates, without warnings
docs:
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

# Measure; `just bench latency register` measures some scenarios
bench *scenarios:
    cargo run --release -- bench {{ scenarios }}
