//! What people and programs read of a run: at its end, and at every event before.
#![cfg(all(feature = "sqlite", feature = "sim"))]
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, also in its helpers"
)]

mod arbitrary;
mod estate;
mod forms;
mod prefixes;
mod timeline;

/// What no text for people may hold: how Rust writes values, and how machines write times.
fn fit_for_people(text: &str) {
    for sign in [
        "Some(",
        "None",
        "Ended",
        "GivingBack",
        "NotAsked",
        "::",
        "{ ",
        "\u{1b}",
    ] {
        assert!(!text.contains(sign), "{sign:?} in:\n{text}");
    }
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('T') {
        let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
        let iso = at > 0 && digit(at - 1) && digit(at + 1);
        assert!(!iso, "a time for machines in:\n{text}");
    }
}
