//! The program: see the library.

fn main() -> anyhow::Result<()> {
    second_consumer::main()
}
