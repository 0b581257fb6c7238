//! Reads a policy from a file and checks one that was built in code.

use std::path::Path;

use super::{Policy, cross_check::cross_check, vocabulary::FORM};
use crate::{
    document::{Document, Mistakes},
    error::Result,
};

impl Policy {
    /// Reads a policy from TOML; `file_name` is how mistakes call the text.
    ///
    /// ```
    /// use patchcore::policy::Policy;
    /// let policy = Policy::from_toml("[[ring]]\nname = \"all\"\nselect = \"*\"\n", "policy.toml")?;
    /// assert_eq!(policy.place("/ring/0/name").unwrap().to_string(), "policy.toml:2:1");
    /// # Ok::<(), patchcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` with every mistake and its line and column.
    pub fn from_toml(text: &str, file_name: &str) -> Result<Self> {
        Ok(Self::check_toml(text, file_name)?)
    }

    /// Reads a policy from JSON, which has the same keys; `file_name` is how mistakes call the
    /// text.
    ///
    /// # Errors
    /// `InvalidInput` with every mistake and its JSON pointer.
    pub fn from_json(text: &str, file_name: &str) -> Result<Self> {
        Ok(Self::check_json(text, file_name)?)
    }

    /// Reads a policy from a file, by its extension `.toml` or `.json`.
    ///
    /// # Errors
    /// `NotFound` or `Io` where the file cannot be read, `InvalidInput` with every mistake in it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Ok(read(FORM.file(path.as_ref())?)?)
    }

    /// As [`Policy::from_toml`], with the mistakes as values.
    ///
    /// # Errors
    /// Every mistake.
    pub fn check_toml(text: &str, file_name: &str) -> Result<Self, Mistakes> {
        read(FORM.toml(text, file_name)?)
    }

    /// As [`Policy::from_json`], with the mistakes as values.
    ///
    /// # Errors
    /// Every mistake.
    pub fn check_json(text: &str, file_name: &str) -> Result<Self, Mistakes> {
        read(FORM.json(text, file_name)?)
    }

    /// Checks a policy that was built in code as one that is read from a file: by the same
    /// vocabulary and the same rules. Durations are taken in whole seconds.
    ///
    /// # Errors
    /// Every mistake, each with the JSON pointer of its item after the name of the policy.
    pub fn check(&self) -> Result<Self, Mistakes> {
        read(FORM.value(self, &self.name)?)
    }
}

fn read(mut document: Document) -> Result<Policy, Mistakes> {
    let mut policy: Policy = document.content();
    policy.places = document.places().clone();
    cross_check(&policy, &mut document);
    document.finish(policy)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::document::LONGEST;
    use crate::error::ErrorKind;
    use crate::policy::{
        ApprovalRules, Blackout, Budget, Check, ExceptionRule, Order, Percent, Ring, Selector,
        StartAfter, Window,
    };

    const EXAMPLE: &str = include_str!("example.toml");

    fn built() -> Policy {
        let select = |text: &str| Selector::parse(text).unwrap();
        let day = |text: &str| text.parse().unwrap();
        Policy::named("monthly-linux")
            .with_owner("platform-team")
            .with_approval(ApprovalRules::new(1, ["maria", "jon"]))
            .with_window(
                Window::new("weeknights", "Europe/Berlin", "mon..thu".parse().unwrap())
                    .with_hours("22:00".parse().unwrap(), "04:00".parse().unwrap()),
            )
            .with_blackout(Blackout::new(
                day("2026-12-20"),
                day("2027-01-03"),
                "year-end freeze",
            ))
            .with_exception(ExceptionRule::new(
                "mysql-*".parse().unwrap(),
                "the vendor certifies in January",
                "dana",
                day("2027-01-31"),
            ))
            .with_ring(Ring::new("test", select("ring = test")))
            .with_ring(
                Ring::new("broad", Selector::all())
                    .with_at_once(Budget::ShareOfRing(Percent::new(10).unwrap()))
                    .with_start_after(
                        StartAfter::ring("test")
                            .with_success(Percent::new(95).unwrap())
                            .with_at_least(2),
                    )
                    .with_soak(std::time::Duration::from_secs(2 * 86_400)),
            )
            .with_order(Order::new(
                "app",
                [
                    select("tier = db"),
                    select("tier = app"),
                    select("tier = web"),
                ],
            ))
            .with_check(Check::http("http://{address}/healthz").with_select(select("tier = web")))
            .with_check(
                Check::command(["systemctl", "is-active", "nginx"])
                    .with_select(select("tier = web")),
            )
    }

    #[test]
    fn toml_json_and_code_make_the_same_policy() {
        let policy = Policy::from_toml(EXAMPLE, "policy.toml").unwrap();
        assert_eq!(policy, built());
        assert_eq!(policy, built().check().unwrap());
        let json = serde_json::to_string_pretty(&policy).unwrap();
        let from_json = Policy::from_json(&json, "policy.json").unwrap();
        assert_eq!(policy, from_json);
        assert_eq!(policy.digest(), from_json.digest());
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    }

    #[test]
    fn an_empty_policy_plans_and_says_what_it_lacks() {
        for policy in [
            Policy::from_toml("", "p").unwrap(),
            Policy::from_json("{}", "p").unwrap(),
        ] {
            assert_eq!(policy, Policy::default());
            assert_eq!(
                policy
                    .lacks()
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>(),
                [
                    "nobody may approve: name people in [approval] from",
                    "no window is open, ever: add a [[window]], if need be with when = \"any time\"",
                ]
            );
            assert_eq!(
                policy.effective_rings(),
                [Ring::new("all", Selector::all())]
            );
        }
        assert_eq!(built().lacks(), []);
    }

    #[test]
    fn items_keep_their_places() {
        let policy = Policy::from_toml(EXAMPLE, "policy.toml").unwrap();
        for (pointer, place) in [
            ("", "policy.toml:1:1"),
            ("/name", "policy.toml:2:1"),
            ("/approval", "policy.toml:5:2"),
            ("/approval/from/1", "policy.toml:7:19"),
            ("/ring/1", "policy.toml:36:1"),
            ("/ring/1/start_after", "policy.toml:40:1"),
            ("/ring/1/start_after/at_least", "policy.toml:40:49"),
        ] {
            assert_eq!(
                policy.place(pointer).map(ToString::to_string).as_deref(),
                Some(place),
                "{pointer}"
            );
        }
        assert_eq!(policy.place("/ring/1/window"), None);
        assert_eq!(built().place("/name"), None);
    }

    #[test]
    fn the_digest_is_of_what_it_says() {
        let digest = |text: &str, name: &str| Policy::from_toml(text, name).unwrap().digest();
        let one = digest(
            "name = \"a\"\n[[ring]]\nname = \"r\"\nselect = \"a=b\"",
            "one.toml",
        );
        let same =
            "# A comment.\nring = [{ select = 'a = b', soak = '1d', name = 'r' }]\nname = 'a'";
        assert_eq!(one, digest(same, "two.toml"));
        assert_eq!(one.len(), 64);
        assert_ne!(
            one,
            digest(
                "name = \"a\"\n[[ring]]\nname = \"r\"\nselect = \"a=c\"",
                "one.toml"
            )
        );
        // Approvals name it, so that it must stay what it is. The number is that of another program:
        // SHA-256 over JSON with sorted keys and without white space, written from the documentation.
        let default = "3dc88c018b29f653864102626d395c7acee63178fc74289b5f098761b3d60d9a";
        assert_eq!(Policy::default().digest(), default);
    }

    #[test]
    fn files_are_read_by_their_extension() {
        let folder = std::env::temp_dir().join(format!("patchcore-policy-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let toml = write("policy.toml", EXAMPLE.as_bytes());
        assert_eq!(Policy::from_file(&toml).unwrap(), built());
        let json = write("policy.json", &serde_json::to_vec(&built()).unwrap());
        assert_eq!(Policy::from_file(&json).unwrap(), built());
        let big = write("big.toml", " ".repeat(LONGEST + 2).as_bytes());
        for (path, kind, part) in [
            (
                folder.join("none.toml"),
                ErrorKind::NotFound,
                "none.toml could not be read",
            ),
            (
                folder.join("policy.yaml"),
                ErrorKind::InvalidInput,
                "does not say what it is written in",
            ),
            (
                write("latin.toml", b"name = \"\xe9\""),
                ErrorKind::InvalidInput,
                "latin.toml could not be read",
            ),
            (
                big,
                ErrorKind::InvalidInput,
                "a policy has at most 1048576 bytes",
            ),
        ] {
            let error = Policy::from_file(&path).unwrap_err();
            assert_eq!(error.kind(), kind, "{path:?}");
            assert!(error.to_string().contains(part), "{error}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_error_is_the_whole_listing_once() {
        let error = Policy::from_toml("nam = 1\npolicy = 2", "p.toml").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        for shown in [error.to_string(), format!("{error:?}"), error.chain()] {
            assert!(
                shown.starts_with("p.toml:1:1: unknown key \"nam\"\n"),
                "{shown}"
            );
            assert!(shown.ends_with("\n2 mistakes; nothing was done"), "{shown}");
            assert_eq!(shown.matches("2 mistakes").count(), 1, "{shown}");
        }
        let mistakes = Policy::check_toml("nam = 1\npolicy = 2", "p.toml").unwrap_err();
        let [unknown, version] = mistakes.as_slice() else {
            panic!("{mistakes}")
        };
        assert_eq!(unknown.suggestion.as_deref(), Some("name"));
        assert_eq!(version.place.to_string(), "p.toml:2:10");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = Policy::from_toml(&text, "p");
            let _ = Policy::from_json(&text, "p");
        }

        #[test]
        fn no_cut_and_no_slip_panics(
            json in any::<bool>(), at in any::<prop::sample::Index>(), length in 0_usize..40, put in "[\\PC\n]{0,4}",
        ) {
            let whole = if json { serde_json::to_string(&built()).unwrap() } else { EXAMPLE.to_owned() };
            let at = at.index(whole.len());
            let end = (at + length).min(whole.len());
            let text = format!("{}{put}{}", &whole[..at], &whole[end..]);
            let read = if json { Policy::check_json(&text, "p") } else { Policy::check_toml(&text, "p") };
            // What is taken can be written down and taken again.
            if let Ok(policy) = read {
                prop_assert_eq!(policy.check().unwrap(), policy);
            }
        }
    }
}
