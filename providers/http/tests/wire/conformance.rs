//! The probe passes the suite that every provider's probe passes.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, SystemClock,
    clock::SharedClock,
    estate::{PatchChange, Pin},
    id::{ComponentId, PatchId, Version},
    provider::{Change, EvidenceLabel, Provider},
};
use patchcore_http::{HttpConfig, HttpProbe};
use patchcore_testkit::{Fixture, Made, NoFixture, ProbeCase, Seen, Stock, Trouble, conformance};
use serde_json::json;

use crate::server::{Server, request};

/// Python's server as the outside. Nothing can be patched on it, so its one change is never tried.
#[derive(Debug)]
struct WebServer(Server);

async fn outside() -> Result<WebServer, NoFixture> {
    Ok(WebServer(Server::start_plain("127.0.0.1")?))
}

conformance!(probe, outside);

#[async_trait]
impl Fixture for WebServer {
    fn clock(&self) -> SharedClock {
        Arc::new(SystemClock)
    }

    fn stock(&self) -> Stock {
        let page = PatchChange {
            patch: "page".into(),
            from: Some("1".into()),
            to: Some("2".into()),
            pin: Pin::Version,
        };
        let at = |path: &str| request(&format!("http://127.0.0.1:{}/{path}", self.0.port));
        Stock::of(vec![Change::new("web-1", vec![page])], "0").with_probe(ProbeCase {
            healthy: at("status/200"),
            unhealthy: at("status/503"),
            cannot_run: request("http://web-1.invalid/"),
        })
    }

    fn evidence(&self, _: &str) -> EvidenceLabel {
        EvidenceLabel::IndependentPeer
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(HttpProbe::new(HttpConfig::default())?))
    }

    /// The trace is what the server counted of methods that can change something (RFC 9110 §9.2.1).
    async fn look(&self, _: &ComponentId) -> Result<Seen> {
        let failed = |e: std::io::Error| {
            Error::new(ErrorKind::Io, "the server does not say its count").source_error(e)
        };
        let mut answer = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", self.0.port)).map_err(failed)?;
        stream
            .write_all(b"GET /unsafe-requests HTTP/1.0\r\n\r\n")
            .and_then(|()| stream.read_to_string(&mut answer))
            .map_err(failed)?;
        let count: u32 = answer
            .rsplit("\r\n")
            .next()
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| Error::new(ErrorKind::Io, "the server's count is no number"))?;
        Ok(Seen {
            versions: [("page".into(), "1".into())].into(),
            trace: json!({ "unsafe_requests": count }),
        })
    }

    async fn meddle(&self, _: &ComponentId, _: &PatchId, _: &Version) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "nothing can be put into this server",
        ))
    }

    async fn trouble(&self, _: &Trouble) -> Result<Made> {
        Ok(Made::CannotBeMade)
    }
}
