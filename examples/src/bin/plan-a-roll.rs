//! The example `plan_a_roll` as a program that cargo hands to the tests.

#[path = "../../examples/plan_a_roll.rs"]
mod plan_a_roll;

fn main() -> std::process::ExitCode {
    plan_a_roll::main()
}
