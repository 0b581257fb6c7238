//! One row for each key: the policy with only that key changed, and what differs then.

use patchcore::policy::Gate;

use super::*;

pub(super) struct Row {
    pub(super) key: &'static str,
    /// What is replaced in the base policy, and by what.
    pub(super) change: (&'static str, &'static str),
    pub(super) shows: Shows,
    /// What is seen with the base policy and with the changed one; a part of it is enough.
    pub(super) expect: (&'static str, &'static str),
}

const fn row(
    key: &'static str,
    from: &'static str,
    to: &'static str,
    shows: Shows,
    before: &'static str,
    after: &'static str,
) -> Row {
    Row {
        key,
        change: (from, to),
        shows,
        expect: (before, after),
    }
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        row(
            "policy",
            "policy = 1",
            "policy = 2",
            |o| {
                o.as_ref()
                    .map_or_else(String::clone, |_| "planned".to_owned())
            },
            "planned",
            "1 mistake",
        ),
        row(
            "name",
            "\"keys\"",
            "\"other\"",
            |o| ok(o).envelope.policy.clone(),
            "keys",
            "other",
        ),
        // Who answers for a policy acts on nothing; an approval of the old text does not hold for the new one.
        row(
            "owner",
            "\"platform\"",
            "\"other\"",
            |o| {
                let approval = ok(&outcome(BASE)).approval("maria", now()).unwrap();
                match approve(ok(o).clone(), [approval], now()) {
                    Ok(_) => "approved".to_owned(),
                    Err(error) => error.kind().to_string(),
                }
            },
            "approved",
            "approval_mismatch",
        ),
        row(
            "approval.needs",
            "needs = 1",
            "needs = 2",
            |o| approved(ok(o), &["maria"], now()),
            "approved",
            "not_approved",
        ),
        row(
            "approval.from",
            "from = [\"maria\", \"jon\"]",
            "from = [\"jon\"]",
            |o| approved(ok(o), &["maria"], now()),
            "approved",
            "not_approved",
        ),
        row(
            "approval.valid",
            "\"14d\"",
            "\"24h\"",
            |o| approved(ok(o), &["maria"], at("2026-12-16T12:00:00Z")),
            "approved",
            "approval_expired",
        ),
        row(
            "window.name",
            "\"days\"",
            "\"weekend\"",
            |o| {
                let plan = ok(o);
                let calendar = policy::Calendar::new(&plan.envelope.windows, &[]).unwrap();
                match calendar.gate(None, at("2026-12-19T09:30:00Z"), Duration::ZERO) {
                    Gate::Open { window, .. } => window.to_string(),
                    _ => "closed".to_owned(),
                }
            },
            "days",
            "weekend",
        ),
        row(
            "window.zone",
            "zone = \"Europe/Berlin\"\nwhen = \"mon..thu\"",
            "zone = \"Europe/London\"\nwhen = \"mon..thu\"",
            |o| start(ok(o), "canary"),
            "2026-12-14T21:00:00Z",
            "2026-12-14T22:00:00Z",
        ),
        row(
            "window.when",
            "\"mon..thu\"",
            "\"tue\"",
            |o| start(ok(o), "canary"),
            "2026-12-14T21:00:00Z",
            "2026-12-15T21:00:00Z",
        ),
        row(
            "window.from",
            "from = \"22:00\"",
            "from = \"23:00\"",
            |o| start(ok(o), "canary"),
            "2026-12-14T21:00:00Z",
            "2026-12-14T22:00:00Z",
        ),
        row(
            "window.until",
            "until = \"04:00\"",
            "until = \"22:15\"",
            |o| start(ok(o), "canary"),
            "2026-12-14T21:00:00Z",
            "never",
        ),
        row(
            "blackout.from",
            "from = 2026-12-21",
            "from = 2026-12-14",
            |o| start(ok(o), "canary"),
            "2026-12-14T21:00:00Z",
            "2027-01-04T21:00:00Z",
        ),
        row(
            "blackout.to",
            "to = 2027-01-03",
            "to = 2026-12-21",
            |o| next_after_freeze(ok(o)),
            "2027-01-04T21:00:00Z",
            "2026-12-22T21:00:00Z",
        ),
        row(
            "blackout.zone",
            "zone = \"Europe/Berlin\"\nbecause",
            "zone = \"Pacific/Honolulu\"\nbecause",
            |o| {
                let plan = ok(o);
                let (windows, days) = (&plan.envelope.windows, &plan.envelope.blackouts);
                let calendar = policy::Calendar::new(windows, days).unwrap();
                match calendar.gate(None, at("2027-01-04T05:00:00Z"), Duration::ZERO) {
                    Gate::Closed { because, .. } => format!("{} reasons", because.len()),
                    _ => "open".to_owned(),
                }
            },
            "2 reasons",
            "3 reasons",
        ),
        row(
            "blackout.because",
            "year-end freeze",
            "audit",
            |o| {
                let plan = ok(o);
                let calendar =
                    policy::Calendar::new(&plan.envelope.windows, &plan.envelope.blackouts)
                        .unwrap();
                match calendar.gate(None, at("2026-12-22T22:00:00Z"), Duration::ZERO) {
                    Gate::Closed { because, .. } => {
                        because.iter().map(ToString::to_string).collect()
                    }
                    _ => "open".to_owned(),
                }
            },
            "year-end freeze",
            "audit",
        ),
        row(
            "patches.take",
            "take = [\"security\", \"bugfix\"]",
            "take = [\"security\", \"bugfix\", \"enhancement\"]",
            |o| patches(ok(o), "test-2"),
            "a",
            "a vim",
        ),
        row(
            "exception.match",
            "match = \"mysql\"",
            "match = \"mariadb\"",
            |o| format!("[{}]", patches(ok(o), "db-1")),
            "[a]",
            "[a mysql]",
        ),
        row(
            "exception.because",
            "certified in January",
            "too new",
            |o| exception(ok(o)),
            "certified in January",
            "too new",
        ),
        row(
            "exception.risk_owner",
            "\"dana\"",
            "\"lee\"",
            |o| exception(ok(o)),
            "risk owner dana",
            "risk owner lee",
        ),
        row(
            "exception.approver",
            "\"kim\"",
            "\"lee\"",
            |o| exception(ok(o)),
            "approved by kim",
            "approved by lee",
        ),
        row(
            "exception.compensating",
            "firewalled",
            "switched off",
            |o| exception(ok(o)),
            "instead: firewalled",
            "instead: switched off",
        ),
        row(
            "exception.until",
            "until = 2027-01-31",
            "until = 2026-12-13",
            |o| format!("[{}]", patches(ok(o), "db-1")),
            "[a]",
            "[a mysql]",
        ),
        row(
            "exception.select",
            "select = \"tier = db\"\n\n[[ring]]",
            "select = \"tier = log\"\n\n[[ring]]",
            |o| format!("[{}] [{}]", patches(ok(o), "db-1"), patches(ok(o), "log-1")),
            "[a] [a mysql]",
            "[a mysql] [a]",
        ),
        row(
            "ring.name",
            "name = \"canary\"",
            "name = \"first\"",
            |o| {
                ok(o)
                    .envelope
                    .target(&"canary-1".into())
                    .unwrap()
                    .ring
                    .to_string()
            },
            "canary",
            "first",
        ),
        row(
            "ring.select",
            "\"stage = canary\"",
            "\"tier = log\"",
            |o| {
                ok(o)
                    .envelope
                    .target(&"log-1".into())
                    .unwrap()
                    .ring
                    .to_string()
            },
            "broad",
            "canary",
        ),
        row(
            "ring.soak",
            "soak = \"24h\"",
            "soak = \"3d\"",
            |o| start(ok(o), "broad"),
            "2026-12-15T22:20:00Z",
            "2026-12-17T22:20:00Z",
        ),
        row(
            "ring.at_once",
            "at_once = \"2\"",
            "at_once = \"1\"",
            |o| {
                let plan = ok(o);
                let waves = plan.schedule.rings.iter().flat_map(|r| &r.waves);
                waves.map(|w| w.components.len()).max().unwrap().to_string()
            },
            "2",
            "1",
        ),
        row(
            "ring.start_after.ring",
            "{ ring = \"test\"",
            "{ ring = \"canary\"",
            |o| at_ring(ok(o), "broad", &["test-1", "test-2"], End::Skipped),
            "halted: ring broad may not start: 0 of 2 of ring test",
            "broad opened",
        ),
        row(
            "ring.start_after.success",
            "success = \"50%\"",
            "success = \"100%\"",
            |o| at_ring(ok(o), "broad", &["test-1"], End::RolledBack),
            "broad opened",
            "halted: ring broad may not start: 1 of 2 of ring test",
        ),
        row(
            "ring.start_after.at_least",
            "at_least = 1",
            "at_least = 2",
            |o| at_ring(ok(o), "broad", &["test-1"], End::RolledBack),
            "broad opened",
            "halted: ring broad may not start: 1 of 2 of ring test",
        ),
        row(
            "ring.window",
            "window = \"nights\"",
            "window = \"days\"",
            |o| start(ok(o), "canary"),
            "2026-12-14T21:00:00Z",
            "2026-12-19T09:00:00Z",
        ),
        row(
            "ring.needs_approval",
            "needs_approval = false",
            "needs_approval = true",
            |o| at_ring(ok(o), "broad", &[], End::RolledBack),
            "broad opened",
            "broad waits for approval",
        ),
        row(
            "order.within",
            "within = \"app\"",
            "within = \"stage\"",
            |o| format!("[{}]", after(ok(o), "web-1")),
            "db-1] app",
            "db-1] stage",
        ),
        row(
            "order.steps",
            "steps = [\"tier = db\", \"tier = web\"]",
            "steps = [\"tier = web\", \"tier = db\"]",
            |o| format!("{} {}", wave_of(ok(o), "db-1"), wave_of(ok(o), "web-1")),
            "4 5",
            "5 4",
        ),
        row(
            "check.select",
            "select = \"tier = web\"",
            "select = \"tier = log\"",
            |o| {
                format!(
                    "[{}] [{}]",
                    target_check(ok(o), "web-1"),
                    target_check(ok(o), "log-1")
                )
            },
            "[http://10.0.0.1/a 300s 60s] []",
            "[] [http://10.0.0.1/a 300s 60s]",
        ),
        row(
            "check.http",
            "{address}/a",
            "{address}/b",
            |o| target_check(ok(o), "web-1"),
            "10.0.0.1/a",
            "10.0.0.1/b",
        ),
        row(
            "check.command",
            "[\"is-up\", \"a\"]",
            "[\"is-up\", \"b\"]",
            |o| target_check(ok(o), "db-1"),
            "is-up a",
            "is-up b",
        ),
        row(
            "check.within",
            "within = \"5m\"",
            "within = \"7m\"",
            |o| target_check(ok(o), "web-1"),
            "300s 60s",
            "420s 60s",
        ),
        row(
            "check.steady",
            "steady = \"1m\"",
            "steady = \"2m\"",
            |o| target_check(ok(o), "web-1"),
            "300s 60s",
            "300s 120s",
        ),
        row(
            "around.select",
            "tier in (web)",
            "tier in (log)",
            |o| format!("[{}] [{}]", taken(ok(o), "web-1"), taken(ok(o), "log-1")),
            "[silence by alerts] [nothing]",
            "[nothing] [silence by alerts]",
        ),
        row(
            "around.silence",
            "silence = \"alerts\"",
            "silence = \"pager\"",
            |o| taken(ok(o), "web-1"),
            "silence by alerts",
            "silence by pager",
        ),
        row(
            "around.pause",
            "pause = \"backup\"",
            "pause = \"vault\"",
            |o| taken(ok(o), "db-1"),
            "pause by backup",
            "pause by vault",
        ),
        row(
            "limit.per",
            "per = \"app\"",
            "per = \"tier\"",
            |o| floors(ok(o), "db-1"),
            "app = shop and stage = prod keeps 1 of 2 up",
            "tier = db and stage = prod keeps 0 of 1 up",
        ),
        row(
            "limit.select",
            "select = \"stage = prod\"",
            "select = \"name like \\\"*-1\\\"\"",
            |o| floors(ok(o), "log-1"),
            "app = log and stage = prod keeps 1 of 2 up",
            "app = log and name like \"*-1\" keeps 1 of 2 up",
        ),
        row(
            "limit.down",
            "down = 1",
            "down = 2",
            |o| floors(ok(o), "web-1"),
            "app = shop and stage = prod keeps 1 of 2 up",
            "app = shop and stage = prod keeps 0 of 2 up",
        ),
        row(
            "limit.down",
            "down = 1",
            "down = 2",
            |o| beyond_the_budget(ok(o)),
            "keeps 1 of 2 up, and web-1 is down: bring that back first",
            "rolled back",
        ),
        row(
            "limit.keep_up",
            "keep_up = 1",
            "keep_up = 2",
            |o| floors(ok(o), "log-1"),
            "stage = prod and stage in (prod) keeps 1 of 4 up",
            "stage = prod and stage in (prod) keeps 2 of 4 up",
        ),
        row(
            "on_fail.tolerate_in_run",
            "\"90%\"",
            "\"1\"",
            |o| after_two_failures(ok(o)),
            "goes on",
            "failed in the run, policy tolerates 1 in a run",
        ),
        row(
            "on_fail.in_a_row",
            "in_a_row = 9",
            "in_a_row = 2",
            |o| after_two_failures(ok(o)),
            "goes on",
            "2 in a row failed (db-1, log-1), policy stops at 2",
        ),
        row(
            "on_fail.kind.kind",
            "\"timeout\"",
            "\"busy\"",
            |o| after_two_failures(ok(o)),
            "goes on",
            "failed with busy, policy tolerates 0 with that",
        ),
        row(
            "on_fail.kind.tolerate",
            "tolerate = \"7\"",
            "tolerate = \"0\"",
            |o| after_two_failures(ok(o)),
            "goes on",
            "failed with disk_full, policy tolerates 0 with that",
        ),
        row(
            "on_fail.component",
            "\"roll_back\"",
            "\"stop\"",
            |o| after_bad_check(ok(o)),
            "rolled back",
            "left as it is",
        ),
        row(
            "on_fail.component",
            "\"roll_back\"",
            "\"skip\"",
            |o| after_left_as_is(ok(o)),
            "has no way back",
            "goes on",
        ),
        row(
            "on_fail.component",
            "\"roll_back\"",
            "\"stop\"",
            |o| after_left_as_is(ok(o)),
            "has no way back",
            "policy says stop",
        ),
        row(
            "on_fail.tolerate",
            "tolerate = \"1\"",
            "tolerate = \"0\"",
            |o| at_ring(ok(o), "broad", &["test-1"], End::RolledBack),
            "broad opened",
            "policy tolerates 0",
        ),
        row(
            "reboot.when",
            "when = \"needed\"",
            "when = \"always\"",
            |o| rebooting(ok(o)),
            "no",
            "yes",
        ),
        row(
            "reboot.pending_before",
            "\"refuse\"",
            "\"reboot_first\"",
            |o| pending(ok(o)),
            "blocked",
            "planned, reboots first",
        ),
    ]
}
