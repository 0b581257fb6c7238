//! Every key that a policy may contain is enforced: changing only that key changes the plan, an approval, or what
//! the kernel decides, in the way the key says. The list of keys comes from the policy's own vocabulary, so that a
//! new key without a row here fails.
#![expect(clippy::unwrap_used, reason = "test helpers")]

mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use patchcore::{
    Error, ErrorKind, Failure, Timestamp,
    approve::approve,
    estate::{
        Available, Component, ComponentKind, Estimate, Finding, Impact, Inventory, Patch,
        PatchClass, Scan, Tool, WayBack, WayBackKind,
    },
    execute::kernel::{
        Command, ComponentEvent, ComponentState, Effect, End, Input, Phase, Resolution, RingPhase,
        RunEvent, RunState, Step, Wait, advance, decide, steer,
    },
    id::{ComponentId, RunId},
    judge::CheckResult,
    plan::{Plan, PlanInput, RebootRule, WhyLeftOut, plan},
    policy::{self, Policy},
    provider::{BracketKind, PortCall, ProbeKind, ProbeVerdict},
};
use serde_json::Value;

use rows::{Row, rows};

const BASE: &str = r#"
policy = 1
name = "keys"
owner = "platform"

[approval]
needs = 1
from = ["maria", "jon"]
valid = "14d"

[[window]]
name = "nights"
zone = "Europe/Berlin"
when = "mon..thu"
from = "22:00"
until = "04:00"
[[window]]
name = "days"
zone = "Europe/Berlin"
when = "sat"
from = "10:00"
until = "12:00"

[[blackout]]
from = 2026-12-21
to = 2027-01-03
zone = "Europe/Berlin"
because = "year-end freeze"

[patches]
take = ["security", "bugfix"]

[[exception]]
match = "mysql"
because = "certified in January"
risk_owner = "dana"
approver = "kim"
compensating = "firewalled"
until = 2027-01-31
select = "tier = db"

[[ring]]
name = "canary"
select = "stage = canary"
soak = "1h"
window = "nights"
[[ring]]
name = "test"
select = "stage = test"
soak = "24h"
[[ring]]
name = "broad"
select = "*"
at_once = "2"
soak = "48h"
start_after = { ring = "test", success = "50%", at_least = 1 }
needs_approval = false

[[order]]
within = "app"
steps = ["tier = db", "tier = web"]

[[limit]]
per = "app"
select = "stage = prod"
down = 1
[[limit]]
per = "stage"
select = "stage in (prod)"
keep_up = 1

[[check]]
select = "tier = web"
http = "http://{address}/a"
within = "5m"
steady = "1m"
[[check]]
select = "tier = db"
command = ["is-up", "a"]

[[around]]
select = "tier in (web)"
silence = "alerts"
[[around]]
select = "tier in (db)"
pause = "backup"

[on_fail]
component = "roll_back"
tolerate = "1"
tolerate_in_run = "90%"
in_a_row = 9
[[on_fail.kind]]
kind = "timeout"
[[on_fail.kind]]
kind = "disk_full"
tolerate = "7"

[reboot]
when = "needed"
pending_before = "refuse"
"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-12-14T12:00:00Z")
}

fn add(inventory: &mut Inventory, name: &str, labels: [(&str, &str); 3], patches: &[&str]) {
    let mut component = Component::new(name.into(), ComponentKind::Guest);
    component.address = Some("10.0.0.1".to_owned());
    for (key, value) in labels {
        component.labels.insert(key.to_owned(), value.to_owned());
    }
    let mut offer = Available::nothing(now());
    let mut scan = Scan::new(now(), BTreeMap::new());
    for patch in patches {
        let class = match *patch {
            "vim" => PatchClass::Enhancement,
            _ => PatchClass::Security,
        };
        let patch = Patch::new(*patch, Some("1".into()), "2", class);
        scan.installed.insert(patch.id.clone(), "1".into());
        offer
            .patches
            .push(patch.with_impact(Impact::ServiceRestart));
    }
    let pending = name == "pending-1";
    let wants = pending.then(|| "kernel".to_owned());
    scan.reboot_wanted = Some(wants.into_iter().collect());
    scan.takes = Some(Estimate::new(
        Duration::from_secs(300),
        Duration::from_secs(1800),
    ));
    scan.way_back = Some(WayBack::Ready {
        by: WayBackKind::OldPackages,
    });
    let finding = Finding {
        tool: "linux".into(),
        known_as: name.into(),
        scan,
        available: Some(offer),
    };
    inventory.findings.insert(name.into(), vec![finding]);
    inventory.components.insert(name.into(), component);
}

fn inventory() -> Inventory {
    let mut inventory = Inventory::empty("keys".into(), now());
    let can = ["apply", "stage", "reboot", "roll_back"].map(str::to_owned);
    inventory.tools.insert(
        "linux".into(),
        Tool {
            can: can.into(),
            ..Tool::default()
        },
    );
    for kind in ["http", "command"] {
        inventory.probes.insert(kind.to_owned(), "linux".into());
    }
    for (name, kind) in [
        ("alerts", BracketKind::Silence),
        ("pager", BracketKind::Silence),
        ("backup", BracketKind::Pause),
        ("vault", BracketKind::Pause),
    ] {
        inventory.brackets.insert(name.into(), [kind].into());
    }
    let of = |stage, tier, app| [("stage", stage), ("tier", tier), ("app", app)];
    add(&mut inventory, "canary-1", of("canary", "x", "x"), &["a"]);
    add(&mut inventory, "canary-2", of("canary", "x", "x"), &["a"]);
    add(&mut inventory, "test-1", of("test", "x", "x"), &["a"]);
    add(
        &mut inventory,
        "test-2",
        of("test", "x", "x"),
        &["a", "vim"],
    );
    add(&mut inventory, "web-1", of("prod", "web", "shop"), &["a"]);
    add(
        &mut inventory,
        "db-1",
        of("prod", "db", "shop"),
        &["a", "mysql"],
    );
    add(
        &mut inventory,
        "log-1",
        of("prod", "log", "log"),
        &["a", "mysql"],
    );
    add(
        &mut inventory,
        "pending-1",
        of("prod", "log", "log"),
        &["a"],
    );
    inventory
}

type Outcome = Result<Plan, String>;

fn outcome(policy: &str) -> Outcome {
    let policy = Policy::from_toml(policy, "policy.toml").map_err(|e| e.to_string())?;
    plan(&PlanInput {
        inventory: &inventory(),
        policy: &policy,
        requested_by: &"sam".into(),
        now: now(),
        denials: &[],
        references: &[],
    })
    .map_err(|e| e.to_string())
}

/// Two outcomes, each boiled down to what the key is about.
type Shows = fn(&Outcome) -> String;

fn ok(outcome: &Outcome) -> &Plan {
    outcome.as_ref().unwrap()
}

fn approved(plan: &Plan, by: &[&str], when: Timestamp) -> String {
    let approvals = by.iter().map(|by| plan.approval(*by, now()).unwrap());
    match approve(plan.clone(), approvals, when) {
        Ok(_) => "approved".to_owned(),
        Err(error) => error.kind().to_string(),
    }
}

fn start(plan: &Plan, ring: &str) -> String {
    let ring = plan.schedule.rings.iter().find(|r| r.ring == ring).unwrap();
    let starts = ring.waves.first().and_then(|w| w.starts);
    starts.map_or_else(|| "never".to_owned(), |s| s.to_string())
}

fn patches(plan: &Plan, component: &str) -> String {
    let target = plan.envelope.target(&component.into());
    let names = target
        .iter()
        .flat_map(|t| &t.patches)
        .map(|p| p.id.as_str());
    names.collect::<Vec<_>>().join(" ")
}

fn exception(plan: &Plan) -> String {
    let own = serde_json::to_string(&plan.envelope.exceptions).unwrap();
    let line = plan.to_string();
    let line = line
        .lines()
        .find(|l| l.contains("exception until"))
        .unwrap_or("none");
    format!("{own} {line}")
}

fn target_check(plan: &Plan, component: &str) -> String {
    let target = plan.envelope.target(&component.into()).unwrap();
    let checking = ComponentState {
        phase: Phase::Checking,
        ..ComponentState::default()
    };
    match checking.effect(target, &target.component, "j", RunId(1)) {
        Effect::Check(checks) => checks
            .iter()
            .map(|c| {
                let kind = match &c.kind {
                    ProbeKind::Http { url } => url.clone(),
                    other => other.to_string(),
                };
                format!("{kind} {:?} {:?}", c.within, c.steady)
            })
            .collect(),
        _ => "no check".to_owned(),
    }
}

/// What is asked for before anything is done to a component.
fn taken(plan: &Plan, component: &str) -> String {
    let target = plan.envelope.target(&component.into()).unwrap();
    let taking = ComponentState {
        phase: Phase::Doing(Step::Take),
        ..ComponentState::default()
    };
    match taking.effect(target, &target.component, "j", RunId(1)) {
        Effect::Ensure {
            request: PortCall::Bracket { by, request },
            ..
        } => format!("{} by {by}", request.kind().slug()),
        _ => "nothing".to_owned(),
    }
}

fn wave_of(plan: &Plan, component: &str) -> String {
    let waves = plan.schedule.rings.iter().flat_map(|r| &r.waves);
    let at = waves
        .map(|w| &w.components)
        .position(|w| w.contains(&ComponentId::from(component)));
    at.map_or_else(|| "none".to_owned(), |at| at.to_string())
}

/// What the kernel decides in the night of a ring, when the rings before are through and these ended otherwise.
fn at_ring(plan: &Plan, ring: &str, not_done: &[&str], end: End) -> String {
    let mut run = RunState::default();
    for rules in &plan.envelope.rings {
        if rules.name == ring {
            break;
        }
        run.rings.insert(rules.name.clone(), RingPhase::Passed);
    }
    let components = plan.envelope.targets.iter().map(|target| {
        let mut state = ComponentState::default();
        if run.rings.contains_key(&target.ring) {
            state.phase = Phase::Ended(End::Done);
            if not_done.iter().any(|f| target.component == *f) {
                state.phase = Phase::Ended(end);
                if end == End::RolledBack {
                    let error = Error::new(ErrorKind::VerifyFailed, "it failed");
                    state.failures.push(Failure::from(&error));
                }
            }
        }
        (target.component.clone(), state)
    });
    let calendar = policy::Calendar::new(&plan.envelope.windows, &plan.envelope.blackouts);
    let decision = advance(
        RunId(1),
        &plan.envelope,
        &plan.schedule,
        &calendar.unwrap(),
        &run,
        &components.collect(),
        at("2026-12-16T21:30:00Z"),
    );
    let events = decision.run.iter().filter_map(|e| match e {
        RunEvent::Halted { why, .. } => Some(format!("halted: {why}")),
        RunEvent::RingOpened { ring, .. } => Some(format!("{ring} opened")),
        _ => None,
    });
    let waits = decision.waits.iter().map(|w| match w {
        Wait::RingApproval { ring } => format!("{ring} waits for approval"),
        _ => "waits".to_owned(),
    });
    events.chain(waits).collect::<Vec<_>>().join("; ")
}

/// The floors that a component stands under, as people read them.
fn floors(plan: &Plan, component: &str) -> String {
    let target = plan.envelope.target(&component.into()).unwrap();
    let groups = plan.envelope.groups.iter();
    groups
        .filter(|g| target.groups.contains(&g.name))
        .map(|g| format!("{} keeps {} of {} up", g.name, g.keep_up, g.members.len()))
        .collect::<Vec<_>>()
        .join("; ")
}

/// What comes of a person who lets db-1 be rolled back beyond the budget, while web-1 is down.
fn beyond_the_budget(plan: &Plan) -> String {
    let components = plan.envelope.targets.iter().map(|target| {
        let phase = match target.component.as_str() {
            "web-1" => Phase::Ended(End::LeftAsIs),
            "db-1" => Phase::AwaitWayBack,
            _ => Phase::Waiting,
        };
        let state = ComponentState {
            phase,
            ..ComponentState::default()
        };
        (target.component.clone(), state)
    });
    let command = Command::Resolve {
        component: "db-1".into(),
        how: Resolution::RollBack,
    };
    let steered = steer(
        &plan.envelope,
        &RunState::default(),
        &components.collect(),
        &"maria".into(),
        "it serves nobody as it is",
        &command,
    );
    match steered {
        Ok(_) => "rolled back".to_owned(),
        Err(why) => why,
    }
}

/// What the kernel decides in the night of the last ring, in which two failed one after another, for two reasons; the
/// policy tolerates that in a ring.
fn after_two_failures(plan: &Plan) -> String {
    let mut run = RunState::default();
    for rules in &plan.envelope.rings {
        run.rings.insert(rules.name.clone(), RingPhase::Passed);
    }
    run.rings.insert("broad".into(), RingPhase::Rolling);
    let mut plan = plan.clone();
    plan.envelope.on_fail.tolerate = policy::Tolerance::Count(2);
    let components = plan.envelope.targets.iter().map(|target| {
        let mut state = ComponentState::default();
        if target.ring != "broad" {
            state.phase = Phase::Ended(End::Done);
            state.begun = Some(at("2026-12-15T22:00:00Z"));
        }
        let kind = match target.component.as_str() {
            "db-1" => Some(ErrorKind::Busy),
            "log-1" => Some(ErrorKind::DiskFull),
            _ => None,
        };
        if let Some(kind) = kind {
            state.phase = Phase::Ended(End::RolledBack);
            state.begun = Some(at("2026-12-16T21:00:00Z"));
            let error = Error::new(kind, "it failed");
            state.failures.push(Failure::from(&error));
        }
        (target.component.clone(), state)
    });
    let calendar = policy::Calendar::new(&plan.envelope.windows, &plan.envelope.blackouts);
    let decision = advance(
        RunId(1),
        &plan.envelope,
        &plan.schedule,
        &calendar.unwrap(),
        &run,
        &components.collect(),
        at("2026-12-16T21:30:00Z"),
    );
    let halted = decision.run.iter().find_map(|e| match e {
        RunEvent::Halted { why, .. } => Some(why.clone()),
        _ => None,
    });
    halted.unwrap_or_else(|| "goes on".to_owned())
}

/// What the kernel does with a component whose checks fail.
fn after_bad_check(plan: &Plan) -> String {
    let target = plan.envelope.target(&"web-1".into()).unwrap();
    let state = ComponentState {
        phase: Phase::Checking,
        changed: true,
        ..ComponentState::default()
    };
    let results: Vec<CheckResult> = target
        .checks
        .iter()
        .map(|c| CheckResult {
            check: c.kind.to_string(),
            verdict: Some(ProbeVerdict::Unhealthy),
            saw: "http 500".to_owned(),
        })
        .collect();
    let events = decide(
        target,
        &plan.envelope.on_fail,
        &state,
        &Input::Checks(results),
    );
    match events.as_slice() {
        [ComponentEvent::Checked { next, .. }] => match next {
            Phase::Doing(Step::RollBack) => "rolled back".to_owned(),
            Phase::Ended(End::LeftAsIs) => "left as it is".to_owned(),
            _ => "something else".to_owned(),
        },
        _ => "nothing".to_owned(),
    }
}

/// Whether the kernel halts a run in which a component was left as it is.
fn after_left_as_is(plan: &Plan) -> String {
    let mut components: BTreeMap<ComponentId, ComponentState> = BTreeMap::new();
    for target in &plan.envelope.targets {
        let mut state = ComponentState::default();
        if target.component == "canary-1" {
            state.phase = Phase::Ended(End::LeftAsIs);
            let error = Error::new(ErrorKind::VerifyFailed, "it failed");
            state.failures.push(Failure::from(&error));
        }
        components.insert(target.component.clone(), state);
    }
    let calendar = policy::Calendar::new(&plan.envelope.windows, &plan.envelope.blackouts);
    let decision = advance(
        RunId(1),
        &plan.envelope,
        &plan.schedule,
        &calendar.unwrap(),
        &RunState::default(),
        &components,
        at("2026-12-14T21:30:00Z"),
    );
    match decision.run.as_slice() {
        [RunEvent::Halted { why, .. }] => why.clone(),
        _ => "goes on".to_owned(),
    }
}

fn next_after_freeze(plan: &Plan) -> String {
    let calendar = policy::Calendar::new(&plan.envelope.windows, &plan.envelope.blackouts).unwrap();
    let nights = "nights".into();
    // From the end of the last night before the freeze.
    let from = at("2026-12-18T12:00:00Z");
    let opening = calendar.next_opening(Some(&nights), from, Duration::from_secs(6 * 3_600));
    opening.unwrap().from.to_string()
}

fn after(plan: &Plan, component: &str) -> String {
    let target = plan.envelope.target(&component.into()).unwrap();
    let names: Vec<&str> = target.after.iter().map(ComponentId::as_str).collect();
    let because: Vec<&str> = plan.order.iter().map(|o| o.because.as_str()).collect();
    format!("{}] {}", names.join(" "), because.join(" "))
}

fn rebooting(plan: &Plan) -> String {
    let target = plan.envelope.target(&"web-1".into()).unwrap();
    match (target.reboot, target.reboot_expected) {
        (RebootRule::Always, true) => "yes".to_owned(),
        (RebootRule::WhenNeeded, false) => "no".to_owned(),
        _ => "something else".to_owned(),
    }
}

fn pending(plan: &Plan) -> String {
    if let Some(target) = plan.envelope.target(&"pending-1".into()) {
        return match target.reboot_first {
            true => "planned, reboots first".to_owned(),
            false => "planned".to_owned(),
        };
    }
    let left = plan.left_out.iter().find(|l| l.component == "pending-1");
    match left.map(|l| &l.reason) {
        Some(WhyLeftOut::Blocked { .. }) => "blocked".to_owned(),
        _ => "something else".to_owned(),
    }
}

/// The keys at which two policies differ, without the numbers of list items.
fn differing(a: &Value, b: &Value, at: &str, keys: &mut BTreeSet<String>) {
    match (a, b) {
        _ if a == b => {}
        (Value::Object(x), Value::Object(y)) => {
            for key in x.keys().chain(y.keys()) {
                let path = match at {
                    "" => key.clone(),
                    at => format!("{at}.{key}"),
                };
                let none = Value::Null;
                differing(
                    x.get(key).unwrap_or(&none),
                    y.get(key).unwrap_or(&none),
                    &path,
                    keys,
                );
            }
        }
        (Value::Array(x), Value::Array(y))
            if x.len() == y.len() && x.iter().all(Value::is_object) =>
        {
            for (x, y) in x.iter().zip(y) {
                differing(x, y, at, keys);
            }
        }
        _ => {
            // A date of TOML comes as a table of one key.
            let key = at.split(".$").next().unwrap_or(at);
            keys.insert(key.to_owned());
        }
    }
}

/// Every key of the vocabulary, from the schema that a test of the policy holds against it.
fn vocabulary(schema: &Value, root: &Value, at: &str, keys: &mut BTreeSet<String>) {
    let resolved = match schema.get("$ref").and_then(Value::as_str) {
        Some(to) => root.pointer(to.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let mut inside = false;
    for part in ["allOf", "anyOf", "oneOf"] {
        for option in resolved
            .get(part)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if option.get("properties").is_some() || option.get("$ref").is_some() {
                let before = keys.len();
                vocabulary(option, root, at, keys);
                inside |= keys.len() > before;
            }
        }
    }
    if let Some(items) = resolved.get("items") {
        let before = keys.len();
        vocabulary(items, root, at, keys);
        inside |= keys.len() > before && !keys.contains(at);
    }
    if let Some(properties) = resolved.get("properties").and_then(Value::as_object) {
        inside = true;
        for (key, schema) in properties {
            let path = match at {
                "" => key.clone(),
                at => format!("{at}.{key}"),
            };
            vocabulary(schema, root, &path, keys);
        }
    }
    if !inside && !at.is_empty() {
        keys.insert(at.to_owned());
    }
}

#[test]
fn every_accepted_key_is_enforced() {
    let schema = policy::schema();
    let mut keys = BTreeSet::new();
    vocabulary(&schema, &schema, "", &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    let with_row: BTreeSet<String> = rows().iter().map(|r| r.key.to_owned()).collect();
    assert_eq!(
        with_row, keys,
        "left: keys with a row, right: keys of the vocabulary"
    );

    let read = |text: &str| -> Value {
        serde_json::to_value(toml::from_str::<toml::Value>(text).unwrap()).unwrap()
    };
    let base = outcome(BASE);
    let mut wrong = Vec::new();
    for Row {
        key,
        change: (from, to),
        shows,
        expect,
    } in rows()
    {
        assert!(BASE.contains(from), "{key}: {from}");
        let changed = BASE.replacen(from, to, 1);
        let mut differ = BTreeSet::new();
        differing(&read(BASE), &read(&changed), "", &mut differ);
        assert_eq!(
            differ,
            BTreeSet::from([key.to_owned()]),
            "only one key may differ"
        );
        let (before, after) = (shows(&base), shows(&outcome(&changed)));
        if !before.contains(expect.0) || !after.contains(expect.1) || before == after {
            wrong.push(format!("{key}: {before}\n  changed: {after}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
