use proptest::prelude::*;

use super::*;

const ID: &str = "fixture";
const REAL: &str = include_str!("../../../tests/fixtures/scan-states.txt");

fn name(text: &str) -> PackageName {
    PackageName::parse(text).unwrap()
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(noise: Vec<u8>, at in 0..REAL.len(), with in ".{0,4}", lost in 0usize..20) {
        let _ = AptScan::parse(ID, &noise);
        if REAL.is_char_boundary(at) {
            let end = (at + lost..=REAL.len()).find(|e| REAL.is_char_boundary(*e)).unwrap_or(REAL.len());
            let _ = AptScan::parse(ID, format!("{}{with}{}", &REAL[..at], &REAL[end..]).as_bytes());
        }
    }
}
