//! A set of small numbers that gives them in the order in which CPython's `set` does, on which the published figures
//! depend among equals.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Free,
    Left,
    Holds(usize),
}

/// Numbers, each once.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    table: Vec<Slot>,
    /// Slots that hold a number or held one.
    fill: usize,
    used: usize,
}

/// What a search for a number comes to: where it is, or where it may be put.
enum Place {
    Holds(usize),
    Free { slot: usize, left: Option<usize> },
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            table: vec![Slot::Free; 8],
            fill: 0,
            used: 0,
        }
    }

    fn place(&self, number: usize) -> Place {
        let mask = self.table.len() - 1;
        let (mut at, mut perturb, mut left) = (number & mask, number, None);
        loop {
            let more = if at + 9 <= mask { 9 } else { 0 };
            for slot in at..=at + more {
                match self.table[slot] {
                    Slot::Free => return Place::Free { slot, left },
                    Slot::Left => left = Some(slot),
                    Slot::Holds(other) if other == number => return Place::Holds(slot),
                    Slot::Holds(_) => {}
                }
            }
            perturb >>= 5;
            at = (at * 5 + 1 + perturb) & mask;
        }
    }

    pub(super) fn insert(&mut self, number: usize) {
        let Place::Free { slot, left } = self.place(number) else {
            return;
        };
        self.used += 1;
        if let Some(left) = left {
            self.table[left] = Slot::Holds(number);
            return;
        }
        self.table[slot] = Slot::Holds(number);
        self.fill += 1;
        if self.fill * 5 >= (self.table.len() - 1) * 3 {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let held: Vec<usize> = self.iter().collect();
        let size = (self.used * 4 + 1).next_power_of_two().max(8);
        self.table = vec![Slot::Free; size];
        self.fill = self.used;
        for number in held {
            if let Place::Free { slot, .. } = self.place(number) {
                self.table[slot] = Slot::Holds(number);
            }
        }
    }

    pub(super) fn remove(&mut self, number: usize) {
        if let Place::Holds(slot) = self.place(number) {
            self.table[slot] = Slot::Left;
            self.used -= 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.table.iter().filter_map(|slot| match slot {
            Slot::Holds(number) => Some(*number),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn numbers_come_in_the_order_of_cpython() {
        let mut slots = Slots::new();
        for number in [70, 3, 11, 19, 8, 64, 1] {
            slots.insert(number);
        }
        for number in [3, 64] {
            slots.remove(number);
        }
        for number in [27, 35, 3] {
            slots.insert(number);
        }
        // As Python 3.11 prints `list(s)` after the same calls.
        assert_eq!(slots.iter().collect::<Vec<_>>(), EXPECTED);
        assert!(!slots.is_empty());
    }

    const EXPECTED: [usize; 8] = [1, 35, 3, 70, 8, 11, 19, 27];
}
