//! A row of the checklist: what an RFC asks for in one sentence, how strongly, and how it is tried. A probe gives what
//! it observed as kept or broken; an error is the harness's own and fails the row for every subject.

use super::ground::Ground;
use super::subject::Setting;
use anyhow::Result;

/// How strongly it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// MUST and MUST NOT; and what the design promises.
    Must,
    /// SHOULD and RECOMMENDED.
    Should,
    /// MAY.
    May,
}

/// What was observed, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// As asked for.
    Kept(String),
    /// Not so.
    Broken(String),
}

/// What a probe gives.
pub type Seen = Result<Finding>;

/// What is known of nftables masquerade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linux {
    /// It does as asked.
    Keeps,
    /// It does not; these words are in the evidence.
    Breaks(&'static str),
    /// It has no such thing.
    Absent,
}

/// One row.
pub struct Row {
    /// Its test's name.
    pub name: &'static str,
    /// Where it is asked for.
    pub source: &'static str,
    /// How strongly.
    pub level: Level,
    /// What is asked for.
    pub says: &'static str,
    /// Under which settings.
    pub setting: Setting,
    /// What Linux does.
    pub linux: Linux,
    /// Whether Linux lets box addresses out in this row.
    pub linux_leaks: bool,
    /// Tries it.
    pub probe: fn(&Ground) -> Seen,
}

impl Row {
    pub(super) const fn new(
        name: &'static str,
        source: &'static str,
        level: Level,
        says: &'static str,
        probe: fn(&Ground) -> Seen,
    ) -> Row {
        Row {
            name,
            source,
            level,
            says,
            setting: Setting::Plain,
            linux: Linux::Keeps,
            linux_leaks: false,
            probe,
        }
    }

    pub(super) const fn under(mut self, setting: Setting) -> Row {
        self.setting = setting;
        self
    }

    pub(super) const fn linux_breaks(mut self, evidence: &'static str) -> Row {
        self.linux = Linux::Breaks(evidence);
        self
    }

    pub(super) const fn not_of_linux(mut self) -> Row {
        self.linux = Linux::Absent;
        self
    }

    pub(super) const fn linux_leaks(mut self) -> Row {
        self.linux_leaks = true;
        self
    }
}

impl Level {
    /// As the RFCs write it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::May => "MAY",
        }
    }
}

/// Kept or not, with the evidence.
pub(super) fn judge(kept: bool, evidence: impl Into<String>) -> Seen {
    Ok(if kept {
        Finding::Kept(evidence.into())
    } else {
        Finding::Broken(evidence.into())
    })
}
