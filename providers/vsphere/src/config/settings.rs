//! A vCenter as a person writes it down.

use std::path::{Path, PathBuf};

use patchcore::{
    Secret,
    document::{Document, Form, Key, Kind, Mistake, Mistakes, Settings, Table, Word, Wrong},
    policy::parse_duration,
};
use patchcore_https::{Fingerprint, Trust};
use serde::Deserialize;

use super::{VsphereConfig, WhatCounts, address};

const FORM: Form = Form {
    noun: "vsphere settings",
    with_article: "vsphere settings",
    table: &Table {
        one_of: &["password", "password_file"],
        ..Table::of(&[
            Key::required("server", Kind::Name),
            Key::required("user", Kind::Name),
            Key::optional("password", Kind::Secret),
            Key::optional("password_file", Kind::Name),
            Key::optional("ca_file", Kind::Name),
            Key::optional(
                "fingerprint",
                Kind::Word(Word {
                    what: "the SHA-256 of a certificate",
                    example: "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
                    check: |text| match text.parse::<Fingerprint>() {
                        Ok(_) => Ok(()),
                        Err(_) => Err(Wrong::because("64 hexadecimal digits")),
                    },
                }),
            ),
            Key::optional(
                "deadline",
                Kind::Word(Word {
                    what: "a duration",
                    example: "60s",
                    check: |text| Ok(parse_duration(text).map(drop)?),
                }),
            ),
            Key::optional("memory", Kind::Choice(&["configured", "held"])),
        ])
    },
};

/// As it is written. It cannot print: a password is in it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    server: String,
    user: String,
    password: Option<String>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    fingerprint: Option<Fingerprint>,
    deadline: Option<String>,
    memory: Option<String>,
}

impl Settings for VsphereConfig {
    const FORM: Form = FORM;
    const PREFIX: &'static str = "PATCHCORE_VSPHERE_";

    fn read(mut document: Document, folder: &Path) -> Result<Self, Mistakes> {
        let written: Written = document.content();
        if written.ca_file.is_some() && written.fingerprint.is_some() {
            document.report("/fingerprint", &[], |place| {
                Mistake::new(place, "only one of ca_file and fingerprint can be given")
            });
        }
        let url = match address(&written.server) {
            Ok(url) => url,
            Err(error) => {
                // It is not shown: it may hold a password.
                document.report("/server", &["/server"], |place| {
                    let hint = error.remedy().unwrap_or_default();
                    Mistake::new(place, format!("server: {}; {hint}", error.message()))
                });
                // What is no address by a stand-in was a mistake before.
                return Err(document
                    .finish(())
                    .err()
                    .unwrap_or_else(|| Mistakes::new(Vec::new())));
            }
        };
        let password = Secret::new(written.password.unwrap_or_default());
        let mut config = Self::at(url, written.user, password);
        if let Some(file) = written.password_file {
            config = config.with_password_file(folder.join(file));
        }
        match (written.ca_file, written.fingerprint) {
            (Some(file), _) => config = config.with_ca_file(folder.join(file)),
            (None, Some(print)) => config = config.with_trust(Trust::Fingerprint(print)),
            (None, None) => {}
        }
        // The vocabulary let it through, so it can be read.
        if let Some(time) = written.deadline.and_then(|text| parse_duration(&text).ok()) {
            config = config.with_deadline(time);
        }
        if written.memory.as_deref() == Some("held") {
            config = config.with_memory(WhatCounts::Held);
        }
        document.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    const PRINT: &str = "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF";

    /// All that a configuration holds, with its password.
    fn whole(config: &VsphereConfig) -> (String, String) {
        let password = config.password().unwrap().expose().to_owned();
        (format!("{config:?}"), password)
    }

    #[test]
    fn a_file_the_environment_and_a_map_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vsphere.toml");
        let text = r#"
            server = "vcenter.example.org:8443"
            user = "patchcore@vsphere.local"
            password = "hunter2 "
            ca_file = "ca.pem"
            deadline = "90s"
            memory = "held"
        "#;
        fs::write(&file, text).unwrap();
        let ca_file = folder.path().join("ca.pem");
        let expected = VsphereConfig::new(
            "vcenter.example.org:8443",
            "patchcore@vsphere.local",
            Secret::new("hunter2 "),
        )
        .unwrap()
        .with_ca_file(&ca_file)
        .with_deadline(std::time::Duration::from_secs(90))
        .with_memory(WhatCounts::Held);
        let read = VsphereConfig::from_file(&file).unwrap();
        assert_eq!(whole(&read), whole(&expected));
        let variables = [
            ("SERVER", "vcenter.example.org:8443"),
            ("USER", "patchcore@vsphere.local"),
            ("PASSWORD", "hunter2 "),
            ("CA_FILE", ca_file.to_str().unwrap()),
            ("DEADLINE", "1m30s"),
            ("MEMORY", "held"),
        ]
        .map(|(name, value)| (format!("PATCHCORE_VSPHERE_{name}"), value.to_owned()));
        let read = VsphereConfig::from_variables(VsphereConfig::PREFIX, variables).unwrap();
        assert_eq!(whole(&read), whole(&expected));
        let map = json!({
            "server": "vcenter.example.org:8443", "user": "patchcore@vsphere.local", "password": "hunter2 ",
            "ca_file": ca_file, "deadline": "90s", "memory": "held",
        });
        let read = VsphereConfig::from_value(&map, "VCenter").unwrap();
        assert_eq!(whole(&read), whole(&expected));
    }

    #[test]
    fn a_password_is_asked_for_at_each_login() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vsphere.json");
        let written =
            json!({"server": "vc", "user": "u", "password_file": "secret", "fingerprint": PRINT});
        fs::write(&file, written.to_string()).unwrap();
        let config = VsphereConfig::from_file(&file).unwrap();
        assert!(
            matches!(&config.trust, Trust::Fingerprint(print) if print.to_string().starts_with("00:11:"))
        );
        assert!(config.password().is_err());
        for password in ["first", "second"] {
            fs::write(folder.path().join("secret"), password).unwrap();
            assert_eq!(config.password().unwrap().expose(), password);
        }
    }

    #[test]
    fn every_mistake_is_answered_and_no_secret_is_shown() {
        let refused = |map: serde_json::Value, said: &[&str]| {
            let error = VsphereConfig::from_value(&map, "VCenter").unwrap_err();
            let text = format!("{error:?}\n{error}");
            for said in said {
                assert!(text.contains(said), "{said}\n{text}");
            }
            assert!(!text.contains("hunter2"), "{text}");
        };
        refused(
            json!({"server": "u:hunter2@vc", "password": "hunter2\n", "usr": "u", "deadline": "soon"}),
            &[
                "VCenter#/usr: unknown key \"usr\"",
                "user is missing",
                "VCenter#/password: password cannot be used",
                "VCenter#/deadline",
                "VCenter#/server: server: the vCenter's address cannot be used",
                "5 mistakes",
            ],
        );
        let plain = json!({"server": "vc", "user": "u", "password": "hunter2"});
        let with = |key: &str, value: serde_json::Value| {
            let mut map = plain.clone();
            map[key] = value;
            map
        };
        refused(
            with("password_file", json!("f")),
            &["only one of password and password_file can be given"],
        );
        refused(
            with("password", json!(["hunter2"])),
            &["it is not shown here"],
        );
        refused(
            json!({"server": "vc", "user": "u"}),
            &["nothing of password, password_file is given"],
        );
        let mut both = with("ca_file", json!("ca.pem"));
        both["fingerprint"] = json!(PRINT);
        refused(
            both,
            &["VCenter#/fingerprint: only one of ca_file and fingerprint"],
        );
        let unfinished = VsphereConfig::FORM
            .toml("server = \"vc\"\npassword = \"hunter2", "vsphere.toml")
            .unwrap_err();
        assert!(
            !format!("{unfinished:?}{unfinished}").contains("hunter2"),
            "{unfinished}"
        );
        let document = VsphereConfig::FORM.value(&plain, "VCenter").unwrap();
        assert!(!format!("{document:?}").contains("hunter2"));
    }
}
