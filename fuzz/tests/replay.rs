//! Every seed, and every input that was ever a finding, through its target.

use std::{collections::BTreeSet, fs, io, path::PathBuf};

use patchcore_fuzz::TARGETS;

fn seeds() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds")
}

/// The names and contents of one target's seeds, in the order of their names.
fn of(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(seeds().join(target))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push((name, fs::read(entry.path())?));
    }
    found.sort();
    Ok(found)
}

#[test]
fn every_seed_holds() {
    for target in TARGETS {
        let mut good = 0;
        for (name, input) in of(target.name).unwrap() {
            let taken = (target.check)(&input);
            // A seed that is refused since the form changed would leave the fuzzer before the door.
            if name.starts_with("good-") {
                assert!(taken, "{}/{name} is refused", target.name);
                good += 1;
            }
        }
        assert!(
            good > 0,
            "{} has no seed good-…; PATCHCORE_BLESS=1 makes those of stored forms",
            target.name
        );
    }
}

#[test]
fn every_folder_of_seeds_has_its_target() {
    let folders: BTreeSet<String> = fs::read_dir(seeds())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let targets: BTreeSet<String> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    assert_eq!(folders, targets);
}

/// The shortest inputs and those that lie near the good ones, without any engine: an ordinary build meets them too.
#[test]
fn what_lies_near_a_seed_holds() {
    for target in TARGETS {
        (target.check)(b"");
        for (_, input) in of(target.name).unwrap() {
            // A few places in each, so that the time does not grow with the seeds.
            let step = (input.len() / 24).max(1);
            for at in (0..input.len()).step_by(step) {
                (target.check)(&input[..at]);
                let mut near = input.clone();
                near[at] = near[at].wrapping_add(1);
                (target.check)(&near);
                near.remove(at);
                (target.check)(&near);
            }
        }
    }
}
