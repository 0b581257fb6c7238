//! What a server answers instead, and what it means.

use std::fmt;

use patchcore::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::Element;

/// A fault with its type, such as `InvalidLogin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// The type of the fault; the word `SOAP` where the server gave none.
    pub(crate) kind: Box<str>,
    /// What the server says of it.
    pub(crate) message: Box<str>,
    /// What more it holds.
    pub(crate) detail: Element,
}

impl Fault {
    /// That in a `soap:Fault`.
    pub(crate) fn of(fault: &Element) -> Self {
        let message = fault.text_of("faultstring").unwrap_or_default().into();
        let detail = fault
            .child("detail")
            .and_then(|detail| detail.children.first())
            .cloned()
            .unwrap_or_default();
        Self::named(detail, message)
    }

    /// That in a `LocalizedMethodFault`, by which a task says why it failed.
    pub(crate) fn localized(error: &Element) -> Self {
        let message = error.text_of("localizedMessage").unwrap_or_default().into();
        Self::named(error.child("fault").cloned().unwrap_or_default(), message)
    }

    fn named(detail: Element, message: Box<str>) -> Self {
        let kind = match &detail.kind {
            Some(kind) => kind.clone(),
            None if detail.name.is_empty() => "SOAP".into(),
            // Of a fault without a type its element has the name, with `Fault` behind it.
            None => detail
                .name
                .strip_suffix("Fault")
                .unwrap_or(&detail.name)
                .into(),
        };
        Self {
            kind,
            message,
            detail,
        }
    }

    /// Whether the session is not, or no longer, logged in: the call was not carried out.
    pub(crate) fn is_not_authenticated(&self) -> bool {
        &*self.kind == "NotAuthenticated"
    }

    /// The error for a caller. `what` says what was asked, such as `HostSystem host-9: EnterMaintenanceMode_Task`.
    pub(crate) fn into_error(self, what: &str) -> Error {
        let (kind, again, hint) = meaning(&self.kind);
        let privilege = self.detail.text_of("privilegeId").map(str::to_owned);
        let mut error = Error::new(kind, format!("{what}: {self}"));
        if again {
            error = error.retryable(None);
        }
        if kind == ErrorKind::AuthzDenied {
            error = error.consequence("nothing was done by this call");
        }
        if let Some(privilege) = privilege {
            return error.context("privilege", privilege.clone()).hint(format!(
                "give patchcore's user the privilege {privilege} on this object"
            ));
        }
        match hint {
            "" => error,
            hint => error.hint(hint),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.message.is_empty() && self.message != self.kind {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// What each fault means, whether the same call may work later, and what to do.
///
/// Names and meanings: vSphere Web Services API reference, *Faults*.
fn meaning(kind: &str) -> (ErrorKind, bool, &'static str) {
    match kind {
        "InvalidLogin" => (
            ErrorKind::AuthzDenied,
            false,
            "check the user's name, with its domain, and its password",
        ),
        "NotAuthenticated" => (
            ErrorKind::AuthzDenied,
            true,
            "the session ended and could not be renewed",
        ),
        "NoPermission" => (
            ErrorKind::AuthzDenied,
            false,
            "give patchcore's user the privileges that this provider's README lists",
        ),
        "HostNotConnected" | "HostNotReachable" | "HostCommunication" | "HostConnectFault" => (
            ErrorKind::Unreachable,
            true,
            "look at the host: vCenter has no connection to it",
        ),
        "TaskInProgress" | "ConcurrentAccess" | "ResourceInUse" => (
            ErrorKind::Busy,
            true,
            "another task works on it; see its recent tasks",
        ),
        "Timedout" => (ErrorKind::Timeout, true, ""),
        "RequestCanceled" => (ErrorKind::Cancelled, false, ""),
        "ManagedObjectNotFound" => (
            ErrorKind::NotFound,
            false,
            "it was removed meanwhile; discover again",
        ),
        "MethodNotFound" | "NotSupported" | "NotImplemented" => (
            ErrorKind::Unsupported,
            false,
            "this server does not offer it; see the versions in this provider's README",
        ),
        "InvalidState" | "InvalidPowerState" => (
            ErrorKind::Unhealthy,
            false,
            "its state is another than the call needs; look at it and plan again",
        ),
        "NoDiskSpace" | "InsufficientStorageSpace" => (ErrorKind::DiskFull, false, "free space"),
        "InvalidCollectorVersion" => (ErrorKind::ProviderFault, true, ""),
        "InvalidArgument" | "InvalidProperty" | "InvalidType" | "InvalidRequest" => (
            ErrorKind::ProviderFault,
            false,
            "report it to the provider's author, with the version of the server",
        ),
        // A fault that is not in this list is told with its name, and is not tried again.
        _ => (ErrorKind::ProviderFault, false, ""),
    }
}
