//! The example `this_machine` as a program that cargo hands to the tests.

#[path = "../../examples/this_machine.rs"]
mod this_machine;

fn main() -> std::process::ExitCode {
    this_machine::main()
}
