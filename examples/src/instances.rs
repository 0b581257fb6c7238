//! Clusters from the formats of others: the ROADEF/EURO challenge of 2012, and BtrPlace.
//!
//! The instances themselves are not part of this repository; the caller names a file.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use patchcore::{
    Error, ErrorKind, Result,
    plan::roll::{Cluster, Ha, Host, Level, Migration, PatchTime, Rule, Vm},
};
use serde_json::Value;

/// What neither format says: 20 minutes for a patch, four moves at once each way.
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

fn bad(file: &Path, why: impl Into<String>) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("{} is no such instance", file.display()),
    )
    .found(why)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("{} could not be read", file.display())).source_error(error)
    };
    if file.extension().is_none_or(|ending| ending != "gz") {
        return fs::read(file).map_err(failed);
    }
    fs::metadata(file).map_err(failed)?;
    let unpacked = Command::new("gzip").arg("-dc").arg(file).output();
    let unpacked = unpacked.map_err(failed)?;
    match unpacked.status.success() {
        true => Ok(unpacked.stdout),
        false => Err(bad(file, String::from_utf8_lossy(&unpacked.stderr).trim())),
    }
}

/// The numbers of a file, one after the other.
struct Numbers<'f> {
    file: &'f Path,
    left: std::vec::IntoIter<u64>,
}

impl<'f> Numbers<'f> {
    fn of(file: &'f Path) -> Result<Self> {
        let text = read(file)?;
        let text = String::from_utf8_lossy(&text);
        let numbers: std::result::Result<Vec<u64>, _> =
            text.split_ascii_whitespace().map(str::parse).collect();
        Ok(Self {
            file,
            left: numbers
                .map_err(|why| bad(file, why.to_string()))?
                .into_iter(),
        })
    }

    fn next(&mut self) -> Result<u64> {
        let ends = || bad(self.file, "it ends too early");
        self.left.next().ok_or_else(ends)
    }

    /// How many of something there are: no more than there are numbers left.
    fn count(&mut self) -> Result<usize> {
        let count = self.next()?;
        let most = self.left.len();
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(bad(
                self.file,
                format!("{count} of something, and {most} numbers for them"),
            )),
        }
    }

    fn take(&mut self, count: usize) -> Result<Vec<u64>> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// An instance of the ROADEF/EURO challenge of 2012: machines, processes, and services whose processes keep apart.
/// Beside `model_NAME.txt` stands `assignment_NAME.txt`.
///
/// # Errors
/// `NotFound` or `Io`: a file cannot be read. `InvalidInput`: it is no such instance.
pub fn roadef(model: &Path) -> Result<Cluster> {
    let name = model.file_name().and_then(|name| name.to_str());
    let name = name.and_then(|name| name.strip_prefix("model_"));
    let name = name.ok_or_else(|| bad(model, "its name does not begin with \"model_\""))?;
    let beside = model.with_file_name(format!("assignment_{name}"));
    let mut numbers = Numbers::of(model)?;
    let mut homes = Numbers::of(&beside)?;
    let resources = numbers.count()?;
    numbers.take(resources * 2)?;
    let mut cluster = empty(resources);
    let machines = numbers.count()?;
    let mut sum = 0_u64;
    for machine in 0..machines {
        numbers.take(2)?;
        let capacity = numbers.take(resources)?;
        sum = sum.saturating_add(capacity.first().copied().unwrap_or(0));
        let host = Host::new(format!("m{machine}"), capacity);
        cluster.hosts.push(host);
        numbers.take(resources + machines)?;
    }
    for _ in 0..numbers.count()? {
        numbers.next()?;
        let others = numbers.count()?;
        numbers.take(others)?;
    }
    let mut services: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for process in 0..numbers.count()? {
        let id = format!("p{process}");
        let service = numbers.next()?;
        services.entry(service).or_default().push(id.clone());
        let demand = numbers.take(resources)?;
        numbers.next()?;
        // The mean machine holds 512 GB.
        let first = u128::from(demand.first().copied().unwrap_or(0));
        let mib = first * 512 * 1024 * machines as u128 / u128::from(sum.max(1));
        let mib = u64::try_from(mib).map_err(|why| bad(model, why.to_string()))?;
        let home = format!("m{}", homes.next()?);
        cluster.vms.push(Vm::new(id, home, demand, mib));
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

/// An instance of BtrPlace's benchmark, also packed by gzip: `spread` keeps machines apart, `among` keeps them within
/// one part. One host may fail.
///
/// # Errors
/// `NotFound` or `Io`: the file cannot be read. `InvalidInput`: it is no such instance.
pub fn btrplace(file: &Path) -> Result<Cluster> {
    let text = read(file)?;
    let root: Value = serde_json::from_slice(&text).map_err(|why| bad(file, why.to_string()))?;
    let model = &root["model"];
    let views = list(&model["views"]).filter(|view| view.get("vms").is_some());
    let views: Vec<&Value> = views
        .filter(|view| view["id"] == "shareableResource" || view.get("rcId").is_some())
        .collect();
    let mut cluster = empty(views.len());
    cluster.limits.ha = Ha::Failures(1);
    let online = model["mapping"]["onlineNodes"].as_object();
    let online = online.ok_or_else(|| bad(file, "no online nodes"))?;
    let number =
        |map: &Value, key: &str, other: &Value| map.get(key).unwrap_or(other).as_u64().unwrap_or(0);
    let mut nodes: Vec<(u64, &Value)> = online
        .iter()
        .filter_map(|(node, content)| Some((node.parse().ok()?, content)))
        .collect();
    nodes.sort_by_key(|(node, _)| *node);
    let mut at: BTreeMap<u64, u64> = BTreeMap::new();
    for (node, content) in &nodes {
        let key = node.to_string();
        let capacity: Vec<u64> = views
            .iter()
            .map(|view| number(&view["nodes"], &key, &view["defCapacity"]))
            .collect();
        cluster.hosts.push(Host::new(format!("n{node}"), capacity));
        for vm in list(&content["runningVMs"]).filter_map(Value::as_u64) {
            let key = vm.to_string();
            let demand: Vec<u64> = views
                .iter()
                .map(|view| number(&view["vms"], &key, &view["defConsumption"]))
                .collect();
            let mib = demand.first().copied().unwrap_or(0).saturating_mul(1024) / 10;
            let home = format!("n{node}");
            cluster
                .vms
                .push(Vm::new(format!("v{vm}"), home, demand, mib));
            at.insert(vm, *node);
        }
    }
    for constraint in list(&root["constraints"]) {
        let vms: Vec<u64> = list(&constraint["vms"])
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
                parts(&mut cluster, &nodes, &constraint["parts"]);
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

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The parts are the same for all constraints of an instance: they are the racks.
fn parts(cluster: &mut Cluster, nodes: &[(u64, &Value)], parts: &Value) {
    for (part, members) in list(parts).enumerate() {
        for node in list(members).filter_map(Value::as_u64) {
            if let Ok(at) = nodes.binary_search_by_key(&node, |(node, _)| *node) {
                cluster.hosts[at].rack = Some(format!("part{part}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_instance_of_each_format_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model_x.txt");
        // One resource, two machines, one service, and three processes of which two keep apart.
        let text = "1\n1 1\n2\n0 0 10 9 0 1\n0 0 20 19 1 0\n2\n1 0\n1 0\n3\n0 4 1\n0 5 1\n1 6 1\n";
        fs::write(&model, text).unwrap();
        fs::write(folder.path().join("assignment_x.txt"), "0 1 1\n").unwrap();
        let cluster = roadef(&model).unwrap();
        cluster.looked_through().unwrap();
        assert_eq!((cluster.hosts.len(), cluster.vms.len()), (2, 3));
        assert_eq!(cluster.vms[2].host.as_str(), "m1");
        assert!(
            matches!(&cluster.rules[..], [Rule::AntiAffinity { vms, .. }] if vms.len() == 2),
            "{:?}",
            cluster.rules
        );

        let plain = folder.path().join("a.json");
        let text = r#"{"model": {"mapping": {"onlineNodes": {"2": {"runningVMs": [7]}, "1": {"runningVMs": [8, 9]}}},
            "views": [{"id": "shareableResource", "rcId": "mem", "defCapacity": 30, "defConsumption": 2,
                       "nodes": {"1": 40}, "vms": {"7": 5}}]},
            "constraints": [{"id": "spread", "vms": [7, 8]}, {"id": "among", "vms": [8, 9], "parts": [[1], [2]]},
                            {"id": "online", "vms": []}]}"#;
        fs::write(&plain, text).unwrap();
        let cluster = btrplace(&plain).unwrap();
        cluster.looked_through().unwrap();
        assert_eq!(cluster.hosts[0].capacity, [Some(40)]);
        assert_eq!(cluster.hosts[1].rack.as_deref(), Some("part1"));
        assert_eq!((cluster.vms.len(), cluster.rules.len()), (3, 2));
    }

    #[test]
    fn what_is_no_instance_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        write("assignment_x.txt", "0");
        for text in [
            "",
            "1 1",
            "seven",
            "18446744073709551615",
            "1 1 1 99999999 1",
        ] {
            let error = roadef(&write("model_x.txt", text)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
        let error = btrplace(&write("a.json", "{}")).unwrap_err();
        assert!(error.to_string().contains("no online nodes"), "{error}");
        let error = btrplace(&write("a.json.gz", "{}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = roadef(&folder.path().join("model_none.txt")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
