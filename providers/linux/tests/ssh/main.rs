//! The ssh transport against the sshd of OpenSSH in real Debian guests.
//!
//! It evidences: host keys and logins as OpenSSH has them, sudo's own words, scripts whole and once, connections that
//! break and are opened again, many at once.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "what is waited for happens in other machines, and the functions around the tests are tests too"
)]

mod host_keys;
mod logins;
mod many;
mod noise;
mod scripts;
mod shells;
mod stand;
mod sudo;
