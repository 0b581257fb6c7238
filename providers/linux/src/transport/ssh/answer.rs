//! What came back from a script, and what it means where it is not an answer.

use patchcore::{Error, ErrorKind, Result};

use super::{
    channel::{ChannelEnd, Heard},
    connection::End,
    fault,
    target::{Become, SshTarget},
};
use crate::{
    pm::classify,
    transport::{Output, Script, too_long},
};

/// The script's own output, or why there is none.
pub(super) fn answer(
    target: &SshTarget,
    script: &Script,
    heard: Heard,
    end: &End,
) -> Result<Output> {
    let Heard {
        stdout,
        stderr,
        end: channel,
    } = heard;
    let status = match channel {
        ChannelEnd::TooLong => return Err(too_long(script).context("component", &target.name)),
        ChannelEnd::Refused => return Err(fault::not_started(target)),
        ChannelEnd::Broken => {
            // A machine that restarts may cut the connection after the whole answer.
            return script
                .unwrap_output(&stdout, stderr)
                .map_err(|_| fault::broken(target, script.id(), end));
        }
        ChannelEnd::Closed(status) => status,
    };
    if script.has_begun(&stdout) {
        return script
            .unwrap_output(&stdout, stderr)
            .map_err(|error| error.context("component", &target.name));
    }
    let said = format!(
        "{}\n{}",
        String::from_utf8_lossy(&stderr),
        String::from_utf8_lossy(&stdout[..stdout.len().min(crate::transport::MAX_STDERR)])
    );
    let what = match target.become_root {
        Become::Sudo => format!(
            "{}: {} may not become root by sudo without a password",
            target.name, target.user
        ),
        Become::None => format!("{}: {} may not run a shell", target.name, target.user),
    };
    if let Some(refusal) = classify::refusal(&what, &said) {
        return Err(refusal.consequence("nothing was changed"));
    }
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    let error = Error::new(
        ErrorKind::Unreachable,
        format!("{}: its login shell did not run the script", target.name),
    )
    .expected("the begin mark of the script")
    .found(match (last, status) {
        (Some(line), _) => format!("{:?}", line.trim().chars().take(200).collect::<String>()),
        (None, Some(status)) => format!("status {status} and no output"),
        (None, None) => "no output".to_owned(),
    })
    .context("script", script.id())
    .consequence("whether the script had an effect is unknown")
    .hint(format!(
        "log in as {} by hand and run: sudo -n /bin/sh -c true; look at the start files of its shell",
        target.user
    ));
    Err(error.retryable(None))
}
