//! What is said about the input: where, what was wanted, what was found, what to do.
//!
//! Everything that reads the input is handed one [`Findings`] and goes on after an error where it can, so that one
//! run of `check` tells them all. Errors are values with context; only here do they become text.
#![forbid(unsafe_code)]

use super::nearest;
use std::collections::HashSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A place in the input. Line 0: the file, or the command line, as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The path as the operator wrote it, or the option the text came by.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl Place {
    /// The file as a whole.
    pub fn whole(file: &str) -> Place {
        Place {
            file: file.into(),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{}:{}", self.file, line, self.column),
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Cause {
    /// The file system says no.
    #[error("wanted a readable file, found: {0}")]
    Unreadable(String),
    /// A value of the wrong kind, or out of its range.
    #[error("wanted {wanted}, found {found}{}", then(advice))]
    Wanted {
        /// What would do.
        wanted: String,
        /// What is there.
        found: String,
        /// What to do.
        advice: String,
    },
    /// A key nobody reads.
    #[error("wanted a key of {whose}, found `{key}`{}", then(advice))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// Whose keys are known.
        whose: String,
        /// The nearest known one, or all.
        advice: String,
    },
    /// One key twice in one map.
    #[error("wanted each key once, found `{key}` again (first at {first}); remove one")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it is first.
        first: Place,
    },
    /// gwpool's word, but for later.
    #[error("`{what}` is known, but not served yet (see README, limits); remove it")]
    NotServed {
        /// The key, or the key and its value.
        what: String,
    },
    /// A variable, group or host that is not there.
    #[error("wanted {what}, found none{}", then(advice))]
    Undefined {
        /// The name and what it should be.
        what: String,
        /// The nearest there is.
        advice: String,
    },
    /// A template that cannot be rendered.
    #[error("the template `{template}` fails: {reason}")]
    Template {
        /// As written.
        template: String,
        /// The engine's words.
        reason: String,
    },
    /// Ansible's rule: a dict given twice is replaced, not merged.
    #[error(
        "`{name}` replaces the one at {first}, as in Ansible, and loses {}; repeat them here",
        quoted(lost)
    )]
    KeysLost {
        /// The variable.
        name: String,
        /// What the winner lacks.
        lost: Vec<String>,
        /// Where the loser is.
        first: Place,
    },
    /// Two that exclude each other.
    #[error("{what}, like {other} ({first}); change one")]
    Clash {
        /// This one, as the start of a sentence.
        what: String,
        /// The other one.
        other: String,
        /// Where it is.
        first: Place,
    },
    /// A gateway would take for a new connection what another has sent on with the client's address.
    #[error(
        "`source: preserve` of the route `{route}` sends what comes to port {listen} to port {to} of {}, where the \
         route listens, too: a loop; give another destination port, or `source: nat`",
        quoted(hosts)
    )]
    Loop {
        /// The route.
        route: String,
        /// Its ports.
        listen: String,
        /// Those of its destination.
        to: String,
        /// The gateways among its backends.
        hosts: Vec<String>,
    },
    /// A host that cannot be reached.
    #[error(
        "wanted the address of `{host}` on `{network}`, found none ({reason}); give the host variable \
         `{network}: {{address: A}}`, or `ansible_host`, or a name that resolves"
    )]
    NoAddress {
        /// The host.
        host: String,
        /// The network.
        network: String,
        /// The resolver's words.
        reason: String,
    },
    /// An address no other host can be reached by.
    #[error(
        "wanted an address by which `{host}` is reached on `{network}`, found {address} ({source_name}); give the \
         host variable `{network}: {{address: A}}`"
    )]
    BadAddress {
        /// The host.
        host: String,
        /// The network.
        network: String,
        /// What was found.
        address: Ipv4Addr,
        /// Who said so.
        source_name: String,
    },
    /// More than a table holds.
    #[error("wanted at most {most} {what}, found {found}; {advice}")]
    TooMany {
        /// What is counted.
        what: String,
        /// How many there are.
        found: usize,
        /// How many may be.
        most: u64,
        /// The key that moves the limit, if one does.
        advice: String,
    },
}

impl Cause {
    /// [`Cause::Wanted`]; the advice may be empty.
    pub fn wanted(
        wanted: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Cause {
        let (wanted, found, advice) = (wanted.into(), found.into(), advice.into());
        Cause::Wanted {
            wanted,
            found,
            advice,
        }
    }

    /// [`Cause::TooMany`].
    pub fn too_many(
        what: impl Into<String>,
        found: usize,
        most: u64,
        advice: impl Into<String>,
    ) -> Cause {
        let (what, advice) = (what.into(), advice.into());
        Cause::TooMany {
            what,
            found,
            most,
            advice,
        }
    }
}

fn then(advice: &str) -> String {
    if advice.is_empty() {
        String::new()
    } else {
        format!("; {advice}")
    }
}

fn quoted(keys: &[String]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    keys.join(", ")
}

/// An error and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{at}: {cause}")]
pub struct Problem {
    /// Where.
    pub at: Place,
    /// What.
    pub cause: Cause,
}

/// Something that is read, but worth saying once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it was met first.
    pub at: Place,
    /// What.
    pub text: String,
    /// It will not go well.
    pub is_warning: bool,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

/// Why there is no plan: every error found, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In the order they were found; never empty.
    pub errors: Vec<Problem>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.errors.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Report {}

/// What is compared to find nearest words, in one run: ten thousand errors over ten thousand names end all the same.
const COMPARED_MAX: usize = 500_000;

/// What was found so far. Shared: templates are rendered inside the template engine's own values.
#[derive(Debug, Default)]
pub struct Findings {
    errors: Mutex<Told<Problem, Problem>>,
    notes: Mutex<Told<Note, String>>,
    /// Words that were compared to find the nearest.
    compared: AtomicUsize,
}

/// In the order they were found, and what makes them the same.
#[derive(Debug)]
struct Told<T, K> {
    all: Vec<T>,
    known: HashSet<K>,
}

impl<T, K> Default for Told<T, K> {
    fn default() -> Self {
        Told {
            all: Vec::new(),
            known: HashSet::new(),
        }
    }
}

impl Findings {
    /// Adds an error, once.
    pub fn error(&self, at: &Place, cause: Cause) {
        self.problem(Problem {
            at: at.clone(),
            cause,
        });
    }

    /// Adds an error, once.
    pub fn problem(&self, problem: Problem) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.known.insert(problem.clone()) {
            errors.all.push(problem);
        }
    }

    /// Adds a note; the same text elsewhere is not said again.
    pub fn note(&self, at: &Place, text: String) {
        self.tell(at, text, false);
    }

    /// The same for what is served as asked, and will not go well.
    pub fn warn(&self, at: &Place, text: String) {
        self.tell(at, text, true);
    }

    fn tell(&self, at: &Place, text: String, is_warning: bool) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.known.insert(text.clone()) {
            let at = at.clone();
            notes.all.push(Note {
                at,
                text,
                is_warning,
            });
        }
    }

    /// "did you mean", or what there is to choose from. Nothing once [`COMPARED_MAX`] words have been looked at.
    pub fn suggest<'a>(&self, word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
        if self.compared.load(Ordering::Relaxed) > COMPARED_MAX {
            return String::new();
        }
        let known: Vec<&str> = known.into_iter().collect();
        self.compared.fetch_add(known.len(), Ordering::Relaxed);
        nearest::suggestion(word, &known)
    }

    /// The notes, or every error there is.
    pub fn verdict(&self) -> Result<Vec<Note>, Report> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if !errors.all.is_empty() {
            let errors = errors.all.clone();
            return Err(Report { errors });
        }
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(notes.all.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_end_and_errors_go_on() {
        let findings = Findings::default();
        assert_eq!(findings.suggest("prot", ["port"]), "did you mean `port`?");
        let many = std::iter::repeat_n("quite another word", COMPARED_MAX);
        assert_eq!(findings.suggest("prot", many), "");
        assert_eq!(findings.suggest("prot", ["port"]), "");
        findings.error(&Place::whole("f"), Cause::Unreadable("gone".to_owned()));
        assert!(findings.verdict().is_err());
    }
}
