//! `cargo xtask demo`: a fleet of real Debian guests that it makes itself, patched by the example `linux_fleet`.

fn main() -> std::process::ExitCode {
    patchcore_examples::demo::main()
}
