//! Whom a connection believes.

use std::{
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use patchcore::{Error, ErrorKind, Result};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file of certificates is at most this long. The list of all public roots has a quarter of it.
const MOST_OF_A_CA_FILE: u64 = 1024 * 1024;

/// Whom a connection believes. By default those that this machine trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trust {
    /// What this machine trusts.
    #[default]
    Machine,
    /// That, and the certificates of a PEM file of at most 1 MiB. Read once, when the provider is made.
    CaFile(PathBuf),
    /// The server that shows exactly this certificate, whoever signed it and whatever its dates and names say.
    Fingerprint(Fingerprint),
}

/// The SHA-256 of a certificate in its DER form, as `openssl x509 -fingerprint -sha256` prints it.
///
/// ```
/// use patchcore_https::Fingerprint;
/// let text = "AB:".repeat(31) + "cd";
/// let fingerprint: Fingerprint = text.parse()?;
/// assert_eq!(fingerprint.to_string(), text.to_uppercase());
/// # Ok::<(), patchcore::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of a certificate.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || {
            Error::new(
                ErrorKind::InvalidInput,
                "the fingerprint of a certificate cannot be read",
            )
            .expected("the 64 hexadecimal digits of a SHA-256, with or without colons")
            .found(format!("{text:?}"))
            .hint("print it with: openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE")
        };
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or_else(refused)?;
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        if digits.len() != 64 {
            return Err(refused());
        }
        bytes.try_into().map(Self).map_err(|_| refused())
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// TLS with ring, without touching the process-wide provider: the program that embeds us may have its own.
///
/// `whose` names the provider in the error, such as `http`.
///
/// # Errors
/// `InvalidInput` for a file of certificates that cannot be used.
pub fn tls(trust: &Trust, whose: &str) -> Result<ClientConfig> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&ring))
        .with_safe_default_protocol_versions()
        .map_err(|e| {
            Error::new(ErrorKind::ProviderFault, "TLS cannot be set up").source_error(e)
        })?;
    let extra = match trust {
        Trust::CaFile(file) => certificates(file, whose)?,
        Trust::Machine => Vec::new(),
        Trust::Fingerprint(fingerprint) => {
            let only = Only {
                fingerprint: *fingerprint,
                ring,
            };
            return Ok(finish(
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(only))
                    .with_no_client_auth(),
            ));
        }
    };
    Ok(finish(
        match Verifier::new_with_extra_roots(extra.clone(), ring) {
            Ok(verifier) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth(),
            // A machine may have no list of trusted certificates, such as a small container. Requests over plain
            // http need none, and one over https then trusts the CA file or nobody.
            Err(_) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(extra);
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        },
    ))
}

fn finish(mut tls: ClientConfig) -> ClientConfig {
    // Without it a server may choose HTTP/2, which these clients do not speak.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    tls
}

/// Believes one certificate. That the server holds its key is still verified.
#[derive(Debug)]
struct Only {
    fingerprint: Fingerprint,
    ring: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Fingerprint::of(end_entity) == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.ring.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.ring.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.ring
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The certificates of a PEM file, each of them usable.
fn certificates(file: &Path, whose: &str) -> Result<Vec<CertificateDer<'static>>> {
    let name = file.display();
    let refused = |found: String| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the CA file {name} cannot be used"),
        )
        .expected("a file with certificates between BEGIN CERTIFICATE and END CERTIFICATE")
        .found(found)
        .consequence("nothing was asked")
        .hint(format!(
            "correct `ca_file` of the {whose} provider, or leave it out"
        ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_printed() {
        let fingerprint = Fingerprint::of(b"x");
        let text = fingerprint.to_string();
        assert_eq!(text.len(), 95);
        assert_eq!(text.parse::<Fingerprint>().unwrap(), fingerprint);
        let bare = text.replace(':', "").to_lowercase();
        assert_eq!(bare.parse::<Fingerprint>().unwrap(), fingerprint);
        for wrong in [
            "",
            "AB",
            &text[..94],
            &format!("{text}0"),
            &text.replace('A', "g"),
        ] {
            if wrong == text {
                continue;
            }
            let error = wrong.parse::<Fingerprint>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
        }
    }
}
