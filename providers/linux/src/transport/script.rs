//! A script, its envelope and its answer.

use std::fmt::Write as _;

use memchr::memmem::{find, rfind};
use patchcore::{Error, ErrorKind, Result};

/// Variables that a script may inherit; everything else in a foreign environment is unset.
///
/// `APT_CONFIG`, `DPKG_ROOT` and `DPKG_ADMINDIR` say which installation apt and dpkg work on, and
/// whoever set them on purpose means it. The proxy variables decide whether a download works.
const INHERITED: &str =
    "APT_CONFIG|DPKG_ROOT|DPKG_ADMINDIR|http_proxy|https_proxy|ftp_proxy|no_proxy";

/// The search path of every script: the system's own folders and nothing a user added.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How large the pieces are in which output comes, in bytes.
const PIECE: usize = 32 << 10;

/// Shell texts of this crate as they are sent: without the lines that are comments, which are for us, and a third of them.
/// No text may have a line that begins with `#` and is none, such as one of a string.
macro_rules! shell_text {
    ($seen:vis $name:ident, $($file:literal),+) => {
        $seen static $name: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
            $crate::transport::without_comments(concat!($(include_str!($file)),+))
        });
    };
}
pub(crate) use shell_text;

pub(crate) fn without_comments(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect()
}

/// One shell script for [`Transport::run`](super::Transport::run): variables, then constant text.
///
/// ```
/// use patchcore_linux::transport::Script;
/// let script = Script::new("greet-1").set("WHO", "it's me; rm -rf /")?.text("echo \"hello $WHO\"\n");
/// # Ok::<(), patchcore::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    id: String,
    body: String,
}

/// What a script printed between its marks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// The status with which the script ended; a hint, never the truth.
    pub status: i32,
    /// Standard output between the marks.
    pub stdout: Vec<u8>,
    /// The first [`MAX_STDERR`](super::MAX_STDERR) bytes of standard error, noise included. Of a script that ended with 0
    /// the last ones may be missing.
    pub stderr: Vec<u8>,
}

impl Script {
    /// An empty script. The id is that of the operation or the scan; it is part of the marks.
    ///
    /// Characters of the id other than letters, digits and `-` become `-` in the marks.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let id = id
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(80)
            .collect();
        Self {
            id,
            body: String::new(),
        }
    }

    /// Sets a shell variable to a value, whatever characters it has.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a value with a NUL byte, which no shell can hold.
    pub fn set(mut self, name: &'static str, value: &str) -> Result<Self> {
        let value = quote(value).map_err(|e| e.context("variable", name))?;
        self.body.push_str(name);
        self.body.push('=');
        self.body.push_str(&value);
        self.body.push('\n');
        Ok(self)
    }

    /// Adds constant text of this crate. Nothing user-given may be part of it: that is what
    /// [`Script::set`] is for, and why the text must be `'static`.
    #[must_use]
    pub fn text(mut self, text: &'static str) -> Self {
        self.body.push_str(text);
        if !text.ends_with('\n') {
            self.body.push('\n');
        }
        self
    }

    /// The id in the marks.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is written to the shell: the script in its envelope.
    ///
    /// The script stands in one pair of braces, so that a shell that receives only a part of it finds a syntax error and
    /// runs nothing; and within in one pair of parentheses, so that an `exit` in it still ends at the end mark. Standard input is closed to it: a command that reads would eat the script.
    ///
    /// Its end is marked in the output, and where it failed among the errors too, so that a shell that lives on shows that
    /// it is through. The output comes in large pieces: each small one would be a packet of its own, and to wake up for
    /// it costs more than to read it.
    ///
    /// A login shell has start files, and one of them may read: a shell that did not receive the first line, in which the
    /// parenthesis opens, stops before the script's own text.
    #[must_use]
    pub fn wire(&self) -> String {
        let Self { id, body } = self;
        let mut wire = String::with_capacity(body.len() + 1024);
        // `command` takes from `unset` what makes a shell end on a variable that is read-only.
        // Names are taken from `env`, where a value of several lines can pose as a name; unsetting
        // one variable too many is harmless.
        let _ = write!(
            wire,
            "patchcore_whole={id}; {{ (\ncd / || exit 1\nPATH={PATH}\nIFS=' \t\n'\nexport PATH\n\
             for patchcore_name in $(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p'); do\n\
             case $patchcore_name in PATH|PWD|IFS|{INHERITED}) ;; *) command unset -v \"$patchcore_name\" 2>/dev/null || : ;; esac\n\
             done\n\
             LC_ALL=C HOME=/\nexport LC_ALL HOME\numask 022\n\
             [ \"${{patchcore_whole-}}\" = {id} ] || exit 1\n\
             printf '\\n%s\\n' '{begin}'\n\
             {body}\
             ) </dev/null\n\
             patchcore_status=$?\n\
             [ \"$patchcore_status\" = 0 ] || printf '\\n%s\\n' '{errors}' >&2\n\
             printf '\\n%s %s\\n' '{end}' \"$patchcore_status\"\n\
             }} | ( PATH={PATH}; exec dd ibs={PIECE} obs={PIECE} 2>/dev/null )\n",
            begin = begin_mark(id),
            errors = errors_mark(id),
            end = end_mark(id),
        );
        wire
    }

    /// What shows that the script has said all.
    pub(crate) fn marks(&self) -> Marks {
        Marks {
            end: format!("\n{} ", end_mark(&self.id)),
            errors: format!("\n{}\n", errors_mark(&self.id)),
        }
    }

    /// Whether the script itself began, by what came back.
    pub(crate) fn has_begun(&self, stdout: &[u8]) -> bool {
        find(stdout, format!("\n{}\n", begin_mark(&self.id)).as_bytes()).is_some()
    }

    /// Takes the script's own output out of all that came back.
    ///
    /// # Errors
    /// - [`ErrorKind::Unreachable`] where a mark is missing: the output is not whole.
    /// - [`ErrorKind::ProviderFault`] where a mark stands within: somebody else wrote it.
    pub fn unwrap_output(&self, stdout: &[u8], mut stderr: Vec<u8>) -> Result<Output> {
        if let Some(end) = find(&stderr, self.marks().errors.as_bytes()) {
            stderr.truncate(end);
        }
        let cut = |what: &str, found: &[u8]| {
            Error::new(
                ErrorKind::Unreachable,
                format!("script {}: its answer was cut off", self.id),
            )
            .expected(format!("the {what} mark of the script"))
            .found(excerpt(found, &stderr))
            .consequence("whether the script had an effect is unknown")
            .hint("look whether the machine and the way to it are up, then ask again")
            .retryable(None)
        };
        let begin = format!("\n{}\n", begin_mark(&self.id));
        let end = format!("\n{} ", end_mark(&self.id));
        let start =
            find(stdout, begin.as_bytes()).ok_or_else(|| cut("begin", stdout))? + begin.len();
        // The end mark starts with a line feed of its own. Looking from the one that ends the begin
        // mark lets a script without any output pass.
        let body = &stdout[start - 1..];
        let stop = rfind(body, end.as_bytes()).ok_or_else(|| cut("end", body))?;
        let status = &body[stop + end.len()..];
        let line_end = find(status, b"\n").ok_or_else(|| cut("end", body))?;
        let status = std::str::from_utf8(&status[..line_end])
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| cut("end", body))?;
        // With a line feed before and after, so that a mark at either end is seen.
        let within = &body[..=stop];
        if find(within, begin.as_bytes()).is_some() || find(within, end.as_bytes()).is_some() {
            return Err(Error::new(
                ErrorKind::ProviderFault,
                format!(
                    "script {}: its answer has a mark of its own within",
                    self.id
                ),
            )
            .expected("each mark of the script once")
            .found("one of them twice")
            .consequence("whether the script had an effect is unknown")
            .hint(
                "look at what the machine printed: something there writes the marks of patchcore",
            ));
        }
        Ok(Output {
            status,
            stdout: body[..stop].get(1..).unwrap_or_default().to_vec(),
            stderr,
        })
    }
}

fn begin_mark(id: &str) -> String {
    format!("==patchcore {id} begin==")
}

fn end_mark(id: &str) -> String {
    format!("==patchcore {id} end==")
}

fn errors_mark(id: &str) -> String {
    format!("==patchcore {id} errors==")
}

/// The marks by which a shell shows that it is through with a script.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    end: String,
    errors: String,
}

/// How the output of a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// It succeeded. What it printed among the errors is marked only where it did not.
    pub(crate) well: bool,
    /// Nothing came behind the end mark.
    pub(crate) is_last: bool,
}

impl Marks {
    /// Whether the script has ended, by its output, of which the first `known` bytes were looked at before.
    pub(crate) fn ended(&self, stdout: &[u8], known: usize) -> Option<Ended> {
        let end = self.end.as_bytes();
        // The mark may have come before the status behind it, which has three digits at most.
        let from = known.saturating_sub(end.len() + 4);
        let new = stdout.get(from..)?;
        let status = new.get(rfind(new, end)? + end.len()..)?;
        let line = find(status, b"\n")?;
        Some(Ended {
            well: status.get(..line) == Some(b"0"),
            is_last: line + 1 == status.len(),
        })
    }

    /// The mark behind the last error, with the ends of the lines around it.
    pub(crate) fn errors(&self) -> &[u8] {
        self.errors.as_bytes()
    }
}

/// The last line of what did come, for the person who reads the error.
fn excerpt(stdout: &[u8], stderr: &[u8]) -> String {
    let text = if stderr.is_empty() { stdout } else { stderr };
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]);
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{:?}", line.chars().take(200).collect::<String>()),
        None => "no output".to_owned(),
    }
}

/// One word for a POSIX shell that stands for exactly this text.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for text with a NUL byte, which no shell word can hold.
pub fn quote(text: &str) -> Result<String> {
    if text.contains('\0') {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a shell word cannot hold a NUL byte",
        )
        .found(format!("{text:?}")));
    }
    Ok(format!("'{}'", text.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_the_answer() {
        fn check(stdout: &str, expect: Result<(i32, &str), &str>) {
            let found = Script::new("a-1").unwrap_output(stdout.as_bytes(), Vec::new());
            match (found, expect) {
                (Ok(output), Ok((status, text))) => {
                    assert_eq!(
                        (output.status, output.stdout.as_slice()),
                        (status, text.as_bytes()),
                        "{stdout:?}"
                    );
                }
                (Err(error), Err(text)) => {
                    assert!(error.to_string().contains(text), "{stdout:?}: {error}")
                }
                (found, expect) => panic!("{stdout:?}: expected {expect:?} but found {found:?}"),
            }
        }
        check(
            "\n==patchcore a-1 begin==\nx\ny\n\n==patchcore a-1 end== 0\n",
            Ok((0, "x\ny\n")),
        );
        check(
            "\n==patchcore a-1 begin==\nx\n==patchcore a-1 end== 7\n",
            Ok((7, "x")),
        );
        check(
            "\n==patchcore a-1 begin==\n\n==patchcore a-1 end== 0\n",
            Ok((0, "")),
        );
        check(
            "Welcome!\n==patchcore a-1 begin==\nx\n==patchcore a-1 end== 0\nbye\n",
            Ok((0, "x")),
        );
        check(
            "Welcome!\n",
            Err("begin mark of the script but found \"Welcome!\""),
        );
        check("", Err("begin mark of the script but found no output"));
        check("\n==patchcore a-1 begin==\nhalf", Err("end mark"));
        check(
            "\n==patchcore a-1 begin==\nx\n==patchcore a-1 end== ",
            Err("end mark"),
        );
        for within in [
            "x\n==patchcore a-1 begin==\ny",
            "==patchcore a-1 begin==\ny",
            "x\n==patchcore a-1 end== 0\ny",
            "==patchcore a-1 end== 0\ny",
        ] {
            check(
                &format!("\n==patchcore a-1 begin==\n{within}\n==patchcore a-1 end== 0\n"),
                Err("a mark of its own within"),
            );
        }
        check(
            "\n==patchcore b-2 begin==\nx\n==patchcore b-2 end== 0\n",
            Err("begin mark"),
        );
    }

    #[test]
    fn an_id_cannot_leave_its_mark() {
        assert_eq!(Script::new("a'\n$(b)").id(), "a----b-");
    }
}
