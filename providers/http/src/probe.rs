//! The port: one check, and what its answer means.

use std::{future::Future, pin::pin, time::Duration};

use async_trait::async_trait;
use futures_util::future::{Either, select};
use jiff::Timestamp;
use patchcore::{
    Error, ErrorKind, Result,
    provider::{
        EvidenceLabel, HealthProbe, OpContext, Ports, ProbeAnswer, ProbeKind, ProbeRequest,
        ProbeVerdict, Provider, ProviderInfo,
    },
};
use patchcore_https::Silence;
use reqwest::Url;

use crate::{
    client::{Client, read_body, redirect_in_words, shown},
    config::{HttpConfig, Redirects},
};

/// Asks a component's URL whether it is healthy. A cheap clone.
///
/// Its calls need a tokio runtime with I/O enabled.
#[derive(Debug, Clone)]
pub struct HttpProbe {
    client: Client,
    redirects: Redirects,
    info: ProviderInfo,
}

impl HttpProbe {
    /// A probe after a configuration. Reads the CA file and what this machine trusts; sends nothing.
    ///
    /// # Errors
    /// `InvalidInput` for a CA file that cannot be used.
    pub fn new(config: HttpConfig) -> Result<Self> {
        Ok(Self {
            client: Client::new(&config)?,
            redirects: config.redirects,
            info: ProviderInfo::new("http", env!("CARGO_PKG_VERSION"))
                .with_evidence("probe", EvidenceLabel::IndependentPeer),
        })
    }

    async fn ask(&self, ctx: &OpContext, url: Url, time: Time) -> Result<ProbeAnswer> {
        let named = shown(&url);
        let Some(head) = within(ctx, time.until, self.client.head(url.clone())).await else {
            return time.over(&named, "no answer");
        };
        let response = match head {
            Ok(response) => response,
            Err(error) => {
                let silence = Silence::of(&error);
                return if silence.is_seen() {
                    Ok(unhealthy(format!("http: {silence}")))
                } else {
                    Err(silence.into_error(&named, "http", error))
                };
            }
        };
        let status = response.status();
        let mut saw = format!("http {}", status.as_u16());
        if let Some(redirect) = redirect_in_words(self.redirects, &response) {
            saw = format!("{saw} {redirect}");
        }
        if *response.url() != url {
            saw = format!("{saw} at {}", shown(response.url()));
        }
        if !status.is_success() {
            return Ok(unhealthy(saw));
        }
        match within(ctx, time.until, read_body(response)).await {
            Some(Ok(())) => Ok(ProbeAnswer {
                verdict: ProbeVerdict::Healthy,
                saw,
            }),
            Some(Err(_)) => Ok(unhealthy(format!("{saw}, but the answer broke off"))),
            None => time.over(&named, &format!("{saw}, but no whole answer")),
        }
    }
}

impl Provider for HttpProbe {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn ports(&self) -> Ports {
        Ports::none().with_probe(std::sync::Arc::new(self.clone()))
    }
}

#[async_trait]
impl HealthProbe for HttpProbe {
    fn kinds(&self) -> &'static [&'static str] {
        &["http"]
    }

    async fn probe(&self, ctx: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer> {
        let named = |error: Error| {
            error
                .operation("probe")
                .context("component", request.component.to_string())
        };
        let ProbeKind::Http { url } = &request.kind else {
            return Err(named(
                Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "the http provider cannot run a check of kind {}",
                        request.kind.slug()
                    ),
                )
                .hint("add a provider to the estate that runs it"),
            ));
        };
        ctx.check().map_err(named)?;
        let url = read_url(url).map_err(named)?;
        let time = Time::of(ctx, request.timeout).map_err(named)?;
        self.ask(ctx, url, time).await.map_err(named)
    }
}

fn unhealthy(saw: String) -> ProbeAnswer {
    ProbeAnswer {
        verdict: ProbeVerdict::Unhealthy,
        saw,
    }
}

/// How long one check may take, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time {
    until: Timestamp,
    allowed: Duration,
    /// Whether the caller's deadline comes before the check's own time is over.
    cut_short: bool,
}

impl Time {
    fn of(ctx: &OpContext, timeout: Duration) -> Result<Self> {
        if timeout.is_zero() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a check with no time at all cannot be run",
            )
            .hint("give it some seconds"));
        }
        let left = ctx.time_left();
        let allowed = timeout.min(left);
        let time = Self {
            until: ctx.now().checked_add(allowed).unwrap_or(ctx.deadline()),
            allowed,
            cut_short: left < timeout,
        };
        if left.is_zero() {
            return Err(time.too_short("it was not sent"));
        }
        Ok(time)
    }

    /// A component that was given its whole time was seen not to answer. One that was not, was not seen.
    fn over(self, url: &str, saw: &str) -> Result<ProbeAnswer> {
        if self.cut_short {
            return Err(self.too_short(&format!("{url}: {saw} so far")));
        }
        let saw = match saw.strip_prefix("http ") {
            Some(_) => saw.to_owned(),
            None => format!("http: {saw}"),
        };
        Ok(unhealthy(format!(
            "{saw} within {}",
            in_words(self.allowed)
        )))
    }

    fn too_short(self, saw: &str) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!(
                "the caller's deadline left the check only {}: {saw}",
                in_words(self.allowed)
            ),
        )
        .hint("give the call at least the time that the check may take")
        .retryable(None)
    }
}

fn in_words(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

/// The result, or none when the time has come before. The work is then given up.
async fn within<T>(
    ctx: &OpContext,
    until: Timestamp,
    work: impl Future<Output = T> + Send,
) -> Option<T> {
    match select(pin!(work), ctx.clock().reached(until)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

/// A URL that can be asked, or all that is wrong with it.
fn read_url(text: &str) -> Result<Url> {
    let refused = |found: String| {
        Error::new(
            ErrorKind::InvalidInput,
            "the URL of an http check cannot be used",
        )
        .expected("such as http://10.0.0.7:8080/healthz")
        .found(found)
        .consequence("the check was not run")
        .hint("correct the URL of the check in the policy")
    };
    // What stands before an @ or after a question mark may be a secret and is not repeated.
    let open = text.split_once('?').map_or(text, |(open, _)| open);
    let quoted = match text.rsplit_once('@') {
        Some((_, end)) => format!("\"…@{}\"", end.split_once('?').map_or(end, |(end, _)| end)),
        None => format!("\"{open}\""),
    };
    let url = Url::parse(text).map_err(|e| refused(format!("{quoted}: {e}")))?;
    let mut mistakes = Vec::new();
    if !matches!(url.scheme(), "http" | "https") {
        mistakes.push("it starts with neither http:// nor https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        mistakes.push("it holds a user or a password, which plans and reports would show");
    }
    if url.host_str().is_none_or(|host| host.contains(['{', '}'])) {
        mistakes.push("its host is not filled in");
    }
    if url.port() == Some(0) {
        mistakes.push("nothing listens on port 0");
    }
    if mistakes.is_empty() {
        return Ok(url);
    }
    Err(refused(format!("{quoted}: {}", mistakes.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: &[&str]) {
        match read_url(url) {
            Ok(_) => assert!(expect.is_empty(), "{url} was taken"),
            Err(error) => {
                let error = error.to_string();
                assert!(!expect.is_empty(), "{error}");
                for word in expect {
                    assert!(error.contains(word), "{error}: without {word}");
                }
                assert!(!error.contains("hunter2"), "{error}");
            }
        }
    }

    #[test]
    fn urls_are_read_or_refused_with_all_that_is_wrong() {
        check("http://10.0.0.7:8080/healthz", &[]);
        check("https://[fd00::7]/healthz?full=1", &[]);
        check("web-1/healthz", &["web-1/healthz", "relative URL"]);
        check("", &["relative URL"]);
        check("http://", &["empty host"]);
        check("ftp://web-1/", &["neither http:// nor https://"]);
        check("http://root@web-1/", &["user or a password"]);
        check("http://:hunter2@web-1/", &["user or a password"]);
        check("http://root:hunter2@web-1:port/", &["invalid port"]);
        check(
            "ftp://root:hunter2@web-1:0/",
            &["neither http", "user or a password", "port 0"],
        );
        check("http://{address}/healthz", &["not filled in"]);
    }

    #[test]
    fn time_is_told_in_its_own_unit() {
        assert_eq!(in_words(Duration::from_secs(10)), "10 s");
        assert_eq!(in_words(Duration::from_millis(1500)), "1500 ms");
    }
}
