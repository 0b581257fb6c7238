//! The words of an inventory file.

use std::net::IpAddr;

use patchcore::{
    document::{Form, Key, Kind, Later, Table, Word, Wrong},
    policy::Selector,
};

use crate::transport::ssh::Fingerprint;

/// An inventory file.
pub(super) const FORM: Form = Form {
    noun: "inventory",
    with_article: "an inventory",
    table: &INVENTORY,
};

/// The whole file.
pub(super) const INVENTORY: Table = Table::of(&[
    Key::optional("inventory", Kind::Version),
    Key::optional(
        "defaults",
        Kind::Table(&Table {
            later: LATER,
            ..Table::of(&[
                Key::optional("user", USER),
                Key::optional("port", PORT),
                Key::optional("become", BECOME),
                Key::optional("known_hosts", Kind::Name),
                Key::optional("identity", Kind::Name),
                Key::optional("labels", LABELS),
                Key::optional("owner", Kind::Name),
            ])
        }),
    ),
    Key::optional(
        "host",
        Kind::Tables(&Table {
            later: LATER,
            ..Table::titled(
                "name",
                &[
                    Key::required("name", NAME),
                    Key::optional("address", ADDRESS),
                    Key::optional("user", USER),
                    Key::optional("port", PORT),
                    Key::optional("become", BECOME),
                    Key::optional("known_hosts", Kind::Name),
                    Key::optional("identity", Kind::Name),
                    Key::optional("host_key", HOST_KEY),
                    Key::optional("reboot", Kind::Flag),
                    Key::optional("labels", LABELS),
                    Key::optional("owner", Kind::Name),
                ],
            )
        }),
    ),
]);

/// What later versions will know.
const LATER: &[Later] = &[
    Later::new("bastion", "bastion"),
    Later::new("host_key_ca", "host_key_ca"),
    Later::new("certificate", "certificate"),
    Later::new("jobs", "jobs"),
];

const PORT: Kind = Kind::Count { most: 65_535 };
const BECOME: Kind = Kind::Choice(&["sudo", "none"]);
pub(super) const LABELS: Kind = Kind::Pairs(Word {
    what: "the name of a label",
    example: "tier",
    check: label,
});
pub(super) const NAME: Kind = Kind::Word(Word {
    what: "the name of a machine",
    example: "web-1",
    check: name,
});
pub(super) const ADDRESS: Kind = Kind::Word(Word {
    what: "a host name or an IP address",
    example: "10.0.0.11",
    check: address,
});
const USER: Kind = Kind::Word(Word {
    what: "the name of a user",
    example: "op",
    check: user,
});
const HOST_KEY: Kind = Kind::Word(Word {
    what: "the fingerprint of a host key",
    example: "SHA256:mV0GD4CcLyuD8cCrcqYuAcYHa9rEoHF5YJDhBLLuW2E",
    check: |text| match Fingerprint::parse(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Wrong::because(
            "SHA256: and 43 characters, as ssh-keygen -l prints it",
        )),
    },
});

/// Names stand in selectors, in listings and in keys of operations.
fn name(text: &str) -> Result<(), Wrong> {
    let right = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(right) {
        return Err(Wrong::because(
            "letters, digits, dots, hyphens and underscores, the first a letter or a digit",
        ));
    }
    // The longest name that DNS knows.
    match text.len() <= 253 {
        true => Ok(()),
        false => Err(Wrong::because("at most 253 characters")),
    }
}

/// What a resolver takes: a name by its letters, digits, dots and hyphens (RFC 1123), underscores as many use them.
fn address(text: &str) -> Result<(), Wrong> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && port.parse::<u16>().is_ok()
        && address(host.trim_start_matches('[').trim_end_matches(']')).is_ok()
    {
        return Err(Wrong {
            detail: Some(format!("write the port as port = {port}")),
            suggestion: Some(
                host.trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned(),
            ),
        });
    }
    if let Some((user, host)) = text.split_once('@') {
        return Err(Wrong {
            detail: Some(format!("write the user as user = {user:?}")),
            suggestion: Some(host.to_owned()).filter(|host| address(host).is_ok()),
        });
    }
    let right = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match text.len() <= 253
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(right)
    {
        true => Ok(()),
        false => Err(Wrong::default()),
    }
}

/// What useradd(8) lets through, and the `\` and `@` of accounts from a directory.
fn user(text: &str) -> Result<(), Wrong> {
    let right = |c: char| !c.is_whitespace() && !c.is_control() && !":,/".contains(c);
    match !text.is_empty() && text.len() <= 256 && !text.starts_with('-') && text.chars().all(right)
    {
        true => Ok(()),
        false => Err(Wrong::default()),
    }
}

/// A label that no selector could ask for says nothing.
fn label(text: &str) -> Result<(), Wrong> {
    if ["name", "kind", "address", "owner"].contains(&text) {
        return Err(Wrong::because(format!(
            "selectors know {text:?} as what the machine itself has there"
        )));
    }
    match Selector::parse(&format!("{text} = x"))
        .is_ok_and(|s| s.to_string() == format!("{text} = x"))
    {
        true => Ok(()),
        false => Err(Wrong::because(
            "no selector could ask for it: letters, digits and _-./:@+",
        )),
    }
}
