//! What no roll can be planned from is answered with a kind, a place and a remedy.

use patchcore::plan::roll::{Cluster, FaultKind, Faults};
use serde_json::{Value, json};

/// The smallest cluster that a person would write.
fn small() -> Value {
    json!({
        "schema": "patchcore.cluster/1",
        "resources": ["memory_mib", "vcpu"],
        "patch_time": {"p50_s": 1200, "p95_s": 1800},
        "migration": {"in_slots": 4, "out_slots": 4, "mib_per_s": 640},
        "limits": {"ha": {"failures": 1}},
        "hosts": [
            {"id": "h1", "capacity": [1000, 10], "rack": "r1"},
            {"id": "h2", "capacity": [1000, 10], "rack": "r1"},
            {"id": "h3", "capacity": [1000, 10]}
        ],
        "vms": [
            {"id": "a", "host": "h1", "demand": [100, 1], "mem_mib": 100},
            {"id": "b", "host": "h2", "demand": [100, 1], "mem_mib": 100}
        ],
        "rules": [{"anti_affinity": {"vms": ["a", "b"]}}]
    })
}

fn faults(change: impl FnOnce(&mut Value)) -> Faults {
    let mut value = small();
    change(&mut value);
    let faults = Cluster::from_json(&value.to_string()).unwrap_err();
    let error = patchcore::Error::from(faults.clone());
    assert_eq!(error.kind(), patchcore::ErrorKind::InvalidInput);
    assert!(error.remedy().is_some_and(|remedy| !remedy.is_empty()));
    faults
}

fn check(change: impl FnOnce(&mut Value), kind: FaultKind, place: &str) {
    let faults = faults(change);
    let found = faults
        .listed()
        .iter()
        .any(|f| f.kind == kind && f.place == place);
    assert!(found, "expected {kind:?} at {place} but found {faults:#?}");
    assert!(faults.listed().iter().all(|f| !f.remedy.is_empty()));
}

#[test]
fn what_a_person_writes_is_read() {
    let cluster = Cluster::from_json(&small().to_string()).unwrap();
    assert_eq!((cluster.hosts.len(), cluster.vms.len()), (3, 2));
    assert!(cluster.hosts[0].needs_patch);
}

#[test]
fn what_is_unknown_is_neither_nothing_nor_infinity() {
    use FaultKind::{Unknown, WrongLength};
    check(
        |c| c["hosts"][1]["capacity"][0] = Value::Null,
        Unknown,
        "hosts[1].capacity[0]",
    );
    check(
        |c| c["vms"][0]["demand"][1] = Value::Null,
        Unknown,
        "vms[0].demand[1]",
    );
    check(
        |c| c["hosts"][2]["capacity"] = json!([1]),
        WrongLength,
        "hosts[2].capacity",
    );
    check(
        |c| c["vms"][0]["mem_mib"] = Value::Null,
        Unknown,
        "vms[0].mem_mib",
    );
    check(
        |c| c["patch_time"] = Value::Null,
        Unknown,
        "hosts[0].patch_time",
    );
    check(
        |c| c["migration"] = Value::Null,
        Unknown,
        "hosts[0].migration",
    );
    check(
        |c| c["limits"]["max_down_per_rack"] = json!(1),
        Unknown,
        "limits.max_down_per_rack",
    );
    check(
        |c| c["rules"][0]["anti_affinity"]["level"] = json!("site"),
        Unknown,
        "rules[0].anti_affinity",
    );
}

#[test]
fn names_name_one_thing() {
    use FaultKind::{EmptyRule, NoSuchName, Twice};
    check(|c| c["vms"][1]["id"] = json!("a"), Twice, "vms[1].id");
    check(|c| c["hosts"][1]["id"] = json!("h1"), Twice, "hosts[1].id");
    check(
        |c| c["vms"][0]["host"] = json!("h9"),
        NoSuchName,
        "vms[0].host",
    );
    check(
        |c| c["vms"][0]["host"] = json!(""),
        NoSuchName,
        "vms[0].host",
    );
    check(
        |c| c["rules"][0]["anti_affinity"]["vms"] = json!([]),
        EmptyRule,
        "rules[0].anti_affinity.vms",
    );
    check(
        |c| c["rules"][0]["anti_affinity"]["vms"][1] = json!("x"),
        NoSuchName,
        "rules[0].anti_affinity.vms[1]",
    );
    check(
        |c| c["rules"][0]["anti_affinity"]["vms"][1] = json!("a"),
        Twice,
        "rules[0].anti_affinity.vms[1]",
    );
    check(
        |c| {
            c["rules"] = json!([
                {"order": {"before": ["h1"], "after": ["h2"]}},
                {"order": {"before": ["h2"], "after": ["h3", "h1"]}}
            ]);
        },
        EmptyRule,
        "rules",
    );
    check(
        |c| c["limits"]["ha"] = json!({"dedicated": {"hosts": ["h9"], "keep": 1}}),
        NoSuchName,
        "limits.ha.dedicated.hosts[0]",
    );
    check(
        |c| c["resources"][1] = json!("memory_mib"),
        Twice,
        "resources[1]",
    );
}

#[test]
fn numbers_near_the_limit_are_refused_or_right() {
    use FaultKind::OutOfRange;
    check(
        |c| c["hosts"][0]["capacity"][0] = json!(u64::MAX),
        OutOfRange,
        "hosts[0].capacity[0]",
    );
    check(
        |c| c["vms"][0]["demand"][0] = json!(u64::MAX),
        OutOfRange,
        "vms[0].demand[0]",
    );
    check(
        |c| c["vms"][0]["mem_mib"] = json!(u64::MAX),
        OutOfRange,
        "vms",
    );
    check(
        |c| {
            for host in 0..3 {
                c["hosts"][host]["capacity"][0] = json!(1_u64 << 59);
            }
        },
        OutOfRange,
        "hosts",
    );
    check(
        |c| c["patch_time"]["p95_s"] = json!(1),
        OutOfRange,
        "hosts[0].patch_time.p95_s",
    );
    check(
        |c| c["patch_time"]["p50_s"] = json!(u64::MAX),
        OutOfRange,
        "hosts[0].patch_time.p50_s",
    );
    check(
        |c| c["migration"]["mib_per_s"] = json!(0),
        OutOfRange,
        "hosts[0].migration.mib_per_s",
    );
    check(
        |c| c["hosts"][0]["reserve"] = json!([2000, 0]),
        OutOfRange,
        "hosts[0].reserve[0]",
    );
    check(
        |c| c["rules"] = json!([{"keep_up": {"vms": ["a", "b"], "keep": 2}}]),
        OutOfRange,
        "rules[0].keep_up.keep",
    );
    check(
        |c| c["limits"]["fill_cap_percent"] = json!(101),
        OutOfRange,
        "limits.fill_cap_percent",
    );
    check(
        |c| c["limits"]["windows"] = json!([{"from_s": 7, "until_s": 7}]),
        OutOfRange,
        "limits.windows[0].until_s",
    );
}

#[test]
fn what_is_broken_already_is_named() {
    use FaultKind::BrokenNow;
    check(
        |c| c["vms"][1]["host"] = json!("h1"),
        BrokenNow,
        "rules[0].anti_affinity",
    );
    check(
        |c| c["vms"][0]["demand"][1] = json!(11),
        BrokenNow,
        "hosts[0].capacity[1]",
    );
    check(
        |c| c["hosts"][0]["state"] = json!("down"),
        BrokenNow,
        "vms[0].host",
    );
    check(
        |c| c["rules"] = json!([{"affinity": {"vms": ["a", "b"]}}]),
        BrokenNow,
        "rules[0].affinity",
    );
    check(
        |c| c["rules"] = json!([{"fence": {"vms": ["a"], "hosts": ["h3"]}}]),
        BrokenNow,
        "rules[0].fence",
    );
    check(
        |c| c["rules"] = json!([{"avoid": {"vms": ["a"], "hosts": ["h1"]}}]),
        BrokenNow,
        "rules[0].avoid",
    );
    check(
        |c| c["limits"]["ha"] = json!({"dedicated": {"hosts": ["h1"], "keep": 0}}),
        BrokenNow,
        "limits.ha.dedicated",
    );
}

#[test]
fn what_cannot_be_read_says_where() {
    for text in ["", "[]", "{", "null", "\u{0}", "{\"schema\": 1}"] {
        let faults = Cluster::from_json(text).unwrap_err();
        assert!(faults.has(FaultKind::NotReadable), "{faults}");
        assert!(faults.listed()[0].place.starts_with("line "), "{faults}");
    }
    let typo = faults(|c| c["hosts"][0]["capactiy"] = json!(1));
    assert!(typo.to_string().contains("capactiy"), "{typo}");
    let negative = faults(|c| c["vms"][0]["mem_mib"] = json!(-1));
    assert!(negative.has(FaultKind::NotReadable));
    check(
        |c| c["schema"] = json!("patchcore.cluster/2"),
        FaultKind::OtherSchema,
        "schema",
    );
    check(|c| c["hosts"] = json!([]), FaultKind::Missing, "hosts");
    check(
        |c| c["resources"] = json!([]),
        FaultKind::Missing,
        "resources",
    );
    let many = faults(|c| {
        let vm = json!({"id": "x", "host": "nowhere", "demand": [1, 1], "mem_mib": 1});
        c["vms"] = Value::from(vec![vm; 500]);
    });
    assert_eq!(many.listed().len(), 100);
    // 500 hosts that are none, 499 second names, and the rule's two machines.
    assert_eq!(many.count(), 1001);
}

/// The text of a cluster of 2,000 hosts with 150 machines each, padded as a program would that aligns what it writes.
fn fifty_mb() -> String {
    let mut text = String::from(
        r#"{"schema": "patchcore.cluster/1", "resources": ["memory_mib", "vcpu"],
"patch_time": {"p50_s": 1200, "p95_s": 1800},
"migration": {"in_slots": 4, "out_slots": 4, "mib_per_s": 640},
"limits": {"ha": {"failures": 1}},
"hosts": [
"#,
    );
    let mut push = |line: String, last: bool| {
        text += &line;
        text += if last { "\n" } else { ",\n" };
    };
    for host in 0..2_000 {
        let line = format!(r#"{{"id": "host-{host:04}.example.org", "capacity": [1048576, 400]}}"#);
        push(line, host == 1_999);
    }
    text += "],\n\"vms\": [\n";
    let mut push = |line: String, last: bool| {
        text += &line;
        text += if last { "\n" } else { ",\n" };
    };
    for vm in 0..300_000 {
        let (host, memory) = (vm / 150, 2048 + vm % 7 * 512);
        let id = format!(
            "machine-{vm:06}.of.a.department.with.quite.a.long.name.of.its.own.example.org"
        );
        let line = format!(
            r#"{{"id": "{id}", "host": "host-{host:04}.example.org", "demand": [{memory:>9}, 1], "mem_mib": {memory:>9}}}"#
        );
        push(line, vm == 299_999);
    }
    text += "]}\n";
    text
}

#[test]
fn a_file_of_50_mb_is_read_and_its_last_machine_is_named() {
    let text = fifty_mb();
    assert!(text.len() > 50_000_000, "{} bytes", text.len());
    let cluster = Cluster::from_json(&text).unwrap();
    assert_eq!((cluster.hosts.len(), cluster.vms.len()), (2_000, 300_000));

    let last = text.rfind("\"demand\": [").unwrap();
    let (before, after) = text.split_at(last + "\"demand\": [".len());
    let number = after.find(',').unwrap();
    let faults = Cluster::from_json(&format!("{before}null{}", &after[number..])).unwrap_err();
    let places: Vec<_> = faults
        .listed()
        .iter()
        .map(|f| (f.kind, &*f.place))
        .collect();
    assert_eq!(places, [(FaultKind::Unknown, "vms[299999].demand[0]")]);

    let faults = Cluster::from_json(before).unwrap_err();
    let lines = before.lines().count();
    assert_eq!(faults.listed()[0].kind, FaultKind::NotReadable);
    assert!(
        faults.listed()[0]
            .place
            .starts_with(&format!("line {lines} "))
    );
}
