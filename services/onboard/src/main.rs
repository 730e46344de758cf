//! The one binary. Everything it does is in the library, so that the tests
//! build exactly the same program.

// Fail points are for the tests' copy of the program. Building everything at
// once turns them on everywhere: `cargo build --release -p onboard` does not.
const _: () = assert!(
    cfg!(debug_assertions) || !fail::has_failpoints(),
    "the release binary has no fail points: build it with `cargo build --release -p onboard`"
);

fn main() -> std::process::ExitCode {
    onboard::main()
}
