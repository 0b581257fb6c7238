//! The machine that measures.

use std::error::Error;

/// What a page of evidence says of it.
pub(crate) fn about() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches(['\t', ' ', ':']));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(vec![
        (
            "processors".to_owned(),
            format!("{} × {model}", std::thread::available_parallelism()?),
        ),
        ("kernel".to_owned(), kernel.trim().to_owned()),
    ])
}
