//! The example `operate` as a program that cargo hands to the tests.

#[path = "../../examples/operate.rs"]
mod operate;

fn main() -> std::process::ExitCode {
    operate::main()
}
