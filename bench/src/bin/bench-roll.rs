//! What the roll planner makes. `cargo xtask bench roll` starts it.

#[path = "../roll/mod.rs"]
mod roll;

use patchcore::plan::roll::{Answer, Objective, Wish, plan};
use roll::syn::Instance;

fn main() {
    for hosts in [4, 16, 64] {
        for util in [0.5, 0.7, 0.85] {
            for (name, objective) in [
                ("few", Objective::FewestMoves),
                ("fast", Objective::Fastest),
                ("knee", Objective::Knee),
                ("bal", Objective::Balanced),
            ] {
                let mut line = String::new();
                let t = std::time::Instant::now();
                for seed in 0..5 {
                    let instance = Instance::generate(hosts, util, seed);
                    let f = instance.failures();
                    let cluster = instance.cluster(f);
                    match plan(&cluster, &Wish::new(objective), &|| false) {
                        Ok(Answer::Planned(p)) => {
                            let fg = p.best.figures();
                            let w = instance.all_gb() as f64 * 1024.0;
                            line += &format!(
                                " {:.4}({:.4}) {:.2}h/{:.2} k{} f{}",
                                fg.moved_mib as f64 / w,
                                fg.moved_mib as f64 / p.bounds.moved_mib as f64,
                                fg.makespan_ms as f64 / 3.6e6,
                                p.bounds.makespan_ms as f64 / 3.6e6,
                                p.bounds.closed_at_once,
                                fg.fullest_permille
                            );
                        }
                        Ok(Answer::Infeasible(i)) => line += &format!(" INF {}", i.certificate),
                        Ok(Answer::NotFound(n)) => line += &format!(" NOTFOUND {}", n.patched),
                        Err(e) => {
                            line += &format!(
                                " ERR {}",
                                &e.to_string().chars().take(300).collect::<String>()
                            )
                        }
                    }
                }
                println!("{hosts} {util} {name} {:?}{line}", t.elapsed());
            }
        }
    }
}
