//! What a request without an answer means: something seen of the component, or nothing known about it.
//!
//! *Seen* is what the component itself did, or did not do within its time. Everything whose reason may lie
//! between it and us, or in the check, is *not known*: a rollback must not follow from our own mistake.

use std::{error::Error as StdError, io};

use patchcore::{Error, ErrorKind};
use rustls::CertificateError;

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Silence {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The connection was reset.
    #[error("connection reset")]
    Reset,
    /// The connection ended before the answer was whole.
    #[error("connection closed before the answer was whole")]
    Closed,
    /// No way leads to the host.
    #[error("no route to the host")]
    NoRoute,
    /// Nobody answered within the time.
    #[error("the connection timed out")]
    TimedOut,
    /// Something else than HTTP/1.1 answers.
    #[error("what answers is not HTTP/1.1")]
    NotHttp,
    /// Something else than TLS answers.
    #[error("what answers is not TLS")]
    NotTls,
    /// Its name could not be resolved.
    #[error("its name could not be resolved")]
    Name,
    /// Its certificate is not trusted, and why.
    #[error("its certificate is not trusted: {0}")]
    Certificate(&'static str),
    /// No connection could be agreed on.
    #[error("no TLS connection could be agreed on")]
    Tls,
    /// This machine has no network that leads there.
    #[error("this machine has no network that leads there")]
    NoNetwork,
    /// This machine could not make the request.
    #[error("this machine could not make the request")]
    Ours,
}

impl Silence {
    /// Reads it from the whole chain of causes; the innermost says most.
    #[must_use]
    pub fn of(error: &reqwest::Error) -> Self {
        if error.is_dns() {
            return Self::Name;
        }
        let mut answer = Self::Ours;
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(cause) = next {
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                return Self::of_tls(tls);
            }
            if let Some(http) = cause.downcast_ref::<hyper::Error>() {
                answer = Self::of_http(http).unwrap_or(answer);
            }
            next = cause.source();
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                answer = Self::of_io(io.kind()).unwrap_or(answer);
                // Its `source` leaves out the very error that it wraps.
                next = io.get_ref().map(|inner| inner as _);
            }
        }
        answer
    }

    /// What hyper's own error says; none where the causes below it say more.
    fn of_http(error: &hyper::Error) -> Option<Self> {
        let io = error.source().is_some_and(|cause| cause.is::<io::Error>());
        if error.is_user() || io {
            None
        } else if error.is_incomplete_message()
            || error.is_closed()
            || error.is_canceled()
            || error.is_shutdown()
        {
            Some(Self::Closed)
        } else {
            // It could not be parsed, or the other side spoke before it was asked, which has no name in hyper.
            Some(Self::NotHttp)
        }
    }

    fn of_io(kind: io::ErrorKind) -> Option<Self> {
        match kind {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Some(Self::Reset),
            io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => Some(Self::Closed),
            // On its own network a dead machine is told by the failing look-up of its hardware address, on
            // another one by silence. The same death must not have two meanings.
            io::ErrorKind::HostUnreachable => Some(Self::NoRoute),
            io::ErrorKind::TimedOut => Some(Self::TimedOut),
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => Some(Self::NoNetwork),
            _ => None,
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::InvalidCertificate(why) => Self::Certificate(certificate_in_words(why)),
            rustls::Error::NoCertificatesPresented => Self::Certificate("it shows none"),
            _ => Self::Tls,
        }
    }

    /// Whether it says something of who was asked.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        match self {
            Self::Refused
            | Self::Reset
            | Self::Closed
            | Self::NoRoute
            | Self::TimedOut
            | Self::NotHttp
            | Self::NotTls => true,
            Self::Name | Self::Certificate(_) | Self::Tls | Self::NoNetwork | Self::Ours => false,
        }
    }

    /// The error of a request without an answer. `url` is fit for a report, and `whose` names the provider, such as
    /// `http`.
    #[must_use]
    pub fn into_error(self, url: &str, whose: &str, cause: reqwest::Error) -> Error {
        let kind = match self {
            // The same concern as a host key that changed: who answers is not proven to be the component.
            Self::Certificate(_) => ErrorKind::HostKey,
            Self::Ours => ErrorKind::Io,
            _ => ErrorKind::Unreachable,
        };
        let error = Error::new(kind, format!("{url} could not be asked: {self}"))
            .hint(self.hint(whose))
            // The URL that reqwest adds holds the query.
            .source_error(cause.without_url());
        match self {
            Self::Certificate(_) | Self::Tls => error,
            _ => error.retryable(None),
        }
    }

    fn hint(&self, whose: &str) -> String {
        match self {
            Self::Name => "check the name in the URL and that this machine's resolver knows it",
            Self::Certificate(words::UNKNOWN) => {
                return format!(
                    "name a file with its CA as `ca_file` of the {whose} provider, or let this machine trust the CA"
                );
            }
            Self::Certificate(words::EXPIRED | words::NOT_YET) => {
                "renew the certificate of the component; if its dates are right, set this machine's clock"
            }
            Self::Certificate(words::OTHER_NAME) => {
                "ask by a name or address that stands in the certificate"
            }
            Self::Certificate(words::NOT_THE_ONE) => {
                "look at the certificate that it shows now; where its change is known, give the new fingerprint"
            }
            Self::Certificate(_) => "give the component a certificate that this machine accepts",
            Self::Tls => {
                "check that the component speaks TLS 1.2 or 1.3 and asks for no client certificate"
            }
            Self::NoNetwork => "check the routes of this machine",
            _ => "see the cause; the request itself did not reach it",
        }
        .to_owned()
    }
}

mod words {
    pub(super) const UNKNOWN: &str = "no CA that is trusted here signed it";
    pub(super) const EXPIRED: &str = "it has expired";
    pub(super) const NOT_YET: &str = "it is not valid yet";
    pub(super) const OTHER_NAME: &str = "it is for other names than the URL's";
    pub(super) const REVOKED: &str = "it was revoked";
    pub(super) const NOT_THE_ONE: &str = "it has another fingerprint than the one that is trusted";
    pub(super) const OTHER: &str = "it was refused";
}

fn certificate_in_words(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer => words::UNKNOWN,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => words::EXPIRED,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            words::NOT_YET
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            words::OTHER_NAME
        }
        CertificateError::Revoked => words::REVOKED,
        // Said by the verifier of one fingerprint only.
        CertificateError::ApplicationVerificationFailure => words::NOT_THE_ONE,
        _ => words::OTHER,
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, InvalidMessage};

    use super::*;

    #[test]
    fn causes_of_the_network() {
        use io::ErrorKind as K;
        for (kind, expect, seen) in [
            (K::ConnectionRefused, Some(Silence::Refused), true),
            (K::ConnectionReset, Some(Silence::Reset), true),
            (K::ConnectionAborted, Some(Silence::Reset), true),
            (K::BrokenPipe, Some(Silence::Closed), true),
            (K::UnexpectedEof, Some(Silence::Closed), true),
            (K::HostUnreachable, Some(Silence::NoRoute), true),
            (K::TimedOut, Some(Silence::TimedOut), true),
            (K::NetworkUnreachable, Some(Silence::NoNetwork), false),
            (K::NetworkDown, Some(Silence::NoNetwork), false),
            (K::PermissionDenied, None, false),
            (K::AddrNotAvailable, None, false),
        ] {
            let silence = Silence::of_io(kind);
            assert_eq!(silence, expect, "{kind}");
            assert_eq!(silence.unwrap_or(Silence::Ours).is_seen(), seen, "{kind}");
        }
    }

    #[test]
    fn causes_of_tls() {
        use CertificateError as C;
        use rustls::Error as E;
        for (error, expect, seen) in [
            (
                E::InvalidMessage(InvalidMessage::InvalidContentType),
                Silence::NotTls,
                true,
            ),
            (
                E::AlertReceived(AlertDescription::HandshakeFailure),
                Silence::Tls,
                false,
            ),
            (
                E::InvalidCertificate(C::UnknownIssuer),
                Silence::Certificate(words::UNKNOWN),
                false,
            ),
            (
                E::InvalidCertificate(C::Expired),
                Silence::Certificate(words::EXPIRED),
                false,
            ),
            (
                E::InvalidCertificate(C::NotValidYet),
                Silence::Certificate(words::NOT_YET),
                false,
            ),
            (
                E::InvalidCertificate(C::NotValidForName),
                Silence::Certificate(words::OTHER_NAME),
                false,
            ),
            (
                E::InvalidCertificate(C::Revoked),
                Silence::Certificate(words::REVOKED),
                false,
            ),
            (
                E::InvalidCertificate(C::BadSignature),
                Silence::Certificate(words::OTHER),
                false,
            ),
            (
                E::NoCertificatesPresented,
                Silence::Certificate("it shows none"),
                false,
            ),
        ] {
            let silence = Silence::of_tls(&error);
            assert_eq!(silence, expect, "{error}");
            assert_eq!(silence.is_seen(), seen, "{error}");
        }
    }
}
