//! Amounts, shares and times as people read them.

use crate::plan::roll::planner::ground::{Ground, Role};

/// The resource of which the largest part is taken.
pub(in crate::plan::roll) fn scarcest(ground: &Ground<'_>) -> usize {
    let share = |dim: &usize| {
        let hosts = (0..ground.role.len()).filter(|host| ground.role[*host] != Role::Shut);
        let room: u64 = hosts.map(|host| ground.room_of(host)[*dim]).sum();
        let taken: u64 = (0..ground.home.len())
            .map(|vm| ground.demand_of(vm)[*dim])
            .sum();
        (
            u128::from(taken) * 1_000_000 / u128::from(room.max(1)),
            std::cmp::Reverse(*dim),
        )
    };
    (0..ground.dims).max_by_key(share).unwrap_or(0)
}

/// An amount of memory or disk.
pub(crate) fn mib(amount: u64) -> String {
    let parts = |unit: u64, parts: u64| {
        let all =
            (u128::from(amount) * u128::from(parts) + u128::from(unit) / 2) / u128::from(unit);
        (all / u128::from(parts), all % u128::from(parts))
    };
    match amount {
        0..1024 => format!("{amount} MiB"),
        1024..1_048_576 => match parts(1024, 10) {
            (whole, 0) => format!("{whole} GiB"),
            (whole, part) => format!("{whole}.{part} GiB"),
        },
        _ => match parts(1_048_576, 100) {
            (whole, 0) => format!("{whole} TiB"),
            (whole, part) => format!("{whole}.{part:02} TiB"),
        },
    }
}

/// An amount of a cluster's resource: one that is called `…_mib` is memory or disk.
pub(in crate::plan::roll) fn amount(resource: &str, amount: u64) -> String {
    match resource.strip_suffix("_mib") {
        Some(of) => format!("{} {}", mib(amount), of.replace('_', " ")),
        None => format!("{amount} {resource}"),
    }
}

/// A length of time: `2 h 44 min`.
pub(in crate::plan::roll) fn length(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) if minutes < 10 => format!("{minutes} min {seconds} s"),
        (0, minutes, _) => format!("{minutes} min"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// A moment of the roll: `1:02:30` after it began.
pub(in crate::plan::roll) fn moment(ms: u64) -> String {
    let seconds = ms / 1000;
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Thousandths as per cent: `3.2 %`.
pub(in crate::plan::roll) fn percent(permille: u64) -> String {
    match permille % 10 {
        0 => format!("{} %", permille / 10),
        rest => format!("{}.{rest} %", permille / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_times_are_short() {
        assert_eq!(
            [0, 1023, 1024, 1536, 524_288, 1_572_864].map(mib),
            [
                "0 MiB", "1023 MiB", "1 GiB", "1.5 GiB", "512 GiB", "1.50 TiB"
            ]
        );
        assert_eq!(mib(u64::MAX), "17592186044416 TiB");
        assert_eq!(amount("memory_mib", 2048), "2 GiB memory");
        assert_eq!(amount("vcpu", 12), "12 vcpu");
        assert_eq!(
            [0, 900, 59_000, 60_000, 61_000, 1_239_000, 9_840_000].map(length),
            [
                "0 s",
                "1 s",
                "59 s",
                "1 min",
                "1 min 1 s",
                "20 min",
                "2 h 44 min"
            ]
        );
        assert_eq!(moment(3_750_000), "1:02:30");
        assert_eq!([0, 32, 1340].map(percent), ["0 %", "3.2 %", "134 %"]);
    }
}
