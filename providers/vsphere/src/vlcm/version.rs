//! How a host and an image name the same version.

use patchcore::{Error, ErrorKind, Result, id::Version};

/// That of a host, from `config.product`: its release and its build, such as `8.0.3-24280767`.
pub(crate) fn of_host(release: &str, build: &str) -> Version {
    Version::from(format!("{release}-{build}"))
}

/// That of a base image, such as `8.0.3-0.35.24280767`, as a host that runs it says it.
///
/// The release stands before the hyphen, and the build behind the last dot (Broadcom, *Build numbers and versions of
/// VMware ESXi*).
pub(crate) fn of_base_image(version: &str) -> Result<Version> {
    let read = || {
        let (release, rest) = version.split_once('-')?;
        let build = rest.rsplit('.').next()?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let release_reads = release.split('.').count() == 3 && release.split('.').all(digits);
        (release_reads && digits(build)).then(|| of_host(release, build))
    };
    read().ok_or_else(|| {
        Error::new(
            ErrorKind::ProviderFault,
            "the version of a base image cannot be read",
        )
        .expected("one like 8.0.3-0.35.24280767")
        .found(version)
        .hint("report it to the provider's author, with the version of the vCenter")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_and_its_host_say_the_same() {
        let host = of_host("8.0.3", "24280767");
        for image in ["8.0.3-0.35.24280767", "8.0.3-24280767"] {
            assert_eq!(of_base_image(image).unwrap(), host, "{image}");
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for image in ["", "8.0.3", "8.0-1.2", "8.0.3-", "8.0.3-0.x", "a.b.c-1"] {
            assert!(of_base_image(image).is_err(), "{image}");
        }
    }
}
