//! What changed since yesterday.

use std::time::Duration;

use patchcore::{
    estate::{Busy, WayBack},
    plan::{Plan, RebootRule, Reference},
};

use crate::{
    golden::golden,
    rich_estate::{POLICY, add, finding, offer, one, planned, rich},
};

#[test]
fn only_what_changed() {
    let then = planned(&rich(), POLICY);
    let mut inventory = rich();
    add(&mut inventory, "web-29", &[("tier", "web")], one("curl"));
    inventory.components.remove("log-3");
    finding(&mut inventory, "web-27").scan.unhealthy.clear();
    finding(&mut inventory, "web-28").scan.busy = None;
    for patch in &mut offer(&mut inventory, "dns-1").patches {
        patch.to = "1.2".into();
    }
    offer(&mut inventory, "web-05")
        .patches
        .retain(|p| p.id != "libfoo3");
    let policy = POLICY
        .replace("10% of ring", "20% of ring")
        .replace("soak = \"48h\"", "soak = \"3d\"")
        .replace("\"22:00\"", "\"21:00\"");
    let now = planned(&inventory, &policy);
    golden("plan_diff.txt", &now.diff(&then).to_string());
    assert_eq!(then.diff(&then).to_string(), "nothing changed");
}

#[test]
fn no_change_is_silent() {
    type Change = fn(&mut Plan);
    let changes: Vec<(&str, Change)> = vec![
        ("estate", |p| p.envelope.estate = "other".into()),
        ("requester", |p| p.envelope.requested_by = "kim".into()),
        ("policy's name", |p| p.envelope.policy = "other".to_owned()),
        ("policy's text", |p| {
            p.envelope.policy_digest = "0".to_owned()
        }),
        ("valid", |p| p.envelope.expires += Duration::from_secs(1)),
        ("reference", |p| {
            p.envelope.references.push(Reference {
                system: "s".to_owned(),
                id: "i".to_owned(),
                state: None,
                digest: None,
            });
        }),
        ("approves", |p| p.envelope.approval.needs += 1),
        ("at once", |p| p.envelope.rings[0].at_once += 1),
        ("1 up to date, was 0", |p| {
            p.envelope.rings[0].up_to_date += 1
        }),
        ("soak", |p| {
            p.envelope.rings[0].soak += Duration::from_secs(60)
        }),
        ("before it starts", |p| {
            p.envelope.rings[1].start_after = None
        }),
        ("any window", |p| {
            p.envelope.rings[1].window = Some("w".into())
        }),
        ("approval of its own", |p| {
            p.envelope.rings[1].needs_approval = true
        }),
        ("another order", |p| p.envelope.rings.swap(0, 1)),
        ("+ bind9", |p| {
            let target = p
                .envelope
                .targets
                .iter_mut()
                .find(|t| t.component == "dns-1")
                .unwrap();
            let extra = target.patches[0].clone();
            target.patches.clear();
            let now = p.clone();
            *p = now;
            let target = p
                .envelope
                .targets
                .iter_mut()
                .find(|t| t.component == "dns-1")
                .unwrap();
            target.patches.push(extra);
            target.patches[0].to = "9".into();
        }),
        ("detail of the target", |p| {
            p.envelope.targets[0].known_as = "x".into()
        }),
        ("detail of the target", |p| {
            p.envelope.targets[0].stages = false
        }),
        ("no way back", |p| {
            p.envelope.targets[0].way_back = WayBack::None {
                why: "w".to_owned(),
            };
        }),
        ("reboot", |p| {
            p.envelope.targets[0].reboot = RebootRule::Always
        }),
        ("check", |p| {
            let with = p.envelope.targets.iter_mut().find(|t| !t.checks.is_empty());
            with.unwrap().checks.clear();
        }),
        ("waits", |p| p.envelope.targets[0].after.clear()),
        ("takes", |p| {
            p.envelope.targets[0].takes.p95 += Duration::from_secs(1)
        }),
        ("window", |p| p.envelope.windows[0].name = "w".into()),
        ("failure", |p| {
            p.envelope.on_fail.component = patchcore::policy::OnComponentFailure::Stop
        }),
        ("group", |p| p.envelope.groups[0].keep_up = 0),
        ("exception", |p| p.envelope.exceptions.clear()),
        ("times of waves", |p| {
            p.schedule.rings[0].waves[1].starts = None;
        }),
        ("starts", |p| p.schedule.rings[0].waves[0].starts = None),
        ("ends", |p| p.schedule.ends = None),
        ("is not", |p| drop(p.left_out.pop())),
        ("offers", |p| drop(p.patches_left_out.pop())),
        ("order", |p| p.order.clear()),
        ("busy", |p| {
            let busy = Busy {
                what: "a".to_owned(),
                holder: "b".to_owned(),
                since: None,
            };
            p.busy.insert("app-1".into(), busy);
        }),
        ("tool", |p| p.tools.clear()),
        ("found", |p| p.found += 1),
    ];
    let then = planned(&rich(), POLICY);
    for (word, change) in changes {
        let mut now = then.clone();
        change(&mut now);
        let diff = now.diff(&then);
        let text = diff.to_string();
        assert!(!diff.is_empty(), "{word}");
        let word = match word {
            "+ bind9" => "bind9 1.0 → 9, was bind9 1.0 → 1.1",
            "is not" => "was ",
            word => word,
        };
        assert!(text.contains(word), "{word}: {text}");
    }
}
