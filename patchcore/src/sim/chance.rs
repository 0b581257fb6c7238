//! Chance that repeats: every draw is a digest of the seed and of what is drawn for.

use std::time::Duration;

use crate::{digest::sha256_hex, estate::Estimate};

/// A figure from 0 (included) to 1 (excluded), the same for the same seed and words.
pub(super) fn draw(seed: u64, about: &[&str]) -> f64 {
    // The unit separator cannot stand in a name that people type, so two lists never read the same.
    let text = format!("{seed}\u{1f}{}", about.join("\u{1f}"));
    let digest = sha256_hex(text.as_bytes());
    // 13 hexadecimal digits are 52 bits, which a f64 holds exactly.
    let bits = u64::from_str_radix(&digest[..13], 16).unwrap_or_default();
    bits as f64 / (1_u64 << 52) as f64
}

/// A duration in whole seconds, at least one, of which half are at most `p50` and 95 % at most `p95`.
pub(super) fn duration(estimate: Estimate, chance: f64) -> Duration {
    let (p50, p95) = (estimate.p50.as_secs_f64(), estimate.p95.as_secs_f64());
    // Straight pieces between 0.7 p50, p50, p95 and 1.4 p95: the two figures that a scan reports hold.
    let seconds = if chance < 0.5 {
        p50 * (0.7 + 0.6 * chance)
    } else if chance < 0.95 {
        p50 + (p95 - p50) * (chance - 0.5) / 0.45
    } else {
        p95 * (1.0 + 8.0 * (chance - 0.95))
    };
    Duration::from_secs(seconds.floor().max(1.0) as u64)
}

/// A value in the form of a UUID, for boot ids and machine ids.
pub(super) fn uuid(seed: u64, about: &[&str]) -> String {
    let digest = sha256_hex(format!("{seed}\u{1f}{}", about.join("\u{1f}")).as_bytes());
    format!(
        "{}-{}-{}-{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[12..16],
        &digest[16..20],
        &digest[20..32]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reported_figures_hold() {
        let estimate = Estimate::new(Duration::from_secs(1_000), Duration::from_secs(1_800));
        let mut drawn: Vec<Duration> = (0..2_000)
            .map(|i| duration(estimate, draw(7, &["apply", &i.to_string()])))
            .collect();
        drawn.sort();
        let within = |limit| drawn.iter().filter(|d| **d <= limit).count();
        assert!(
            (940..1060).contains(&within(estimate.p50)),
            "{}",
            within(estimate.p50)
        );
        assert!(
            (1870..1930).contains(&within(estimate.p95)),
            "{}",
            within(estimate.p95)
        );
        assert!(drawn[1_999] <= Duration::from_secs(2_520));
    }

    #[test]
    fn draws_differ_by_seed_and_by_word() {
        assert_eq!(
            draw(1, &["a", "b"]).to_bits(),
            draw(1, &["a", "b"]).to_bits()
        );
        assert_ne!(
            draw(1, &["a", "b"]).to_bits(),
            draw(2, &["a", "b"]).to_bits()
        );
        assert_ne!(draw(1, &["a", "b"]).to_bits(), draw(1, &["ab"]).to_bits());
    }
}
