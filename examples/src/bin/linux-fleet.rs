//! The example `linux_fleet` as a program that cargo hands to the tests and to the demo.

#[path = "../../examples/linux_fleet.rs"]
mod linux_fleet;

fn main() -> std::process::ExitCode {
    linux_fleet::main()
}
