//! Many components: offers, budgets, repeatability, and estates made from an inventory.

use super::*;

#[test]
fn outages_tell_whether_a_budget_held() {
    let sim = web();
    let caller = Caller::of(&sim);
    caller.run("a", apply("web-1", both()));
    caller.run("b", apply("web-2", both()));
    assert_eq!(sim.most_out_of_service(["web-1", "web-2"]), 1);
    assert_eq!(caller.probe("web-1").unwrap(), ProbeVerdict::Healthy);
    let first = sim.history("web-1").unwrap().outages[0].clone();
    assert_eq!((first.why, first.from), (OutageCause::Applying, start()));
    caller.begin(&caller.op("c", reboot("web-1"))).unwrap();
    caller.begin(&caller.op("d", reboot("web-2"))).unwrap();
    assert_eq!(sim.most_out_of_service(["web-1", "web-2"]), 2);
    assert_eq!(sim.most_out_of_service(["web-1"]), 1);

    let busy = web();
    let caller = Caller::of(&busy);
    caller
        .begin(&caller.op("a", apply("web-1", both())))
        .unwrap();
    assert_eq!(
        caller.probe("web-1").unwrap(),
        ProbeVerdict::Unhealthy,
        "what is out of service does not answer"
    );

    let quiet = web();
    Caller::of(&quiet).run("a", apply("web-1", vec![change("openssl", "3-1", "3-2")]));
    assert!(
        quiet.history("web-1").unwrap().outages.is_empty(),
        "nothing notices this one"
    );
}

#[test]
fn the_same_seed_and_calls_give_the_same_history() {
    let story = |seed| {
        let sim = Sim::starting(start(), seed)
            .guests((0..20).map(|i| format!("g{i:02}")), |g| {
                g.package("nginx", "1-9")
            })
            .publish(patch("nginx", "1-10", Impact::Reboot))
            .script(Script::postinst_fails("nginx", "1-10").in_percent(30));
        let caller = Caller::of(&sim);
        for i in 0..20 {
            let name = format!("g{i:02}");
            caller.run(
                &format!("a{i}"),
                apply(&name, vec![change("nginx", "1-9", "1-10")]),
            );
            caller.run(&format!("r{i}"), reboot(&name));
        }
        sim.world(|w| {
            let histories = w.histories().map(|(id, h)| (id.clone(), h.clone()));
            (w.now(), histories.collect::<Vec<_>>())
        })
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

#[test]
fn offers_are_as_old_as_the_catalogue() {
    let sim = Sim::starting(start(), 1)
        .guest("a", |g| {
            g.package("nginx", "1-9")
                .package("mysql", "8-1")
                .hold("mysql")
                .wants("linux-6-2")
        })
        .publish(patch("mysql", "8-2", Impact::None))
        .publish(patch("linux-6-2", "6-2", Impact::Reboot))
        .publish_at(after(30), patch("nginx", "1-10", Impact::None));
    let caller = Caller::of(&sim);
    let offered = || -> Vec<String> {
        let offer = caller.scan("a").unwrap().available.unwrap();
        assert_eq!(offer.kept_back[0].reason, KeptBackReason::Held);
        offer
            .patches
            .iter()
            .map(|p| p.change().to_string())
            .collect()
    };
    assert_eq!(offered(), ["linux-6-2 6-2 (new)"]);
    caller.wait(HOUR);
    assert_eq!(
        offered(),
        ["linux-6-2 6-2 (new)"],
        "the catalogue is an hour old"
    );
    caller.run(
        "r",
        DeployRequest::Refresh {
            components: vec!["a".into()],
        },
    );
    assert_eq!(offered(), ["linux-6-2 6-2 (new)", "nginx 1-9 → 1-10"]);
}

#[test]
fn an_estate_that_was_discovered_is_simulated_as_it_is() {
    let sim = Sim::starting(start(), 7)
        .guest("web-1", |g| {
            g.label("tier", "web")
                .owner("dana")
                .address("10.0.0.1")
                .package("nginx", "1-9")
                .package("openssl", "3-1")
                .old_version_gone("openssl")
                .hold("mysql")
                .package("mysql", "8-1")
                .restart_wanted("a new kernel is installed")
        })
        .guest("web-2", |g| {
            g.package("nginx", "1-10")
                .package("openssl", "3-1")
                .half_configured("openssl")
        })
        .guest("old-1", |g| g.package("openssl", "1-1"))
        .guests(["dns-1", "dns-2"], |g| {
            g.package("bind9", "9-1").wants("linux-6-2")
        })
        .group(RedundancyGroup::all_but_one(
            "dns",
            Role::Dns,
            ["dns-1", "dns-2"],
        ))
        .relation("web-1", RelationKind::ResolvesBy, "dns-1")
        .publish(patch("nginx", "1-10", Impact::ServiceRestart).with_advisory("CVE-2026-1"))
        .publish_for(
            ["web-1", "web-2"],
            patch("openssl", "3-2", Impact::None).with_size(9),
        )
        .publish_for(["old-1"], patch("openssl", "1-2", Impact::Reboot))
        .publish(patch("mysql", "8-2", Impact::None))
        .publish(patch("linux-6-2", "6-2", Impact::Reboot))
        .script(Script::lock_held("apt", after(0), after(10)).on("dns-2"));
    let found = Caller::of(&sim).discovered();
    assert_eq!(found.findings.len(), 5);
    let copy = Sim::from_inventory(&found, 8);
    let again = Caller::of(&copy).discovered();
    assert_eq!(
        serde_json::to_value(&again).unwrap(),
        serde_json::to_value(&found).unwrap()
    );

    // And it can be patched.
    let caller = Caller::of(&copy);
    assert!(is_done(
        &caller.run("a", apply("web-1", vec![change("nginx", "1-9", "1-10")]))
    ));
    assert_eq!(
        sim.version("web-1", "nginx").unwrap(),
        "1-9",
        "the original is untouched"
    );
}

#[test]
fn what_discovery_could_not_learn_stays_unknown() {
    let sim = web().script(Script::unreachable(after(0), after(1)).on("web-1"));
    let found = Caller::of(&sim).discovered();
    let mut silent = found.clone();
    for finding in silent.findings.values_mut().flatten() {
        finding.scan.way_back = None;
        finding.scan.reboot_wanted = None;
        finding.available = None;
    }
    let copy = Sim::from_inventory(&silent, 8);
    let caller = Caller::of(&copy);
    assert_eq!(
        caller.scan("web-1").unwrap_err().kind(),
        ErrorKind::Unreachable
    );
    let scan = caller.scan("web-2").unwrap();
    assert_eq!(
        (scan.way_back, scan.reboot_wanted, scan.available),
        (None, None, None)
    );
    let source = caller.ports.source.clone().unwrap();
    let asked = [ComponentId::from("web-2")];
    let answers = source
        .available(&caller.ctx(), &asked)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert!(answers["web-2"].is_err());
}
