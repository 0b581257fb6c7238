//! apt's own record of what it did, `/var/log/apt/history.log`.

use jiff::civil::DateTime;

/// One run of apt that reached dpkg.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Transaction {
    /// When it started, in the guest's local time, which is UTC.
    pub started: DateTime,
    /// When it ended; `None` when apt itself was ended before.
    pub ended: Option<DateTime>,
    /// The command line.
    pub command_line: String,
    /// Who asked, through `sudo` or `pkexec`, such as `op (1000)`.
    pub requested_by: Option<String>,
    /// What was to be done to packages, in the order of the record.
    pub changes: Vec<PackageChange>,
    /// What went wrong.
    pub error: Option<String>,
}

/// What one run of apt was to do to one package.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackageChange {
    /// apt's own word: `Install`, `Reinstall`, `Upgrade`, `Downgrade`, `Remove` or `Purge`.
    pub action: String,
    /// The package without its architecture.
    pub name: String,
    /// The version before; `None` for `Install`, and for `Reinstall`, where it is the same.
    pub from: Option<String>,
    /// The version after; `None` for `Remove` and `Purge`.
    pub to: Option<String>,
    /// Whether it came or went because of others, and not because someone named it.
    pub automatic: bool,
}

/// Reads the record; blank lines part its entries.
pub(super) fn parse(text: &str) -> Result<Vec<Transaction>, String> {
    let mut transactions = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (field, value) = line
            .split_once(": ")
            .ok_or_else(|| format!("no field in the line {line:?}"))?;
        if field == "Start-Date" {
            transactions.push(Transaction {
                started: date(value)?,
                ..Transaction::default()
            });
            continue;
        }
        let Some(transaction) = transactions.last_mut() else {
            return Err(format!("{line:?} stands before the first Start-Date"));
        };
        match field {
            "End-Date" => transaction.ended = Some(date(value)?),
            "Commandline" => value.clone_into(&mut transaction.command_line),
            "Requested-By" => transaction.requested_by = Some(value.to_owned()),
            "Error" => transaction.error = Some(value.to_owned()),
            "Install" | "Reinstall" | "Upgrade" | "Downgrade" | "Remove" | "Purge" => {
                for package in value
                    .split_inclusive(')')
                    .map(|package| package.trim_start_matches(", "))
                {
                    transaction.changes.push(change(field, package)?);
                }
            }
            // apt may write fields that this reader does not know, such as Comment.
            _ => {}
        }
    }
    Ok(transactions)
}

/// apt parts the date from the time by two spaces.
fn date(value: &str) -> Result<DateTime, String> {
    DateTime::strptime("%Y-%m-%d %H:%M:%S", value.replace("  ", " "))
        .map_err(|e| format!("the date {value:?}: {e}"))
}

/// One package, such as `pc-hello:amd64 (1.0-1, 1.1-1)` or `pc-newdep:amd64 (1.0-1, automatic)`.
fn change(action: &str, package: &str) -> Result<PackageChange, String> {
    let shape = || format!("expected NAME:ARCHITECTURE (VERSION, …) but found {package:?}");
    let (name, rest) = package.split_once(" (").ok_or_else(shape)?;
    let mut versions: Vec<&str> = rest
        .strip_suffix(')')
        .ok_or_else(shape)?
        .split(", ")
        .collect();
    let automatic = versions.last() == Some(&"automatic");
    if automatic {
        versions.pop();
    }
    let (from, to) = match (action, &versions[..]) {
        ("Upgrade" | "Downgrade", [from, to]) => (Some(*from), Some(*to)),
        ("Install" | "Reinstall", [to]) => (None, Some(*to)),
        ("Remove" | "Purge", [from]) => (Some(*from), None),
        _ => return Err(shape()),
    };
    Ok(PackageChange {
        action: action.to_owned(),
        name: name
            .split_once(':')
            .map_or(name, |(name, _)| name)
            .to_owned(),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        automatic,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_actions_of_all_entries_are_read() {
        let text = "\nStart-Date: 2026-11-25  12:58:18\nCommandline: apt-get -y dist-upgrade\n\
            Requested-By: op (1000)\nInstall: pc-newdep:amd64 (1.0-1, automatic)\n\
            Upgrade: libpc1:amd64 (1.0-1, 1.1-1), pc-hello:amd64 (1:1.0-1, 1:1.1-1)\nRemove: pc-victim:amd64 (1.0-1)\n\
            Error: Sub-process /usr/bin/dpkg returned an error code (1)\nEnd-Date: 2026-11-25  12:58:19\n\n\
            Start-Date: 2026-11-25  13:00:00\nCommandline: apt-get -y install pc-hello=1.0-1\n\
            Downgrade: pc-hello:amd64 (1:1.1-1, 1:1.0-1)\n";
        let read = parse(text).unwrap();
        let seen: Vec<String> = read
            .iter()
            .flat_map(|t| &t.changes)
            .map(|c| {
                format!(
                    "{} {} {:?} {:?} {}",
                    c.action, c.name, c.from, c.to, c.automatic
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                "Install pc-newdep None Some(\"1.0-1\") true",
                "Upgrade libpc1 Some(\"1.0-1\") Some(\"1.1-1\") false",
                "Upgrade pc-hello Some(\"1:1.0-1\") Some(\"1:1.1-1\") false",
                "Remove pc-victim Some(\"1.0-1\") None false",
                "Downgrade pc-hello Some(\"1:1.1-1\") Some(\"1:1.0-1\") false",
            ]
        );
        assert_eq!(read[0].requested_by.as_deref(), Some("op (1000)"));
        assert_eq!(
            read[0].error.as_deref(),
            Some("Sub-process /usr/bin/dpkg returned an error code (1)")
        );
        assert_eq!(
            read[0].ended.unwrap() - read[0].started,
            jiff::Span::new().seconds(1).fieldwise()
        );
        assert_eq!(read[1].ended, None);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let check =
            |text: &str, why: &str| assert!(parse(text).unwrap_err().contains(why), "{text}");
        check("Upgrade: a:amd64 (1, 2)\n", "before the first Start-Date");
        check("Start-Date: yesterday\n", "the date");
        check(
            "Start-Date: 2026-11-25  12:58:18\nUpgrade: a:amd64 (1)\n",
            "expected NAME",
        );
        check("Start-Date: 2026-11-25  12:58:18\nnonsense\n", "no field");
    }
}
