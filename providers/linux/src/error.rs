//! The errors that more than one port answers with.

use patchcore::{Error, ErrorKind, id::ComponentId};

/// Somebody asked about a component that this provider does not have.
pub(crate) fn unknown(component: &ComponentId, known: &ComponentId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("{component} is not known here"),
    )
    .expected(known.as_str())
    .found(component.as_str())
    .hint("plan again: the machine may have another host name than when it was planned")
}

/// Changing the machine needs root.
pub(crate) fn no_root(component: &ComponentId, verb: &str) -> Error {
    Error::new(
        ErrorKind::AuthzDenied,
        format!("{component}: {verb} needs root"),
    )
    .found("an ordinary user")
    .consequence("nothing was changed")
    .hint("run it again as root, for example with sudo")
}

/// The machine is not restarted by patchcore: it runs there, or the configuration says so.
pub(crate) fn no_restart(component: &ComponentId, is_own: bool) -> Error {
    let why = if is_own {
        "is the machine that patchcore itself runs on, and is not restarted by it"
    } else {
        "is not to be restarted by patchcore, as its configuration says"
    };
    Error::new(ErrorKind::Unsupported, format!("{component} {why}"))
        .consequence("nothing was changed")
        .hint("restart it yourself, then run again with the same journal; or set when = \"never\" in [reboot]")
}
