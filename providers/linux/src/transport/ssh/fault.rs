//! What can go wrong on the way, in words that tell one thing from another.

use std::{io, time::Duration};

use patchcore::{Error, ErrorKind};

use super::{
    connection::{End, Ended},
    host_key::NOTHING_SENT,
    target::SshTarget,
};

/// Why a handshake failed.
pub(super) enum Handshake {
    /// The machine dropped the connection, which may pass in a moment.
    Dropped(Error),
    Failed(Error),
}

/// The machine could not be reached, before anything was sent to it.
pub(super) fn unreachable(target: &SshTarget, why: &str) -> Error {
    Error::new(
        ErrorKind::Unreachable,
        format!("{} could not be reached over ssh: {why}", target.name),
    )
    .context("address", place(target))
    .consequence(NOTHING_SENT)
    .retryable(None)
}

/// Where the machine is.
pub(super) fn place(target: &SshTarget) -> String {
    format!("{} port {}", target.address, target.port)
}

pub(super) fn no_answer(target: &SshTarget, what: &str, limit: Duration) -> Error {
    unreachable(target, what)
        .expected(format!("an answer within {} s", limit.as_secs_f64()))
        .hint("look whether the host is up, whether a firewall drops packets on the way, and how busy it is")
}

pub(super) fn not_resolved(target: &SshTarget, error: io::Error) -> Error {
    unreachable(
        target,
        &format!("the name {} has no address", target.address),
    )
    .source_error(error)
    .hint("correct its address in the inventory, or the name service")
}

pub(super) fn not_connected(target: &SshTarget, error: io::Error) -> Error {
    let (why, hint) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            "connection refused",
            "nothing listens on that port, or a firewall refuses: look whether sshd runs there and whether the port is right",
        ),
        io::ErrorKind::HostUnreachable => (
            "no route to host",
            "the host is down, or its network: look whether it is up",
        ),
        io::ErrorKind::NetworkUnreachable => (
            "network unreachable",
            "this machine has no way to that network: look at its routes",
        ),
        io::ErrorKind::TimedOut => (
            "no answer on its port",
            "look whether the host is up and whether a firewall drops packets on the way",
        ),
        io::ErrorKind::ConnectionReset => (
            "connection reset",
            "something on the way or the host itself cut the connection: look at its firewall",
        ),
        _ => (
            "the connection could not be opened",
            "look at the network of this machine",
        ),
    };
    unreachable(target, why).source_error(error).hint(hint)
}

/// What the failure of a handshake means. `greeting` is what the machine said before ssh began.
pub(super) fn handshake(
    target: &SshTarget,
    error: russh::Error,
    greeting: &str,
    end: &End,
) -> Handshake {
    if let Some(Ended::Panicked(who)) = end.get() {
        return Handshake::Failed(panicked(target, &who));
    }
    let spoke_ssh = greeting.lines().any(|line| line.starts_with("SSH-"));
    let first = greeting.lines().find(|line| !line.trim().is_empty());
    match error {
        russh::Error::Join(_) => Handshake::Failed(panicked(target, "the ssh library")),
        error if was_dropped(&error) => Handshake::Dropped(match first {
            Some(line) if !spoke_ssh => unreachable(target, "its sshd refused the connection")
                .found(format!("{:?}", line.trim_end()))
                .hint("too many logins at once (MaxStartups), or something else than sshd answers there"),
            _ => unreachable(target, "its sshd dropped the connection before the login")
                .source_error(error)
                .hint("look into its log: MaxStartups, PerSourcePenalties, fail2ban and hosts.deny do that"),
        }),
        russh::Error::Version => Handshake::Failed(
            unreachable(target, "what answers there is no sshd")
                .expected("a greeting that begins with SSH-2.0-")
                .found(format!("{:?}", first.unwrap_or_default().trim_end()))
                .hint("correct its port"),
        ),
        russh::Error::NoCommonAlgo {
            kind: russh::AlgorithmKind::Key,
            ours,
            theirs,
        } => Handshake::Failed(
            Error::new(
                ErrorKind::HostKey,
                format!(
                    "{} could not be reached over ssh: it has no host key of a type that is taken",
                    target.name
                ),
            )
            .expected(ours.join(", "))
            .found(theirs.join(", "))
            .consequence(NOTHING_SENT)
            .hint("give it a key of such a type: ssh-keygen -A on the host"),
        ),
        russh::Error::NoCommonAlgo { kind, ours, theirs } => Handshake::Failed(
            unreachable(target, &format!("no common {kind:?} algorithm"))
                .expected(ours.join(", "))
                .found(theirs.join(", "))
                .hint("its sshd is too old, or restricted: allow one of these"),
        ),
        error => Handshake::Failed(
            unreachable(target, "the handshake failed")
                .source_error(error)
                .hint("look into the log of its sshd"),
        ),
    }
}

/// Whether a host that failed like this may pass with a key of another type.
pub(super) fn is_about_key(error: &Error) -> bool {
    error.kind() == ErrorKind::HostKey
}

/// The connection broke after the script was sent, or while it was.
pub(super) fn broken(target: &SshTarget, id: &str, end: &End) -> Error {
    if let Some(Ended::Panicked(who)) = end.get() {
        return panicked(target, &who)
            .consequence("whether the script had an effect is unknown")
            .retryable(None);
    }
    let why = match end.get() {
        Some(Ended::Closed(why) | Ended::Panicked(why)) => why,
        None => "closed".to_owned(),
    };
    Error::new(
        ErrorKind::Unreachable,
        format!(
            "the connection to {} broke while a script ran there",
            target.name
        ),
    )
    .found(why)
    .context("script", id)
    .context("address", place(target))
    .consequence("whether the script had an effect is unknown")
    .retryable(None)
    .hint("look whether the host is up")
}

/// The shell that had answered before was gone when the next script came.
pub(super) fn shell_ended(target: &SshTarget, id: &str, status: Option<u32>) -> Error {
    let found = match status {
        Some(status) => format!("its shell ended with status {status}"),
        None => "its shell was ended".to_owned(),
    };
    Error::new(
        ErrorKind::Unreachable,
        format!(
            "the shell on {} ended before a script ran there",
            target.name
        ),
    )
    .expected("the begin mark of the script")
    .found(found)
    .context("script", id)
    .consequence("whether the script had an effect is unknown")
    .retryable(None)
    .hint("somebody ended it, or the host: it is started anew with the next script")
}

/// The connection broke again before a script could be sent.
pub(super) fn not_sent(target: &SshTarget, end: &End) -> Error {
    match end.get() {
        Some(Ended::Panicked(who)) => panicked(target, &who),
        Some(Ended::Closed(why)) => {
            unreachable(target, "the connection broke before the script was sent").found(why)
        }
        None => unreachable(target, "the connection broke before the script was sent"),
    }
}

/// The machine takes no more channels on this connection.
pub(super) fn no_channel(target: &SshTarget, reason: &russh::ChannelOpenFailure) -> Error {
    unreachable(target, "its sshd opens no channel for a command")
        .found(format!("{reason:?}"))
        .hint(
            "MaxSessions in its sshd_config must be 8 or more, or the account may not run commands",
        )
}

/// sshd did not start the command.
pub(super) fn not_started(target: &SshTarget) -> Error {
    unreachable(target, "its sshd did not start the command")
        .consequence("nothing was run on it")
        .hint("look into the log of its sshd, and whether it can still start processes")
}

/// Whose fault a panic is. It is contained in its connection.
pub(super) fn panicked(target: &SshTarget, who: &str) -> Error {
    Error::new(
        ErrorKind::ProviderFault,
        format!("{}: {who} panicked", target.name),
    )
    .consequence("its connection is closed; other hosts go on")
    .hint("this is a fault of patchcore or of the ssh library: report it")
}

/// Whether the other side cut the connection.
fn was_dropped(error: &russh::Error) -> bool {
    match error {
        russh::Error::HUP | russh::Error::Disconnect => true,
        russh::Error::IO(e) => matches!(
            e.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

/// How the end of a connection is called.
pub(super) fn in_words(error: &russh::Error) -> String {
    match error {
        error if was_dropped(error) => "closed by the host".to_owned(),
        russh::Error::KeepaliveTimeout => "no sign of life from the host".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> SshTarget {
        SshTarget::new("web-1", "192.0.2.1", "op")
    }

    #[test]
    fn each_failure_to_connect_has_words_of_its_own() {
        fn check(kind: io::ErrorKind, part: &str) {
            let error = not_connected(&target(), kind.into());
            assert_eq!(error.kind(), ErrorKind::Unreachable);
            assert!(error.is_retryable());
            assert_eq!(
                error.message(),
                format!("web-1 could not be reached over ssh: {part}")
            );
            assert!(error.remedy().is_some());
            assert!(format!("{error:?}").contains("nothing was sent to it"));
        }
        check(io::ErrorKind::ConnectionRefused, "connection refused");
        check(io::ErrorKind::HostUnreachable, "no route to host");
        check(io::ErrorKind::NetworkUnreachable, "network unreachable");
        check(io::ErrorKind::TimedOut, "no answer on its port");
        check(io::ErrorKind::ConnectionReset, "connection reset");
        check(io::ErrorKind::Other, "the connection could not be opened");
    }

    #[test]
    fn only_a_connection_that_was_dropped_is_worth_another_try() {
        fn check(error: russh::Error, greeting: &str, dropped: bool, part: &str) {
            let (found, error) = match handshake(&target(), error, greeting, &End::default()) {
                Handshake::Dropped(error) => (true, error),
                Handshake::Failed(error) => (false, error),
            };
            assert_eq!(found, dropped, "{error:?}");
            assert!(format!("{error:?}").contains(part), "{part}: {error:?}");
        }
        let reset = || russh::Error::IO(io::ErrorKind::ConnectionReset.into());
        check(russh::Error::Disconnect, "", true, "dropped the connection");
        check(reset(), "SSH-2.0-x\r\n", true, "dropped the connection");
        check(
            russh::Error::HUP,
            "Exceeded MaxStartups\r\n",
            true,
            "\"Exceeded MaxStartups\"",
        );
        check(russh::Error::Version, "220 mail\r\n", false, "\"220 mail\"");
        check(
            russh::Error::WrongServerSig,
            "SSH-2.0-x\r\n",
            false,
            "Wrong server signature",
        );
        let none = |kind| russh::Error::NoCommonAlgo {
            kind,
            ours: vec!["a".to_owned()],
            theirs: vec!["b".to_owned()],
        };
        check(
            none(russh::AlgorithmKind::Kex),
            "SSH-2.0-x\r\n",
            false,
            "no common Kex",
        );
        check(
            none(russh::AlgorithmKind::Key),
            "SSH-2.0-x\r\n",
            false,
            "no host key of a type",
        );
    }
}
