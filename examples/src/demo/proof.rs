//! What the guests say themselves, by their own dpkg and apt: nothing here goes through patchcore.

use std::collections::BTreeMap;

use patchcore_testkit::peers::{debian_root::Guest, lab::Lab};

/// A configuration file that comes in a new version.
pub(super) const CONFFILE: &str = "/etc/pc-conf/pc-conf.conf";
/// And what somebody made of it.
pub(super) const EDITED: &str = "# tuned by hand\nanswer=43\n";

/// The bad package.
const BAD: &str = "pc-badpost";

/// Shows it, and says whether it is as it should be: on one guest everything went in, went back, and went in again
/// without the bad package; on all others everything else went in once.
pub(super) fn show(lab: &Lab) -> bool {
    println!("\n▶ the guests themselves, by dpkg-query and by apt's own history:\n");
    let mut met = 0;
    let mut right = true;
    for guest in lab.guests() {
        let changes = changes(guest);
        let there = guest.versions(changes.keys().map(String::as_str));
        let met_it = changes.contains_key(BAD);
        met += usize::from(met_it);
        let wrong: Vec<&str> = changes
            .iter()
            .filter(|(name, versions)| {
                let times = match (met_it, name.as_str()) {
                    (_, BAD) => 2,
                    (true, _) => 3,
                    (false, _) => 1,
                };
                versions.len() != times || there.get(*name) != versions.last()
            })
            .map(|(name, _)| name.as_str())
            .collect();
        let newer = changes.len() - usize::from(met_it);
        let said = if !wrong.is_empty() || newer == 0 {
            right = false;
            format!("not as it should be: {}", wrong.join(", "))
        } else if met_it {
            format!(
                "run 1 put {} packages in and back, run 2 put {newer} in, each exactly once",
                newer + 1
            )
        } else {
            format!("run 2 put {newer} packages in, each exactly once")
        };
        let now = there
            .get(BAD)
            .map(|version| format!(" · {BAD} is at {version}"));
        println!("{:<8}{said}{}", guest.host_name(), now.unwrap_or_default());
    }
    let kept = lab.guest("web-1").read_text(CONFFILE) == EDITED;
    let still = if kept {
        "still as it was edited"
    } else {
        "not as it was edited"
    };
    println!("{:<8}{CONFFILE} is {still}", "web-1");
    right && kept && met == 1
}

/// To which version each change of a package went, in the order in which apt wrote it down.
fn changes(guest: &Guest) -> BTreeMap<String, Vec<String>> {
    let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in guest.apt_history().into_iter().flat_map(|t| t.changes) {
        let to = change.to.unwrap_or_default();
        changes.entry(change.name).or_default().push(to);
    }
    changes
}
