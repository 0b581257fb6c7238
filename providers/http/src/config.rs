//! What can be chosen.

use std::path::{Path, PathBuf};

use patchcore::document::{Document, Form, Key, Kind, Mistakes, Settings, Table};
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// The words of the settings.
const FORM: Form = Form {
    noun: "http settings",
    with_article: "http settings",
    table: &Table::of(&[
        Key::optional("ca_file", Kind::Name),
        Key::optional("redirects", Kind::Choice(&["same_page", "same_host"])),
    ]),
};

/// How the checks are made. It is read from a file, from variables such as `PATCHCORE_HTTP_CA_FILE`, or from a map by
/// [`Settings`], with the names of its fields as words. The default suits components whose certificates this machine already trusts.
///
/// ```
/// use patchcore_http::{HttpConfig, Redirects};
/// let config = HttpConfig::default()
///     .with_ca_file("/etc/ssl/example-ca.pem")
///     .with_redirects(Redirects::SameHost);
/// assert_eq!(config.redirects, Redirects::SameHost);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpConfig {
    /// A PEM file with certificates that are trusted beside those that this machine trusts. At most 1 MiB.
    /// Read once, when the probe is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Which redirects are followed.
    pub redirects: Redirects,
}

impl HttpConfig {
    /// The same with a PEM file of further certificates to trust.
    #[must_use]
    pub fn with_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// The same with other redirects followed.
    #[must_use]
    pub fn with_redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }
}

impl Settings for HttpConfig {
    const FORM: Form = FORM;
    const PREFIX: &'static str = "PATCHCORE_HTTP_";

    fn read(mut document: Document, folder: &Path) -> Result<Self, Mistakes> {
        let mut config: Self = document.content();
        config.ca_file = config.ca_file.map(|file| folder.join(file));
        document.finish(config)
    }
}

/// Which redirects are followed, three of them at most. One that is not followed is *unhealthy*.
///
/// Neither way leaves the host, changes the port within a scheme, or goes from https to http.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Redirects {
    /// To the same page only: from http to https, or to the same path with or without its last slash.
    ///
    /// The default, because a login page on the same host answers 200 too, whatever the state of what
    /// was asked for.
    #[default]
    SamePage,
    /// To any page of the same host.
    SameHost,
}

/// This many redirects in a row are followed: one to https and one to the path with a slash are usual, more
/// than one further is a circle.
pub(crate) const MOST_REDIRECTS: usize = 3;

impl Redirects {
    /// Why this redirect is not followed; none where it is.
    pub(crate) fn refuses(self, from: &Url, to: &Url) -> Option<&'static str> {
        let upgrade = from.scheme() == "http" && to.scheme() == "https";
        if from.host() != to.host() {
            return Some("another host");
        }
        if !upgrade && from.scheme() != to.scheme() {
            return Some("another scheme");
        }
        if !upgrade && from.port_or_known_default() != to.port_or_known_default() {
            return Some("another port");
        }
        let page = |url: &Url| {
            let path = url.path().trim_end_matches('/').to_owned();
            (path, url.query().map(str::to_owned))
        };
        match self {
            Self::SamePage if page(from) != page(to) => Some("another page"),
            Self::SamePage | Self::SameHost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, same_page: Option<&str>, same_host: Option<&str>) {
        let from = Url::parse(from).unwrap();
        let to = Url::parse(to).unwrap();
        assert_eq!(Redirects::SamePage.refuses(&from, &to), same_page, "{to}");
        assert_eq!(Redirects::SameHost.refuses(&from, &to), same_host, "{to}");
    }

    #[test]
    fn redirects_stay_on_the_host() {
        let page = Some("another page");
        let all = |why| (Some(why), Some(why));
        for (from, to, (same_page, same_host)) in [
            ("http://a/h", "http://a/h/", (None, None)),
            ("http://a/h", "http://A:80/h", (None, None)),
            ("http://a/h", "https://a/h", (None, None)),
            ("http://a:8080/h", "https://a:8443/h", (None, None)),
            ("http://a/h?x=1", "https://a/h/?x=1", (None, None)),
            ("http://a/h", "http://a/login", (page, None)),
            ("http://a/i?page=h", "http://a/i?page=login", (page, None)),
            ("http://a/h", "http://b/h", all("another host")),
            ("http://a/h", "https://login.a/h", all("another host")),
            ("https://a/h", "http://a/h", all("another scheme")),
            ("http://a/h", "ftp://a/h", all("another scheme")),
            ("http://a/h", "http://a:8080/h", all("another port")),
            ("https://a/h", "https://a:8443/h", all("another port")),
            ("http://[::1]/h", "http://[::1]/h/", (None, None)),
        ] {
            check(from, to, same_page, same_host);
        }
    }

    #[test]
    fn a_file_the_environment_and_a_map_say_the_same() {
        let folder = std::env::temp_dir().join(format!("patchcore-http-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("http.toml");
        std::fs::write(&file, "ca_file = \"ca.pem\"\nredirects = \"same_host\"\n").unwrap();
        let expected = HttpConfig::default()
            .with_ca_file(folder.join("ca.pem"))
            .with_redirects(Redirects::SameHost);
        assert_eq!(HttpConfig::from_file(&file).unwrap(), expected);
        assert_eq!(HttpConfig::from_value(&expected, "http").unwrap(), expected);
        let ca_file = folder.join("ca.pem").display().to_string();
        let variables = [
            ("PATCHCORE_HTTP_CA_FILE".to_owned(), ca_file),
            (
                "PATCHCORE_HTTP_REDIRECTS".to_owned(),
                "same_host".to_owned(),
            ),
            ("PATH".to_owned(), "/bin".to_owned()),
        ];
        let read = HttpConfig::from_variables(HttpConfig::PREFIX, variables);
        assert_eq!(read.unwrap(), expected);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_wrong_variable_is_named_with_every_other() {
        let variables = [
            ("PATCHCORE_HTTP_REDIRECT", "same_host"),
            ("PATCHCORE_HTTP_REDIRECTS", "everywhere"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let error = HttpConfig::from_variables(HttpConfig::PREFIX, variables).unwrap_err();
        let text = error.to_string();
        for said in [
            "PATCHCORE_HTTP_REDIRECT: unknown key \"redirect\"",
            "did you mean \"redirects\"?",
            "PATCHCORE_HTTP_REDIRECTS: redirects = \"everywhere\"",
            "2 mistakes; nothing was done",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
    }

    #[test]
    fn a_mistyped_key_is_refused() {
        let read = serde_json::from_str::<HttpConfig>;
        assert_eq!(read("{}").unwrap(), HttpConfig::default());
        assert_eq!(
            read(r#"{"redirects": "same_host"}"#).unwrap().redirects,
            Redirects::SameHost
        );
        let error = read(r#"{"ca_fiel": "a.pem"}"#).unwrap_err().to_string();
        assert!(error.contains("ca_fiel"), "{error}");
    }
}
