//! The figures, and what they are judged by.

use super::{
    peers::Peer,
    public::Public,
    published::PUBLISHED,
    rows::{Made, Ours, Row, hours},
    stages::{self, Asked},
    work::Work,
};

/// What small clusters come to, beside what every way of them was looked at says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Small {
    pub(crate) clusters: u32,
    /// Of these, no way patches all.
    pub(crate) impossible: u32,
    pub(crate) found: u32,
    pub(crate) optimal: u32,
    /// More than the bytes of one machine above the fewest.
    pub(crate) far_off: u32,
    pub(crate) proofs: u32,
    /// Proofs, or whole searches, of what is possible.
    pub(crate) refuted: u32,
    /// All that was neither planned nor proven impossible, and of these what was searched whole.
    pub(crate) not_found: u32,
    pub(crate) exhausted: u32,
    /// Not found though possible.
    pub(crate) missed: u32,
}

/// Everything that was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) about: Vec<(String, String)>,
    /// Of the machine, before and after.
    pub(crate) loads: Vec<f64>,
    /// The five seeds of the published figures, whole.
    pub(crate) rows: Vec<Row>,
    /// Other sizes and fillings, the fewest moves only.
    pub(crate) more: Vec<Row>,
    pub(crate) small: Small,
    /// What CP-SAT was asked, where it was.
    pub(crate) stages: Vec<Asked>,
    pub(crate) work: Vec<Work>,
    /// None where no folder with these was named.
    pub(crate) roadef: Option<Vec<Public>>,
    pub(crate) btrplace: Option<Vec<Public>>,
}

/// How a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It must be met.
    Gate,
    /// It is to come as near as can be.
    Aim,
}

/// One figure beside what is wanted of it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) kind: Kind,
    pub(crate) what: String,
    pub(crate) found: String,
    pub(crate) target: String,
    pub(crate) holds: bool,
}

struct Bench(Vec<Judged>);

impl Bench {
    fn judge(
        &mut self,
        kind: Kind,
        what: impl Into<String>,
        found: impl Into<String>,
        target: impl Into<String>,
        holds: bool,
    ) {
        self.0.push(Judged {
            kind,
            what: what.into(),
            found: found.into(),
            target: target.into(),
            holds,
        });
    }

    /// A value that must be at most so much. What was not measured is not a number, and does not hold.
    fn most(&mut self, kind: Kind, what: impl Into<String>, value: f64, most: f64) {
        let (found, target) = (format!("{value:.4}"), format!("≤ {most}"));
        self.judge(kind, what, found, target, value <= most);
    }

    fn least(&mut self, kind: Kind, what: impl Into<String>, value: f64, least: f64) {
        let (found, target) = (format!("{value:.2}"), format!("≥ {least}"));
        self.judge(kind, what, found, target, value >= least);
    }
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The largest; not a number where there is none.
fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

fn best(ours: Option<&Ours>) -> Option<Made> {
    ours.and_then(Ours::best)
}

/// What a model of a tool comes to here, as the published figures say it: in all memory, in hours, and how often.
pub(crate) fn measured(rows: &[Row], hosts: usize, full: u32, peer: Peer) -> (f64, f64, usize) {
    let those = rows.iter().filter(|r| (r.hosts, r.full) == (hosts, full));
    let made: Vec<(f64, f64)> = those
        .filter_map(|row| {
            let (mib, ms) = row.peer(peer)?;
            Some((row.share(mib), hours(ms)))
        })
        .collect();
    let moved: Vec<f64> = made.iter().map(|made| made.0).collect();
    let span: Vec<f64> = made.iter().map(|made| made.1).collect();
    (mean(&moved), mean(&span), made.len())
}

impl Figures {
    /// Every figure that has a gate or an aim, or those of one part. What was not measured does not hold.
    pub(crate) fn judged(&self, only: Option<&str>) -> Vec<Judged> {
        let mut bench = Bench(Vec::new());
        let wants = |part: &str| only.is_none_or(|only| only == part);
        if wants("rolls") {
            self.peers(&mut bench);
            self.bytes(&mut bench);
            self.times(&mut bench);
            self.beside_cau(&mut bench);
        }
        if wants("small") {
            self.smalls(&mut bench);
        }
        if wants("stages") {
            self.staged(&mut bench);
        }
        if wants("work") {
            self.works(&mut bench);
        }
        if let Some(rows) = &self.roadef {
            roadef(&mut bench, rows);
        }
        if let Some(rows) = &self.btrplace {
            btrplace(&mut bench, rows);
        }
        bench.0
    }

    fn peers(&self, bench: &mut Bench) {
        let mut far = Vec::new();
        let mut counts = 0;
        for published in PUBLISHED {
            let (hosts, full, peer) = (published.hosts, published.full, published.peer);
            let (moved, span, done) = measured(&self.rows, hosts, full, peer);
            let off = |value: f64, expected: f64| (value / expected - 1.0).abs();
            far.push(off(moved, published.moved).max(off(span, published.hours)));
            counts += usize::from(done != published.done);
        }
        // A maximum passes over what is not a number.
        let all = far.iter().all(|off| off.is_finite());
        let most = if all { worst(&far) * 100.0 } else { f64::NAN };
        let what = "models of other tools beside their published figures, bytes and hours, the farthest of 40, in per cent";
        bench.most(Kind::Gate, what, most, 2.0);
        let what = "models of other tools that complete another number of seeds than published";
        bench.most(Kind::Gate, what, counts as f64, 0.0);
    }

    fn bytes(&self, bench: &mut Bench) {
        let mut ratios = Vec::new();
        let mut unplanned = 0;
        for row in self.rows.iter().chain(&self.more) {
            match (&row.few, row.bounds) {
                (Ours::Planned { best, .. }, Some(bounds)) => {
                    ratios.push(best.mib as f64 / bounds.moved_mib as f64);
                }
                (Ours::Infeasible, _) => {}
                _ => unplanned += 1,
            }
        }
        let what = format!(
            "`FewestMoves`, bytes beside the bound, mean of {} clusters",
            ratios.len()
        );
        bench.most(Kind::Gate, what, mean(&ratios), 1.005);
        bench.most(Kind::Gate, "the same, the worst", worst(&ratios), 1.02);
        let what = "clusters that are neither planned nor proven impossible";
        bench.judge(Kind::Aim, what, unplanned.to_string(), "0", unplanned == 0);
    }

    /// The rows of 64 hosts at one filling.
    fn large(&self, full: u32) -> impl Iterator<Item = &Row> {
        let those = move |row: &&Row| (row.hosts, row.full) == (64, full);
        self.rows.iter().filter(those)
    }

    fn times(&self, bench: &mut Bench) {
        for (full, most) in [(50, 3.0), (70, 2.4), (85, 4.4)] {
            let span = self
                .large(full)
                .filter_map(|row| within(row, 1.12, |_| true));
            let what = format!("64 hosts at {full} %, hours with bytes ≤ 1.12 of all memory");
            bench.most(Kind::Aim, what, mean(&span.collect::<Vec<_>>()), most);
        }
        let mut ratios = Vec::new();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for row in self.rows.iter().filter(|row| row.hosts == 64) {
            let Some((mib, ms)) = row.peer(Peer::Spread) else {
                continue;
            };
            // What is not planned is no match.
            let made = best(row.fast.as_ref());
            ratios.push(made.map_or(f64::INFINITY, |made| made.ms as f64 / ms as f64));
            ours.push(made.map_or(f64::INFINITY, |made| row.share(made.mib)));
            theirs.push(row.share(mib));
        }
        let what = "64 hosts, `Fastest` beside parallel spread, makespan, mean";
        bench.most(Kind::Gate, what, mean(&ratios), 1.0);
        bench.most(Kind::Gate, "the same, the worst", worst(&ratios), 1.02);
        let what = "the same, bytes of ours beside theirs, mean";
        let (ours, theirs) = (mean(&ours), mean(&theirs));
        let found = format!("{ours:.3} and {theirs:.3} of all memory");
        bench.judge(Kind::Gate, what, found, "fewer", ours < theirs);
        for (full, most) in [(50, 1.65), (70, 1.3), (85, 1.5)] {
            let gaps = self.large(full).filter_map(|row| {
                let made = best(row.fast.as_ref())?;
                Some(made.ms as f64 / row.bounds?.makespan_ms as f64)
            });
            let gaps: Vec<f64> = gaps.collect();
            let what = format!("64 hosts at {full} %, `Fastest` beside the bound of the makespan");
            bench.most(Kind::Aim, what, mean(&gaps), most);
        }
        let span = self.large(70).map(|row| {
            let even = |made: &Made| u64::from(made.fullest) <= row.mean + 100;
            within(row, 1.12, even).unwrap_or(f64::NAN)
        });
        let what = "64 hosts at 70 %, hours with a balanced end and bytes ≤ 1.12 of all memory";
        bench.most(Kind::Aim, what, mean(&span.collect::<Vec<_>>()), 3.6);
    }

    fn beside_cau(&self, bench: &mut Bench) {
        let (mut fewer, mut faster, mut others) = (Vec::new(), Vec::new(), 0);
        for row in self.rows.iter().filter(|row| row.hosts >= 16) {
            let Some((mib, ms)) = row.peer(Peer::Cau) else {
                others += 1;
                continue;
            };
            let made = best(row.knee.as_ref());
            fewer.push(made.map_or(0.0, |made| 100.0 - 100.0 * made.mib as f64 / mib as f64));
            if row.hosts == 64 {
                faster.push(made.map_or(0.0, |made| ms as f64 / made.ms as f64));
            }
        }
        let what = format!(
            "`Knee` beside CAU, 16 hosts and more, per cent fewer bytes, mean of {} that CAU completes, {others} not",
            fewer.len()
        );
        bench.least(Kind::Gate, what, mean(&fewer), 44.0);
        let what = format!(
            "`Knee` beside CAU, 64 hosts, times faster, the least of {}",
            faster.len()
        );
        let least = faster.iter().copied().fold(f64::NAN, f64::min);
        bench.least(Kind::Gate, what, least, 7.0);
    }

    fn smalls(&self, bench: &mut Bench) {
        let small = &self.small;
        let possible = f64::from(small.clusters - small.impossible);
        let share = |part: u32, of: f64| 100.0 * f64::from(part) / of;
        let what = format!(
            "small clusters that are impossible by brute force, of {}, in per cent",
            small.clusters
        );
        let impossible = share(small.impossible, f64::from(small.clusters));
        bench.least(Kind::Gate, what, impossible, 30.0);
        let what = "small clusters, bytes optimal, in per cent of those found";
        let optimal = share(small.optimal, f64::from(small.found));
        bench.least(Kind::Gate, what, optimal, 95.0);
        let what = "the same, more than one machine's bytes above";
        bench.most(Kind::Gate, what, f64::from(small.far_off), 0.0);
        let what = "small clusters that are possible and found, in per cent";
        bench.least(Kind::Gate, what, share(small.found, possible), 99.0);
        let what = "proofs that brute force refutes";
        bench.most(Kind::Gate, what, f64::from(small.refuted), 0.0);
    }

    /// Beside CP-SAT: what it could execute, and what no roll with as many patches one after the other can beat.
    fn staged(&self, bench: &mut Bench) {
        let ratios = stages::ratios(&self.stages, |asked| &asked.executable);
        let what = format!(
            "up to 8 hosts, bytes beside the fewest that CP-SAT proves for as many stages, mean of {} proofs",
            ratios.len()
        );
        bench.most(Kind::Gate, what, mean(&ratios), 1.02);
        bench.most(Kind::Aim, "the same, the worst", worst(&ratios), 1.02);
        let ratios = stages::ratios(&self.stages, |asked| &asked.relaxed);
        let what = format!(
            "the same as a mean, moves taking room at one end only, of {} proofs",
            ratios.len()
        );
        bench.most(Kind::Aim, what, mean(&ratios), 1.02);
        let what = format!(
            "answers of CP-SAT with fewer bytes than ours, proven or not, of {}",
            self.stages.len()
        );
        let beaten = stages::beaten(&self.stages);
        bench.most(Kind::Aim, what, beaten as f64, 0.0);
        let refuted = self
            .stages
            .iter()
            .filter(|asked| asked.is_refuted())
            .count();
        let what = "answers of ours and of CP-SAT that cannot both be true";
        bench.most(Kind::Gate, what, refuted as f64, 0.0);
        let missed = self.stages.iter().filter(|asked| asked.is_missed()).count();
        let what = "clusters of which CP-SAT has a roll in fewer stages than ours";
        bench.most(Kind::Aim, what, missed as f64, 0.0);
    }

    fn works(&self, bench: &mut Bench) {
        let at = |hosts| self.work.iter().find(|work| work.hosts == hosts);
        let (few, many) = (at(1_000), at(10_000));
        let power = match (few, many) {
            (Some(few), Some(many)) => {
                (many.plan / few.plan).ln() / (many.vms as f64 / few.vms as f64).ln()
            }
            _ => f64::NAN,
        };
        let what = "work of a plan from 1,000 hosts to 10,000, as a power of the machines";
        bench.most(Kind::Gate, what, power, 1.3);
        for (work, most) in [(few, 0.25), (many, 2.0)] {
            let share = work.map_or(f64::NAN, |work| 100.0 * work.check / work.plan);
            let hosts = work.map_or(0, |work| work.hosts);
            let what = format!("the checker's part of a plan of {hosts} hosts, in per cent");
            bench.most(Kind::Gate, what, share, 20.0);
            let plan = work.map_or(f64::NAN, |work| work.plan);
            let what = format!("one plan of {hosts} hosts, seconds of processor time");
            bench.most(Kind::Aim, what, plan, most);
        }
    }
}

/// The hours of the shortest roll with at most so many bytes, in all memory.
fn within(row: &Row, most: f64, also: impl Fn(&Made) -> bool) -> Option<f64> {
    let answers = [
        Some(&row.few),
        row.fast.as_ref(),
        row.knee.as_ref(),
        row.balanced.as_ref(),
    ];
    let rolls = answers.into_iter().flatten().flat_map(|ours| match ours {
        Ours::Planned { best, others } => {
            let mut rolls = others.clone();
            rolls.push(*best);
            rolls
        }
        _ => Vec::new(),
    });
    rolls
        .filter(|made| row.share(made.mib) <= most && also(made))
        .map(|made| hours(made.ms))
        .min_by(f64::total_cmp)
}

fn roadef(bench: &mut Bench, rows: &[Public]) {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    for (name, gate, aim) in [("a2_1", 92, 100), ("a1_2", 55, 85), ("a2_2", 30, 70)] {
        let patched = row(name).and_then(|row| row.patched).unwrap_or(0);
        for (kind, least) in [(Kind::Gate, gate), (Kind::Aim, aim)] {
            let what = format!("ROADEF {name}, hosts patched of 100 in 10 s");
            bench.least(kind, what, f64::from(patched), f64::from(least));
        }
    }
    for name in ["a1_1", "a1_4"] {
        let proof = row(name).and_then(|row| row.proof.clone());
        let holds = proof.is_some();
        let found = proof.unwrap_or_else(|| "none".to_owned());
        let what = format!("ROADEF {name}, proof that not all can be patched");
        bench.judge(Kind::Gate, what, found, "a proof", holds);
    }
    let unclean = rows.iter().filter(|row| row.patched.is_none()).count();
    let what = format!(
        "ROADEF A without a roll that passes the checker, of {}",
        rows.len()
    );
    bench.most(Kind::Gate, what, unclean as f64, 0.0);
}

fn btrplace(bench: &mut Bench, rows: &[Public]) {
    let unclean = rows.iter().filter(|row| row.patched.is_none()).count();
    let what = format!(
        "BtrPlace without a roll that passes the checker, of {}",
        rows.len()
    );
    bench.most(Kind::Gate, what, unclean as f64, 0.0);
    let gaps: Vec<f64> = rows
        .iter()
        .map(|row| row.mib as f64 / row.bound_mib as f64)
        .collect();
    let what = "BtrPlace, bytes beside the bound, the worst";
    bench.most(Kind::Gate, what, worst(&gaps), 1.002);
}

#[cfg(test)]
mod tests;
