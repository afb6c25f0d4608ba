//! The compiling child process, for the tests of this crate; the product's binary has a hidden
//! subcommand that does the same.

fn main() -> std::io::Result<()> {
    std::process::exit(mandate_runtime::compile_worker(
        std::io::stdin(),
        std::io::stdout(),
    )?)
}
