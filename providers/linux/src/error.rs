//! The errors that more than one port answers with.

use patchcore::{Error, ErrorKind, document::nearest, id::ComponentId};

/// Somebody asked about a component that this provider does not have.
pub(crate) fn unknown<'a>(
    component: &ComponentId,
    known: impl IntoIterator<Item = &'a ComponentId>,
) -> Error {
    let known: Vec<&str> = known.into_iter().map(ComponentId::as_str).collect();
    let error = Error::new(
        ErrorKind::NotFound,
        format!("{component} is not known here"),
    )
    .found(component.as_str());
    match known.as_slice() {
        [one] => error
            .expected(*one)
            .hint("plan again: the machine may have another host name than when it was planned"),
        several => {
            let meant = nearest(component.as_str(), several.iter().copied());
            let meant = meant.map(|name| format!("did you mean {name:?}? "));
            error
                .expected(format!("one of the {} of the inventory", several.len()))
                .hint(format!(
                    "{}plan again with the inventory as it is now, or put the machine back into it",
                    meant.unwrap_or_default()
                ))
        }
    }
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

/// Why a machine is not restarted by patchcore.
pub(crate) fn why_no_restart(is_own: bool) -> &'static str {
    match is_own {
        true => "it is the machine that patchcore itself runs on",
        false => "its configuration says so",
    }
}

/// The machine is not restarted by patchcore.
pub(crate) fn no_restart(component: &ComponentId, is_own: bool) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "{component} is not restarted by patchcore: {}",
            why_no_restart(is_own)
        ),
    )
    .consequence("nothing was changed")
    .hint("restart it yourself, then run again with the same journal; or set when = \"never\" in [reboot]")
}
