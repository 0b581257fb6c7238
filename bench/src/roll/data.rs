//! Public instances, read from a folder that the caller names: they are not part of this repository.

use std::{collections::BTreeMap, error::Error, fs, path::Path, process::Command};

use patchcore::plan::roll::{Cluster, Ha, Host, Level, Migration, PatchTime, Rule, Vm};
use serde_json::Value;

type Read = Result<Cluster, Box<dyn Error>>;

fn empty(resources: usize) -> Cluster {
    let mut cluster = Cluster::new((0..resources).map(|at| format!("r{at}")));
    cluster.limits.ha = Ha::None;
    cluster.patch_time = Some(PatchTime {
        p50_s: 1200,
        p95_s: 1800,
    });
    cluster.migration = Some(Migration {
        in_slots: 4,
        out_slots: 4,
        mib_per_s: 640,
    });
    cluster
}

/// An instance of the ROADEF/EURO challenge of 2012: machines, processes, and services whose processes keep apart.
pub(crate) fn roadef(folder: &Path, name: &str) -> Read {
    let numbers = |file: String| -> Result<Vec<u64>, Box<dyn Error>> {
        let text = fs::read_to_string(folder.join(file))?;
        text.split_ascii_whitespace()
            .map(|word| Ok(word.parse()?))
            .collect()
    };
    let model = numbers(format!("model_{name}.txt"))?;
    let assignment = numbers(format!("assignment_{name}.txt"))?;
    let mut model = model.into_iter();
    let mut next = || model.next().ok_or("the file ends too early");
    let resources = usize::try_from(next()?)?;
    for _ in 0..resources * 2 {
        next()?;
    }
    let mut cluster = empty(resources);
    let machines = usize::try_from(next()?)?;
    let mut sum = 0;
    for machine in 0..machines {
        next()?;
        next()?;
        let capacity: Vec<u64> = (0..resources).map(|_| next()).collect::<Result<_, _>>()?;
        sum += capacity[0];
        cluster
            .hosts
            .push(Host::new(format!("m{machine}"), capacity));
        for _ in 0..resources + machines {
            next()?;
        }
    }
    for _ in 0..next()? {
        next()?;
        for _ in 0..next()? {
            next()?;
        }
    }
    let mut services: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for process in 0..usize::try_from(next()?)? {
        let id = format!("p{process}");
        services.entry(next()?).or_default().push(id.clone());
        let demand: Vec<u64> = (0..resources).map(|_| next()).collect::<Result<_, _>>()?;
        next()?;
        // The mean machine holds 512 GB.
        let mib = u128::from(demand[0]) * 512 * 1024 * machines as u128 / u128::from(sum.max(1));
        let host = assignment.get(process).ok_or("a process has no machine")?;
        cluster
            .vms
            .push(Vm::new(id, format!("m{host}"), demand, u64::try_from(mib)?));
    }
    cluster.rules = services
        .into_values()
        .filter(|members| members.len() > 1)
        .map(|members| Rule::AntiAffinity {
            vms: members.into_iter().map(Into::into).collect(),
            level: Level::Host,
            max_per: 1,
            soft: None,
        })
        .collect();
    Ok(cluster)
}

/// An instance of BtrPlace's benchmark: `spread` keeps machines apart, `among` keeps them within one part.
pub(crate) fn btrplace(file: &Path) -> Read {
    let output = Command::new("gzip").arg("-dc").arg(file).output()?;
    let root: Value = serde_json::from_slice(&output.stdout)?;
    let model = &root["model"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let views: Vec<Value> = list(&model["views"])
        .into_iter()
        .filter(|v| v.get("vms").is_some())
        .collect();
    let views: Vec<&Value> = views
        .iter()
        .filter(|v| v["id"] == "shareableResource" || v.get("rcId").is_some())
        .collect();
    let mut cluster = empty(views.len());
    cluster.limits.ha = Ha::Failures(1);
    let online = model["mapping"]["onlineNodes"]
        .as_object()
        .ok_or("no online nodes")?;
    let number =
        |map: &Value, key: &str, other: &Value| map.get(key).unwrap_or(other).as_u64().unwrap_or(0);
    let mut nodes: Vec<(u64, &Value)> = online
        .iter()
        .filter_map(|(k, v)| Some((k.parse().ok()?, v)))
        .collect();
    nodes.sort_by_key(|(node, _)| *node);
    let mut at: BTreeMap<u64, u64> = BTreeMap::new();
    for (node, content) in &nodes {
        let key = node.to_string();
        let capacity = views
            .iter()
            .map(|view| number(&view["nodes"], &key, &view["defCapacity"]));
        cluster
            .hosts
            .push(Host::new(format!("n{node}"), capacity.collect::<Vec<_>>()));
        for vm in list(&content["runningVMs"])
            .iter()
            .filter_map(Value::as_u64)
        {
            let key = vm.to_string();
            let demand: Vec<u64> = views
                .iter()
                .map(|view| number(&view["vms"], &key, &view["defConsumption"]))
                .collect();
            let mib = demand[0] * 1024 / 10;
            cluster
                .vms
                .push(Vm::new(format!("v{vm}"), format!("n{node}"), demand, mib));
            at.insert(vm, *node);
        }
    }
    for constraint in list(&root["constraints"]) {
        let vms: Vec<u64> = list(&constraint["vms"])
            .iter()
            .filter_map(Value::as_u64)
            .filter(|vm| at.contains_key(vm))
            .collect();
        if vms.is_empty() {
            continue;
        }
        let ids = vms.iter().map(|vm| format!("v{vm}").into()).collect();
        match constraint["id"].as_str() {
            Some("spread") => cluster.rules.push(Rule::AntiAffinity {
                vms: ids,
                level: Level::Host,
                max_per: 1,
                soft: None,
            }),
            Some("among") => {
                // The parts are the same for all of these: they are the racks.
                for (part, members) in list(&constraint["parts"]).iter().enumerate() {
                    for node in list(members).iter().filter_map(Value::as_u64) {
                        let name = format!("n{node}");
                        let host = nodes.binary_search_by_key(&node, |(node, _)| *node);
                        if let Some(host) = host.ok().map(|at| &mut cluster.hosts[at]) {
                            debug_assert_eq!(host.id.as_str(), name);
                            host.rack = Some(format!("part{part}"));
                        }
                    }
                }
                cluster.rules.push(Rule::Affinity {
                    vms: ids,
                    level: Level::Rack,
                    soft: None,
                });
            }
            _ => {}
        }
    }
    Ok(cluster)
}
