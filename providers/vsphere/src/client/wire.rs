//! One request and its answer over HTTPS, bounded in time and in length.

use std::time::Duration;

use patchcore::{Error, ErrorKind, Result, Secret, Timestamp};
use patchcore_https::{Silence, tls};
use reqwest::{RequestBuilder, Response, StatusCode, Url, header, redirect::Policy};

use super::{
    named,
    rest::Rest,
    soap::{self, Call, Element, Fault},
    unreadable,
};
use crate::config::VsphereConfig;

/// The name of the session's cookie (vSphere Web Services SDK programming guide, *Sessions*).
const COOKIE: &str = "vmware_soap_session";

/// No answer is longer: a page of a thousand objects has one or two MiB.
const LONGEST: usize = 256 * 1024 * 1024;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Wire {
    client: reqwest::Client,
    url: Url,
    deadline: Duration,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Result<Element, Fault>,
    /// The session's cookie, where the server set one.
    pub(super) cookie: Option<String>,
    /// When the server sent it, by its own clock, to the second (RFC 9110 §6.6.1).
    pub(super) date: Option<Timestamp>,
}

impl Wire {
    pub(super) fn new(config: &VsphereConfig) -> Result<Self> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&config.trust, "vsphere")?)
            .http1_only()
            .https_only(true)
            .no_proxy()
            // A call that was sent may have been carried out: who asked decides whether it is sent again.
            .retry(reqwest::retry::never())
            .referer(false)
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("patchcore-vsphere/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| {
                Error::new(ErrorKind::Io, "the https client cannot be made").source_error(e)
            })?;
        Ok(Self {
            client,
            url: config.url.clone(),
            deadline: config.deadline,
        })
    }

    /// Sends a call. An error means that nobody knows whether it was carried out, but for those of the connection's
    /// beginning.
    pub(super) async fn send(&self, call: &Call, cookie: Option<&str>) -> Result<Answer> {
        let what = named(call);
        let mut request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "text/xml; charset=utf-8")
            .header("SOAPAction", "urn:vim25")
            .timeout(self.deadline)
            .body(call.envelope());
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, format!("{COOKIE}={cookie}"));
        }
        let response = request.send().await.map_err(|e| self.silent(&what, e))?;
        let status = response.status();
        let (cookie, date) = (cookie_of(&response), date_of(&response));
        let body = self.read(&what, response).await?;
        // A fault comes with 500 (SOAP 1.1 §6.2), and with it what it is.
        if !status.is_success() && status != StatusCode::INTERNAL_SERVER_ERROR {
            return Err(refused(&what, self.url.as_str(), "a SOAP answer", status));
        }
        let text = String::from_utf8(body).map_err(|e| {
            Error::new(
                ErrorKind::ProviderFault,
                format!("{what}: the answer is no UTF-8"),
            )
            .source_error(e.utf8_error())
        })?;
        match soap::answer(&text) {
            Ok(outcome) => Ok(Answer {
                outcome,
                cookie,
                date,
            }),
            Err(_) if !status.is_success() => {
                Err(refused(&what, self.url.as_str(), "a SOAP answer", status))
            }
            Err(broken) => Err(unreadable(&what, broken)),
        }
    }

    /// Sends a call of the REST API. An error means what it means for [`send`](Self::send).
    pub(super) async fn rest(&self, call: &Rest, token: &Secret) -> Result<(StatusCode, Vec<u8>)> {
        let mut url = self.url.clone();
        // An https URL has a path to be extended.
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().push("api").extend(&call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .header("vmware-api-session-id", token.expose());
        if let Some(body) = &call.body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        self.exchange(&call.named(), request).await
    }

    /// Logs in to the REST API with the name and password.
    pub(super) async fn rest_log_in(
        &self,
        config: &VsphereConfig,
    ) -> Result<(StatusCode, Vec<u8>)> {
        let mut url = self.url.clone();
        url.set_path("/api/session");
        let password = config.password()?;
        let request = self.client.post(url);
        let request = request.basic_auth(&config.user, Some(password.expose()));
        self.exchange("POST /api/session", request).await
    }

    async fn exchange(&self, what: &str, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>)> {
        let request = request.timeout(self.deadline);
        let response = request.send().await.map_err(|e| self.silent(what, e))?;
        let status = response.status();
        Ok((status, self.read(what, response).await?))
    }

    fn silent(&self, what: &str, error: reqwest::Error) -> Error {
        if error.is_timeout() && !error.is_connect() {
            return Error::new(ErrorKind::Timeout, format!("{what}: no answer in time"))
                .expected(format!("an answer within {} s", self.deadline.as_secs()))
                .found("none")
                .retryable(None)
                .source_error(error.without_url());
        }
        Silence::of(&error)
            .into_error(self.url.as_str(), "vsphere", error)
            .context("call", what.to_owned())
    }

    async fn read(&self, what: &str, mut response: Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.silent(what, e))? {
            if body.len() + chunk.len() > LONGEST {
                return Err(Error::new(
                    ErrorKind::ProviderFault,
                    format!("{what}: the answer is too long"),
                )
                .expected(format!("at most {LONGEST} bytes"))
                .found("more"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// An answer of something that stands before the vCenter, or of a vCenter that is not ready.
pub(super) fn refused(what: &str, url: &str, expected: &str, status: StatusCode) -> Error {
    let error = Error::new(
        ErrorKind::Unreachable,
        format!("{what}: {url} answers otherwise"),
    )
    .expected(expected)
    .found(format!("http {}", status.as_u16()))
    .hint("check that the vCenter's services run, and that the address is that of a vCenter");
    if status.is_server_error() {
        error.retryable(None)
    } else {
        error
    }
}

/// The session in `Set-Cookie: vmware_soap_session="…"; Path=/; …`.
fn cookie_of(response: &Response) -> Option<String> {
    response
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter_map(|value| value.split(';').next()?.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

fn date_of(response: &Response) -> Option<Timestamp> {
    let date = response.headers().get(header::DATE)?.to_str().ok()?;
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date);
    parsed.ok()
}
