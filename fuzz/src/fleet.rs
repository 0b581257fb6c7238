//! What is said of machines that are reached by ssh: inventory files, and files of known hosts.

use std::path::Path;

use patchcore::ErrorKind;
use patchcore_linux::{Inventory, transport::ssh::known_hosts_of};

use crate::rules;

/// TOML, JSON or a plain list, told apart by what begins none of the others.
pub(crate) fn inventory(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let name = if text.trim_start().starts_with('{') {
        "hosts.json"
    } else if text.contains('=') {
        "hosts.toml"
    } else {
        "hosts"
    };
    match Inventory::check(&text, name, Path::new("/nowhere")) {
        Ok(inventory) => {
            assert!(!inventory.hosts().is_empty());
            for host in inventory.hosts() {
                rules::written_as_read(host);
            }
            // With its defaults filled in, it is the same inventory without any.
            match Inventory::of(inventory.hosts().iter().cloned()) {
                Ok(again) => assert_eq!(again, inventory),
                Err(error) => panic!("taken once, and then refused: {error:?}"),
            }
            true
        }
        Err(mistakes) => {
            rules::mistakes(&mistakes, name);
            false
        }
    }
}

pub(crate) fn known_hosts(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let lines = text.lines().count();
    let mut taken = false;
    for port in [22, 2222] {
        match known_hosts_of(&text, "web-1", port) {
            Ok(found) => {
                assert!(found.iter().sum::<usize>() <= lines);
                // Under the usual port there is no name without it.
                assert!(port != 22 || found[1] == 0);
                taken |= found.iter().any(|count| *count > 0);
                // Lines of no meaning change nothing.
                let more = format!("# a comment\n\n{text}\n# another\n");
                assert_eq!(known_hosts_of(&more, "web-1", port).ok(), Some(found));
            }
            Err(error) => rules::refusal(&error, &[ErrorKind::HostKey]),
        }
    }
    taken
}
