//! What keeps the state of a component small: an estate may have a million of them, and most of what can be said of one
//! is never said. Each is stored as the plain value that it stands for.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Deref, DerefMut, Index},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::phase::Step;
use crate::judge::{Answer, Outcome};

/// A value that is mostly what it is at first: then it takes no room. It reads like the value, and a copy costs nothing
/// until one of the two is changed.
pub struct Seldom<T>(Option<Arc<T>>);

/// What a value is at first.
pub trait AtFirst: Default + PartialEq + 'static {
    /// It.
    fn at_first() -> &'static Self;
}

impl<T: PartialEq + 'static> AtFirst for Vec<T> {
    fn at_first() -> &'static Self {
        const { &Self::new() }
    }
}

impl<T: PartialEq + 'static> AtFirst for Option<T> {
    fn at_first() -> &'static Self {
        const { &None }
    }
}

impl AtFirst for Outcome {
    fn at_first() -> &'static Self {
        const {
            &Self {
                patched: Answer::NotAsked,
                in_effect: Answer::NotAsked,
                rebooted: Answer::NotAsked,
                healthy: Answer::NotAsked,
                placed: Answer::NotAsked,
            }
        }
    }
}

impl<T: AtFirst> Seldom<T> {
    /// Becomes this value.
    pub fn set(&mut self, value: T) {
        *self = Self::from(value);
    }

    /// Whether it is what it was at first.
    #[must_use]
    pub fn is_at_first(&self) -> bool {
        **self == *T::at_first()
    }

    /// Lets its room go where it is what it was at first.
    pub(super) fn tidy(&mut self) {
        if self.is_at_first() {
            self.0 = None;
        }
    }
}

impl<T: PartialEq + 'static> Seldom<Vec<T>>
where
    T: Clone,
{
    /// One more, where there will hardly be another.
    pub(super) fn add(&mut self, item: T) {
        let list: &mut Vec<T> = self;
        list.reserve_exact(1);
        list.push(item);
    }
}

impl<T: AtFirst> From<T> for Seldom<T> {
    fn from(value: T) -> Self {
        Self((value != *T::at_first()).then(|| Arc::new(value)))
    }
}

impl<T> Clone for Seldom<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: AtFirst> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::at_first(),
        }
    }
}

impl<T: AtFirst + Clone> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

impl<T: AtFirst> PartialEq for Seldom<T> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, two): (&Arc<T>, &Arc<T>)| Arc::ptr_eq(one, two);
        self.0.as_ref().zip(other.0.as_ref()).is_some_and(same) || **self == **other
    }
}

impl<T: AtFirst> PartialEq<T> for Seldom<T> {
    fn eq(&self, other: &T) -> bool {
        **self == *other
    }
}

impl<T: AtFirst + fmt::Debug> fmt::Debug for Seldom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<'a, T: PartialEq + 'static> IntoIterator for &'a Seldom<Vec<T>> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: AtFirst + Serialize> Serialize for Seldom<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: AtFirst + Deserialize<'de>> Deserialize<'de> for Seldom<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

/// How often each step was begun anew. Beyond what is ever reached it counts no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generations([u16; Step::ALL.len()]);

impl Generations {
    /// How often this step was.
    #[must_use]
    pub fn of(&self, step: Step) -> u32 {
        self.0[step as usize].into()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|times| *times == 0)
    }

    pub(super) fn count(&mut self, step: Step) {
        let times = &mut self.0[step as usize];
        *times = times.saturating_add(1);
    }
}

impl Serialize for Generations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let begun = Step::ALL.into_iter().map(|step| (step, self.of(step)));
        serializer.collect_map(begun.filter(|(_, times)| *times > 0))
    }
}

impl<'de> Deserialize<'de> for Generations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut generations = Self::default();
        for (step, times) in BTreeMap::<Step, u32>::deserialize(deserializer)? {
            generations.0[step as usize] = u16::try_from(times).unwrap_or(u16::MAX);
        }
        Ok(generations)
    }
}

/// What an auditor's clock asks of a component, in the order of their words.
const MILESTONES: [&str; 4] = ["applied", "in_effect", "staged", "verified"];

/// When each step of the auditor's clock was reached: `staged`, `applied`, `in_effect`, `verified`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Reached(Option<Box<[Option<Timestamp>; MILESTONES.len()]>>);

impl Reached {
    /// When this was reached; none where it was not, or where there is no such step.
    #[must_use]
    pub fn get(&self, milestone: &str) -> Option<&Timestamp> {
        let at = MILESTONES.iter().position(|word| *word == milestone)?;
        self.0.as_ref()?[at].as_ref()
    }

    /// Every step that was reached, by its word.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let times = self.0.as_deref().into_iter().flatten();
        MILESTONES
            .into_iter()
            .zip(times)
            .filter_map(|(word, at)| Some((word, (*at)?)))
    }

    pub(super) fn insert(&mut self, milestone: &str, at: Timestamp) {
        if let Some(place) = MILESTONES.iter().position(|word| *word == milestone) {
            self.0.get_or_insert_default()[place] = Some(at);
        }
    }
}

impl Index<&str> for Reached {
    type Output = Timestamp;

    /// # Panics
    /// Where it was not reached; [`get`](Self::get) does not.
    #[expect(clippy::expect_used, reason = "as indexing does everywhere")]
    fn index(&self, milestone: &str) -> &Timestamp {
        self.get(milestone).expect("it was not reached")
    }
}

impl fmt::Debug for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Reached {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Reached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut reached = Self::default();
        for (word, at) in BTreeMap::<String, Timestamp>::deserialize(deserializer)? {
            reached.insert(&word, at);
        }
        Ok(reached)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::execute::kernel::ComponentState;

    #[test]
    fn small_values_are_stored_as_what_they_stand_for() {
        let mut generations = Generations::default();
        assert_eq!(json!(generations), json!({}));
        generations.count(Step::Apply);
        generations.count(Step::Apply);
        assert_eq!(json!(generations), json!({ "apply": 2 }));
        assert_eq!(
            serde_json::from_value::<Generations>(json!(generations)).unwrap(),
            generations
        );
        for (place, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, place);
        }
        let mut reached = Reached::default();
        let at = Timestamp::UNIX_EPOCH;
        for word in MILESTONES {
            assert_eq!(reached.get(word), None);
            reached.insert(word, at);
            assert_eq!(reached[word], at);
        }
        let text = serde_json::to_string(&reached).unwrap();
        assert!(text.starts_with(r#"{"applied":"1970-01-01T00:00:00Z","in_effect""#));
        assert_eq!(serde_json::from_str::<Reached>(&text).unwrap(), reached);
    }

    #[test]
    fn a_value_that_is_changed_leaves_its_copies_as_they_are() {
        let mut list: Seldom<Vec<u8>> = Seldom::default();
        assert!(list.is_at_first() && list.0.is_none());
        list.add(1);
        let copy = list.clone();
        list.add(2);
        assert_eq!((&*copy, &*list), (&vec![1], &vec![1, 2]));
        assert_eq!(json!(list), json!([1, 2]));
        list.clear();
        list.tidy();
        assert!(list.0.is_none());
        assert_eq!(list, Seldom::from(Vec::new()));
    }

    /// Whoever makes a state larger pays for it a million times.
    #[test]
    fn a_state_stays_small() {
        let bytes = size_of::<ComponentState>();
        assert!(bytes <= 232, "{bytes} bytes");
    }
}
