//! The probe against Python's HTTP server and OpenSSL's certificates.
//!
//! Evidence: `IndependentPeer` for `probe`.

mod answers;
mod conformance;
mod server;
mod tls;
