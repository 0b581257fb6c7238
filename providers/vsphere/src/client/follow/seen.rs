//! What was told so far, and of whom somebody waits to hear more.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use patchcore::Timestamp;

use super::News;
use crate::client::soap::{Broken, Element, MoRef};

/// A task that lasts longer is watched itself, beside what it works on.
const LASTS: Duration = Duration::from_secs(5);

/// How far the tasks that last are is asked this often, for all of them in one call.
const LOOKS: Duration = Duration::from_secs(60);

/// For so long nobody asks again whether updates are to be had, where they were refused.
const REFUSED: Duration = Duration::from_secs(60);

/// The properties of a host or machine, as they were told last.
#[derive(Debug, Default)]
struct Object {
    /// In which answer it was told of last.
    told: u64,
    values: HashMap<Box<str>, Box<str>>,
}

/// Something that somebody waits for.
#[derive(Debug)]
struct Awaited {
    /// Its task; none where the guest's own system does it.
    task: Option<MoRef>,
    /// The last answer that its waiter knows of.
    since: u64,
    began: Timestamp,
    watched: bool,
    over: bool,
    percent: Option<u8>,
}

/// Everything that was told, and everything that is awaited.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Counts the answers.
    answers: u64,
    objects: HashMap<Box<str>, Object>,
    awaited: HashMap<Box<str>, Awaited>,
    /// Tasks that may still run although what they were for is so.
    ending: HashSet<Box<str>>,
    looked: Option<Timestamp>,
    refused: Option<Timestamp>,
}

fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

impl Seen {
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    pub(super) fn awaits(&self, key: &str) -> bool {
        self.awaited.contains_key(key)
    }

    pub(super) fn follow(&mut self, key: &str, task: bool, since: u64, now: Timestamp) {
        let awaited = Awaited {
            task: task.then(|| MoRef::new("Task", key)),
            since,
            began: now,
            watched: false,
            over: false,
            percent: None,
        };
        self.awaited.insert(key.into(), awaited);
    }

    /// Nobody waits for it any more; where `ends`, it may run for another moment.
    pub(super) fn forget(&mut self, key: &str, ends: bool) {
        if self.awaited.remove(key).is_some() && ends {
            self.ending.insert(key.into());
        }
    }

    /// Whether a task is one of those that may run for another moment.
    pub(super) fn ends(&self, task: &str) -> bool {
        self.ending.contains(task)
    }

    /// Of the tasks that may run for another moment only these still do.
    pub(super) fn still(&mut self, open: &HashSet<&str>) {
        self.ending.retain(|task| open.contains(&**task));
    }

    /// What is new of it for its waiter, who knows it from now on.
    pub(super) fn news(&mut self, key: &str, object: &MoRef) -> Option<News> {
        let awaited = self.awaited.get_mut(key)?;
        let told = self.objects.get(&object.id);
        match told.filter(|object| object.told > awaited.since) {
            // Before the end of the task: what it was for may be so by then, and nothing need be read.
            Some(object) => {
                awaited.since = object.told;
                Some(News::Changed(object.values.clone()))
            }
            None => awaited.over.then_some(News::Over),
        }
    }

    pub(super) fn percent(&self, key: &str) -> Option<u8> {
        self.awaited.get(key).and_then(|awaited| awaited.percent)
    }

    /// The tasks that last and are not watched yet: they count as watched from now on.
    pub(super) fn lasting(&mut self, now: Timestamp) -> Vec<MoRef> {
        let mut lasting = Vec::new();
        for awaited in self.awaited.values_mut() {
            if let Some(task) = &awaited.task
                && !awaited.watched
                && age(awaited.began, now) >= LASTS
            {
                awaited.watched = true;
                lasting.push(task.clone());
            }
        }
        if !lasting.is_empty() {
            self.looked.get_or_insert(now);
        }
        lasting
    }

    /// When somebody must act again although nothing was told, in seconds.
    pub(super) fn soon(&self, now: Timestamp, most: Duration) -> Duration {
        let tasks = self.awaited.values().filter(|a| a.task.is_some());
        let unwatched = tasks.filter(|a| !a.watched);
        let due = unwatched.map(|awaited| LASTS.saturating_sub(age(awaited.began, now)));
        due.min().unwrap_or(most).min(most)
    }

    /// They are not watched after all.
    pub(super) fn unwatched(&mut self) {
        for awaited in self.awaited.values_mut() {
            awaited.watched = false;
        }
    }

    /// The tasks that last, where it is time to ask how far they are; the next time is later.
    pub(super) fn due_to_be_asked(&mut self, now: Timestamp) -> Vec<MoRef> {
        if self.looked.is_none_or(|at| age(at, now) < LOOKS) {
            return Vec::new();
        }
        let watched = self.awaited.values().filter(|a| a.watched && !a.over);
        let tasks: Vec<MoRef> = watched.filter_map(|a| a.task.clone()).collect();
        self.looked = (!tasks.is_empty()).then_some(now);
        tasks
    }

    /// How far a task is, as it said.
    pub(super) fn looked_at(&mut self, task: &str, percent: Option<u8>, open: bool) {
        if let Some(awaited) = self.awaited.get_mut(task) {
            awaited.percent = percent;
            awaited.over |= !open;
        }
    }

    pub(super) fn refuse(&mut self, now: Timestamp) {
        self.refused = Some(now);
    }

    pub(super) fn is_refused(&self, now: Timestamp) -> bool {
        self.refused.is_some_and(|at| age(at, now) < REFUSED)
    }

    /// Takes over one answer: an `UpdateSet`.
    pub(super) fn take(&mut self, set: &Element) -> Result<(), Broken> {
        self.answers += 1;
        for update in set.all("filterSet").flat_map(|f| f.all("objectSet")) {
            let missing = || Broken::Missing {
                inside: "objectSet".to_owned(),
                name: "obj".to_owned(),
            };
            let object = update.child("obj").ok_or_else(missing)?.moref()?;
            let gone = update.text_of("kind") == Some("leave");
            let told = update.all("changeSet").filter_map(|change| {
                let value = change.child("val").map(|value| value.text.clone());
                Some((change.text_of("name")?, value))
            });
            if &*object.kind == "Task" {
                let mut states = told.filter_map(|(_, value)| value);
                let over = gone || states.any(|s| matches!(&*s, "success" | "error"));
                if let Some(awaited) = self.awaited.get_mut(&object.id) {
                    awaited.over |= over;
                }
                continue;
            }
            let known = self.objects.entry(object.id).or_default();
            known.told = self.answers;
            if gone {
                known.values.clear();
            }
            for (name, value) in told {
                match value {
                    Some(value) => known.values.insert(name.into(), value),
                    None => known.values.remove(name),
                };
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::soap::tree;

    fn set(objects: &str) -> Element {
        tree(&format!(
            "<returnval><version>7</version><filterSet><filter type=\"PropertyFilter\">f</filter>{objects}</filterSet></returnval>"
        ))
        .unwrap()
    }

    fn machine(kind: &str, change: &str) -> Element {
        set(&format!(
            "<objectSet><kind>{kind}</kind><obj type=\"VirtualMachine\">vm-1</obj>{change}</objectSet>"
        ))
    }

    fn task(id: &str, state: &str) -> Element {
        set(&format!(
            "<objectSet><kind>modify</kind><obj type=\"Task\">{id}</obj>\
             <changeSet><name>info.state</name><op>assign</op><val>{state}</val></changeSet></objectSet>"
        ))
    }

    const AT: &str = "<changeSet><name>runtime.host</name><op>assign</op><val type=\"HostSystem\">host-2</val></changeSet>";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn only_what_was_told_later_is_news() {
        let vm = MoRef::new("VirtualMachine", "vm-1");
        let mut seen = Seen::default();
        seen.take(&machine("enter", AT)).unwrap();
        seen.follow("task-1", true, seen.answers(), at(0));
        assert!(seen.news("task-1", &vm).is_none(), "it was so before");
        seen.take(&machine("modify", AT)).unwrap();
        let Some(News::Changed(values)) = seen.news("task-1", &vm) else {
            panic!("{seen:?}");
        };
        assert_eq!(&*values["runtime.host"], "host-2");
        assert!(seen.news("task-1", &vm).is_none(), "told once");
        seen.take(&machine("leave", "")).unwrap();
        let Some(News::Changed(values)) = seen.news("task-1", &vm) else {
            panic!("{seen:?}");
        };
        assert!(values.is_empty());
    }

    #[test]
    fn a_task_that_lasts_is_watched_and_its_end_is_news() {
        let vm = MoRef::new("VirtualMachine", "vm-1");
        let mut seen = Seen::default();
        seen.follow("task-1", true, 0, at(0));
        seen.follow("vm-9", false, 0, at(0));
        assert!(seen.lasting(at(4)).is_empty());
        assert_eq!(seen.soon(at(4), Duration::from_secs(20)).as_secs(), 1);
        assert_eq!(seen.lasting(at(5)), [MoRef::new("Task", "task-1")]);
        assert!(seen.lasting(at(6)).is_empty(), "once");
        assert!(seen.due_to_be_asked(at(30)).is_empty());
        assert_eq!(seen.due_to_be_asked(at(65)).len(), 1);
        assert!(seen.due_to_be_asked(at(70)).is_empty());
        seen.looked_at("task-1", Some(40), true);
        assert_eq!(seen.percent("task-1"), Some(40));
        for word in ["queued", "running", "a new word"] {
            seen.take(&task("task-1", word)).unwrap();
            assert!(seen.news("task-1", &vm).is_none(), "{word}");
        }
        seen.take(&task("task-1", "error")).unwrap();
        assert!(matches!(seen.news("task-1", &vm), Some(News::Over)));
    }

    #[test]
    fn a_task_whose_end_was_seen_by_its_state_is_known_until_it_is_over() {
        let mut seen = Seen::default();
        seen.follow("task-1", true, 0, at(0));
        seen.forget("task-1", true);
        assert!(seen.ends("task-1"));
        seen.still(&["task-1"].into());
        assert!(seen.ends("task-1"));
        seen.still(&["task-2"].into());
        assert!(!seen.ends("task-1"));
        seen.forget("task-3", true);
        assert!(!seen.ends("task-3"), "nobody waited for it");
    }

    #[test]
    fn an_answer_without_objects_is_broken() {
        let broken = set("<objectSet><kind>enter</kind></objectSet>");
        assert!(Seen::default().take(&broken).is_err());
    }
}
