//! One request over the wire: TLS, redirects, and how much of an answer is read.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use patchcore::{Error, ErrorKind, Result};
use reqwest::{Response, Url, header, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use crate::config::{HttpConfig, MOST_REDIRECTS, Redirects};

/// Of a body this much is read. A page about health has a few hundred bytes; a check must not fill the
/// memory of whoever runs it.
const MOST_OF_A_BODY: usize = 64 * 1024;

/// A file of certificates is at most this long. The list of all public roots has a quarter of it.
const MOST_OF_A_CA_FILE: u64 = 1024 * 1024;

/// Makes requests. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Client(reqwest::Client);

impl Client {
    pub(crate) fn new(config: &HttpConfig) -> Result<Self> {
        let followed = config.redirects;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(config)?)
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

/// TLS with ring, without touching the process-wide provider: the program that embeds us may have its own.
///
/// Trusted is what the machine trusts, and the certificates of the CA file.
fn tls(config: &HttpConfig) -> Result<ClientConfig> {
    let extra = match &config.ca_file {
        Some(file) => certificates(file)?,
        None => Vec::new(),
    };
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&ring))
        .with_safe_default_protocol_versions()
        .map_err(|e| {
            Error::new(ErrorKind::ProviderFault, "TLS cannot be set up").source_error(e)
        })?;
    let mut tls = match Verifier::new_with_extra_roots(extra.clone(), ring) {
        Ok(verifier) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        // A machine may have no list of trusted certificates, such as a small container. Checks over plain
        // http need none, and one over https then trusts the CA file or nobody.
        Err(_) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(extra);
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    // Without it a server may choose HTTP/2, which this client does not speak.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

/// The certificates of a PEM file, each of them usable.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let name = file.display();
    let refused = |found: String| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the CA file {name} cannot be used"),
        )
        .expected("a file with certificates between BEGIN CERTIFICATE and END CERTIFICATE")
        .found(found)
        .consequence("no check was made")
        .hint("correct `ca_file` of the http provider, or leave it out")
    };
    let mut text = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MOST_OF_A_CA_FILE + 1).read_to_end(&mut text))
        .map_err(|e| refused(e.to_string()))?;
    if text.len() as u64 > MOST_OF_A_CA_FILE {
        return Err(refused(format!("more than {MOST_OF_A_CA_FILE} bytes")));
    }
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|e| refused(format!("text that is no PEM: {e}")))?;
    if found.is_empty() {
        return Err(refused("no certificate".to_owned()));
    }
    let mut roots = RootCertStore::empty();
    let broken: Vec<String> = found
        .iter()
        .enumerate()
        .filter(|(_, certificate)| roots.add((*certificate).clone()).is_err())
        .map(|(at, _)| (at + 1).to_string())
        .collect();
    if broken.is_empty() {
        return Ok(found);
    }
    Err(refused(format!(
        "certificates that cannot be read: number {} of {}",
        broken.join(", "),
        found.len()
    )))
}
