//! The example `vsphere_roll` as a program that cargo hands to the tests.

#[path = "../../examples/vsphere_roll/main.rs"]
mod vsphere_roll;

fn main() -> std::process::ExitCode {
    vsphere_roll::main()
}
