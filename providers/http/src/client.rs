//! One request over the wire: TLS, redirects, and how much of an answer is read.

use patchcore::{Error, ErrorKind, Result};
use patchcore_https::{Trust, tls};
use reqwest::{Response, Url, header, redirect::Policy};

use crate::config::{HttpConfig, MOST_REDIRECTS, Redirects};

/// Of a body this much is read. A page about health has a few hundred bytes; a check must not fill the
/// memory of whoever runs it.
const MOST_OF_A_BODY: usize = 64 * 1024;

/// Makes requests. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Client(reqwest::Client);

impl Client {
    pub(crate) fn new(config: &HttpConfig) -> Result<Self> {
        let followed = config.redirects;
        let trust = config.ca_file.clone().map_or(Trust::Machine, Trust::CaFile);
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&trust, "http")?)
            .http1_only()
            // A check asks the component itself. What a proxy answers would be blamed on the component.
            .no_proxy()
            // Every check opens a connection, as a user of the component does. An old one can outlive a
            // listener that accepts nobody new.
            .pool_max_idle_per_host(0)
            .retry(reqwest::retry::never())
            .referer(false)
            .redirect(Policy::custom(move |attempt| {
                let stays = attempt
                    .previous()
                    .last()
                    .is_some_and(|from| followed.refuses(from, attempt.url()).is_none());
                if stays && attempt.previous().len() <= MOST_REDIRECTS {
                    attempt.follow()
                } else {
                    attempt.stop()
                }
            }))
            .user_agent(concat!("patchcore-http/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| {
                Error::new(ErrorKind::Io, "the http client cannot be made").source_error(e)
            })?;
        Ok(Self(client))
    }

    /// The head of the answer, after the redirects that are followed.
    pub(crate) async fn head(&self, url: Url) -> reqwest::Result<Response> {
        self.0
            .get(url)
            // A cache on the way would answer for a component that is down (RFC 9111 §5.2.1.4).
            .header(header::CACHE_CONTROL, "no-cache")
            .send()
            .await
    }
}

/// Reads the body up to a bound and drops it: an answer that breaks off is told from a whole one.
pub(crate) async fn read_body(mut response: Response) -> reqwest::Result<()> {
    let mut read = 0;
    while read < MOST_OF_A_BODY {
        match response.chunk().await? {
            Some(chunk) => read += chunk.len(),
            None => break,
        }
    }
    Ok(())
}

/// A redirect that was not followed, in words; none where the answer is no redirect.
pub(crate) fn redirect_in_words(followed: Redirects, response: &Response) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let to = response.url().join(location).ok()?;
    let why = match followed.refuses(response.url(), &to) {
        Some(why) => why.to_owned(),
        None => format!("more than {MOST_REDIRECTS} redirects"),
    };
    Some(format!("to {}, not followed: {why}", shown(&to)))
}

/// A URL as it may stand in a report: without user, password, query and fragment, which can hold secrets.
pub(crate) fn shown(url: &Url) -> String {
    /// Enough for a path that a person can read; a longer one is cut.
    const MOST: usize = 200;
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    let text = format!("{}://{host}{port}{}", url.scheme(), url.path());
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}
