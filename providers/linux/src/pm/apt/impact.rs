//! What replacing a package does while it happens, by its name.

use patchcore::estate::Impact;

/// What runs from the start of the machine to its end, so that only a restart brings a new version into effect.
const RESTARTS: &[&str] = &[
    "linux-image-*",
    "libc6",
    "libc6-*",
    "systemd",
    "systemd-sysv",
    "libsystemd0",
    "libsystemd-shared",
    "dbus",
    "dbus-*",
    "init",
    "sysvinit-core",
    "udev",
    "intel-microcode",
    "amd64-microcode",
    "firmware-*",
    "grub-*",
    "shim-signed*",
];

/// Daemons and interpreters of daemons. Their packages restart them, or leave them on old code until somebody does.
const SERVICES: &[&str] = &[
    "apache2*",
    "bind9*",
    "chrony",
    "containerd*",
    "cron",
    "docker*",
    "dnsmasq*",
    "dovecot-*",
    "exim4*",
    "haproxy",
    "isc-dhcp-server",
    "mariadb-server*",
    "mysql-server*",
    "nginx*",
    "ntp*",
    "openjdk-*",
    "openssh-server",
    "php*",
    "postfix*",
    "postgresql*",
    "python3*",
    "redis*",
    "rsyslog*",
    "samba*",
    "slapd",
    "squid*",
    "unbound*",
    "lib*",
    "openssl",
];

/// Files that people and programs read, and that nothing keeps open.
const NOTHING: &[&str] = &["*-doc", "manpages*", "fonts-*"];

/// The impact of a package by its name; what is in no list is unknown, which counts as a restart.
pub(crate) fn impact(name: &str) -> Option<Impact> {
    let is_in = |list: &[&str]| list.iter().any(|pattern| matches(pattern, name));
    if is_in(NOTHING) {
        Some(Impact::None)
    } else if is_in(RESTARTS) {
        Some(Impact::Reboot)
    } else if is_in(SERVICES) {
        Some(Impact::ServiceRestart)
    } else {
        None
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    if let Some(end) = pattern.strip_prefix('*') {
        name.ends_with(end)
    } else if let Some(start) = pattern.strip_suffix('*') {
        name.starts_with(start)
    } else {
        pattern == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impact_is_by_name_and_unknown_where_no_list_has_it() {
        for (name, expect) in [
            ("linux-image-6.1.0-28-amd64", Some(Impact::Reboot)),
            ("linux-libc-dev", None),
            ("libc6", Some(Impact::Reboot)),
            ("libc6-dev", Some(Impact::Reboot)),
            ("libssl3", Some(Impact::ServiceRestart)),
            ("libsystemd0", Some(Impact::Reboot)),
            ("nginx-core", Some(Impact::ServiceRestart)),
            ("nginx-doc", Some(Impact::None)),
            ("tzdata", None),
        ] {
            assert_eq!(impact(name), expect, "{name}");
        }
    }
}
