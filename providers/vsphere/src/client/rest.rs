//! The REST API beside the SOAP one: the same vCenter, user and trust, and a session of its own.

use std::fmt;

use patchcore::{Error, ErrorKind, Result, Secret};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::VCenter;

/// The token of the REST session; none while nobody is logged in.
#[derive(Debug, Default)]
pub(super) struct RestSession {
    pub(super) token: Option<Secret>,
    /// How often somebody logged in.
    pub(super) count: u64,
}

/// One call. Paths are made of words of this program and of what the vCenter called its own objects.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) method: Method,
    /// Below `/api/`, each part by itself.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl Rest {
    pub(crate) fn get<P: Into<String>>(path: impl IntoIterator<Item = P>) -> Self {
        Self {
            method: Method::GET,
            path: path.into_iter().map(Into::into).collect(),
            query: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn asking(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// A verb that becomes a task, whose id is the answer (vSphere Automation API, `vmw-task`).
    pub(crate) fn task<P: Into<String>>(
        path: impl IntoIterator<Item = P>,
        action: &str,
        body: Option<Value>,
    ) -> Self {
        let mut call = Self::get(path)
            .asking("action", action)
            .asking("vmw-task", "true");
        call.method = Method::POST;
        call.body = body;
        call
    }

    /// In words, without its body.
    pub(crate) fn named(&self) -> String {
        let action = self.query.iter().find(|(key, _)| *key == "action");
        let action = action.map_or(String::new(), |(_, action)| format!("?action={action}"));
        format!("{} /api/{}{action}", self.method, self.path.join("/"))
    }
}

/// What the API answers instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiFault {
    /// Its `error_type`, such as `NOT_FOUND`; the HTTP status where it has none.
    pub(crate) kind: String,
    pub(crate) message: String,
}

impl ApiFault {
    /// That of an answer, or of a task that failed.
    pub(crate) fn of(error: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let messages = error["messages"].as_array();
        let messages = messages.map(Vec::as_slice).unwrap_or_default().iter();
        Self {
            kind: text(&error["error_type"]).unwrap_or_else(|| "ERROR".to_owned()),
            message: messages
                .filter_map(|message| text(&message["default_message"]))
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    /// The error for a caller. `what` says what was asked.
    pub(crate) fn into_error(self, what: &str) -> Error {
        let (kind, again, hint) = meaning(&self.kind);
        let mut error = Error::new(kind, format!("{what}: {self}"));
        if again {
            error = error.retryable(None);
        }
        if hint.is_empty() {
            error
        } else {
            error.hint(hint)
        }
    }
}

impl fmt::Display for ApiFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// What each error of the API means, whether the same call may work later, and what to do (vSphere Automation API,
/// *Standard errors*).
fn meaning(kind: &str) -> (ErrorKind, bool, &'static str) {
    match kind {
        "UNAUTHENTICATED" => (
            ErrorKind::AuthzDenied,
            false,
            "check the user's name, with its domain, and its password",
        ),
        "UNAUTHORIZED" => (
            ErrorKind::AuthzDenied,
            false,
            "give patchcore's user the privileges that this provider's README lists",
        ),
        "NOT_FOUND" => (
            ErrorKind::NotFound,
            false,
            "it was removed meanwhile, or the cluster has no image; discover again",
        ),
        "NOT_ALLOWED_IN_CURRENT_STATE" | "RESOURCE_BUSY" | "CONCURRENT_CHANGE" => (
            ErrorKind::Busy,
            true,
            "another lifecycle operation works on the cluster; see its recent tasks",
        ),
        "SERVICE_UNAVAILABLE" => (ErrorKind::Unreachable, true, "check the vCenter's services"),
        "TIMED_OUT" => (ErrorKind::Timeout, true, ""),
        "CANCELED" => (ErrorKind::Cancelled, false, ""),
        "UNSUPPORTED" | "OPERATION_NOT_FOUND" => (
            ErrorKind::Unsupported,
            false,
            "this vCenter does not offer it; see the versions in this provider's README",
        ),
        "INVALID_ARGUMENT" | "INVALID_ELEMENT_TYPE" | "UNEXPECTED_INPUT" => (
            ErrorKind::ProviderFault,
            false,
            "report it to the provider's author, with the version of the server",
        ),
        _ => (ErrorKind::ProviderFault, false, ""),
    }
}

impl VCenter {
    /// One call, with the session renewed at most once: a call that is refused for want of a session was not carried
    /// out. The server's own error is for who knows what to do about it.
    pub(crate) async fn try_rest(&self, call: &Rest) -> Result<Result<Value, ApiFault>> {
        let (token, count) = {
            let session = self.0.rest.lock().await;
            (session.token.clone(), session.count)
        };
        let token = match token {
            Some(token) => token,
            None => self.rest_log_in(count).await?,
        };
        let (status, body) = self.wire()?.rest(call, &token).await?;
        if status != StatusCode::UNAUTHORIZED {
            return answer(call, status, &body);
        }
        let token = self.rest_log_in(count).await?;
        let (status, body) = self.wire()?.rest(call, &token).await?;
        answer(call, status, &body)
    }

    /// The same as a typed value, with the server's own error as ours.
    pub(crate) async fn rest<T: DeserializeOwned>(&self, call: &Rest) -> Result<T> {
        let value = self.try_rest(call).await?;
        let value = value.map_err(|fault| fault.into_error(&call.named()))?;
        typed(&call.named(), value)
    }

    /// Logs in, unless somebody did since login number `seen`.
    async fn rest_log_in(&self, seen: u64) -> Result<Secret> {
        let mut session = self.0.rest.lock().await;
        if session.count != seen
            && let Some(token) = &session.token
        {
            return Ok(token.clone());
        }
        let config = &self.0.config;
        let (status, body) = self.wire()?.rest_log_in(config).await?;
        let call = Rest {
            method: Method::POST,
            ..Rest::get(["session"])
        };
        let token = answer(&call, status, &body)?.map_err(|fault| {
            let what = format!("{} as {}", call.named(), config.user);
            fault.into_error(&what).operation("log in")
        })?;
        let token = Secret::new(typed::<String>(&call.named(), token)?);
        session.token = Some(token.clone());
        session.count += 1;
        Ok(token)
    }
}

impl VCenter {
    /// Ends the session of the REST API; that nobody is logged in is no error.
    pub(super) async fn rest_log_out(&self) -> Result<()> {
        let mut session = self.0.rest.lock().await;
        let Some(token) = session.token.take() else {
            return Ok(());
        };
        let call = Rest {
            method: Method::DELETE,
            ..Rest::get(["session"])
        };
        let (status, body) = self.wire()?.rest(&call, &token).await?;
        match answer(&call, status, &body)? {
            Err(fault) if fault.kind != "UNAUTHENTICATED" => Err(fault.into_error("log out")),
            _ => Ok(()),
        }
    }
}

/// An answer by its status: a value, an error of the API, or something that stands before the vCenter.
pub(super) fn answer(
    call: &Rest,
    status: StatusCode,
    body: &[u8],
) -> Result<Result<Value, ApiFault>> {
    let read = serde_json::from_slice::<Value>(body);
    if status.is_success() {
        return match read {
            Ok(value) => Ok(Ok(value)),
            Err(_) if body.is_empty() => Ok(Ok(Value::Null)),
            Err(error) => Err(broken(&call.named(), error)),
        };
    }
    match read {
        Ok(error) if error["error_type"].is_string() => Ok(Err(ApiFault::of(&error))),
        _ if status == StatusCode::UNAUTHORIZED => Ok(Err(ApiFault {
            kind: "UNAUTHENTICATED".to_owned(),
            message: String::new(),
        })),
        _ => Err(super::wire::refused(
            &call.named(),
            "the REST API",
            "an answer of the vSphere Automation API",
            status,
        )),
    }
}

pub(crate) fn typed<T: DeserializeOwned>(what: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| broken(what, error))
}

pub(super) fn broken(what: &str, error: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::ProviderFault,
        format!("{what}: the answer cannot be read: {error}"),
    )
    .hint("report it to the provider's author, with the version of the server")
    .source_error(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_it_is_and_whether_to_try_again() {
        let body = br#"{"error_type":"NOT_ALLOWED_IN_CURRENT_STATE","messages":[{"id":"x","default_message":"Another one runs.","args":[]}]}"#;
        let call = Rest::get(["esx"]);
        let fault = answer(&call, StatusCode::BAD_REQUEST, body)
            .unwrap()
            .unwrap_err();
        assert_eq!(fault.kind, "NOT_ALLOWED_IN_CURRENT_STATE");
        let error = fault.into_error("apply");
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (ErrorKind::Busy, true)
        );
        assert!(error.to_string().contains("Another one runs."), "{error}");
    }

    #[test]
    fn a_page_of_a_proxy_is_no_answer() {
        let call = Rest::get(["esx"]);
        let error = answer(&call, StatusCode::BAD_GATEWAY, b"<html>").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.is_retryable());
        let error = answer(&call, StatusCode::OK, b"<html>").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderFault);
    }
}
