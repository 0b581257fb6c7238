//! What came back from a script, and what it means where it is not an answer.

use patchcore::{Error, ErrorKind, Result};

use super::{
    connection::End,
    fault,
    shell::{Heard, ShellEnd},
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
        end: shell,
        had_answered,
    } = heard;
    let status = match shell {
        ShellEnd::TooLong => return Err(too_long(script).context("component", &target.name)),
        ShellEnd::Refused => return Err(fault::not_started(target)),
        ShellEnd::Broken => {
            // A machine that restarts may cut the connection after the whole answer.
            return script
                .unwrap_output(&stdout, stderr)
                .map_err(|_| fault::broken(target, script.id(), end));
        }
        ShellEnd::Closed(status) => status,
        ShellEnd::Answered => Some(0),
    };
    if script.has_begun(&stdout) {
        return script
            .unwrap_output(&stdout, stderr)
            .map_err(|error| error.context("component", &target.name));
    }
    if had_answered {
        // Who may run a shell was settled by the first script.
        return Err(fault::shell_ended(target, script.id(), status));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stdout: &str, stderr: &str, end: ShellEnd) -> Result<Output> {
        let target = SshTarget::new("web-1", "192.0.2.1", "op");
        let heard = Heard {
            stdout: stdout.into(),
            stderr: stderr.into(),
            end,
            had_answered: false,
        };
        answer(&target, &Script::new("a-1"), heard, &End::default())
    }

    const WHOLE: &str = "hi\n==patchcore a-1 begin==\nx\n==patchcore a-1 end== 3\n";

    #[test]
    fn a_whole_answer_counts_also_where_the_connection_broke_after_it() {
        for end in [ShellEnd::Closed(Some(0)), ShellEnd::Broken] {
            let output = of(WHOLE, "", end).unwrap();
            assert_eq!(
                (output.status, output.stdout.as_slice()),
                (3, b"x".as_slice())
            );
        }
    }

    #[test]
    fn what_is_no_answer_says_why() {
        fn check(stdout: &str, stderr: &str, end: ShellEnd, kind: ErrorKind, part: &str) {
            let error = of(stdout, stderr, end).unwrap_err();
            assert_eq!(error.kind(), kind, "{error:?}");
            let text = format!("{error:?}");
            assert!(text.contains(part), "{part}: {text}");
            assert!(text.contains("web-1"), "{text}");
        }
        let half = &WHOLE[..WHOLE.len() - 10];
        let closed = ShellEnd::Closed(Some(1));
        let unknown = "whether the script had an effect is unknown";
        check(half, "", ShellEnd::Broken, ErrorKind::Unreachable, unknown);
        check(half, "", closed, ErrorKind::Unreachable, "the end mark");
        check(
            half,
            "sudo: a password is required",
            closed,
            ErrorKind::Unreachable,
            "the end mark",
        );
        check(
            "",
            "noise\nsudo: a password is required\n",
            closed,
            ErrorKind::AuthzDenied,
            "nothing was changed",
        );
        check(
            "This account is currently not available.\n",
            "",
            closed,
            ErrorKind::AuthzDenied,
            "login shell",
        );
        check(
            "",
            "",
            closed,
            ErrorKind::Unreachable,
            "status 1 and no output",
        );
        check("", "?\n", closed, ErrorKind::Unreachable, "\"?\"");
        check(
            "",
            "",
            ShellEnd::Refused,
            ErrorKind::Unreachable,
            "did not start the command",
        );
        check(
            "",
            "",
            ShellEnd::TooLong,
            ErrorKind::ProviderFault,
            "too long",
        );
    }
}
