//! `flows`: what the daemon says line by line, made readable as it comes. What was asked for goes to stdout, how much it
//! was to stderr.

use crate::daemon::Places;
use crate::flows::entry::Entry;
use crate::stats::driver;
use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};

#[derive(Debug, Args)]
pub(super) struct FlowArgs {
    /// For programs to read: an object a line
    #[arg(long)]
    pub(super) json: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Those that come and go from now on
    #[arg(long, conflicts_with = "delete")]
    follow: bool,
    /// Remove them; needs a FILTER
    #[arg(long)]
    delete: bool,
    /// route=R backend=B client=CIDR port=N state=S proto=P nat mapping: all must fit
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

impl FlowArgs {
    /// As the daemon is asked.
    pub(super) fn request(&self) -> Value {
        let FlowArgs {
            limit,
            follow,
            delete,
            filter,
            ..
        } = self;
        json!({
            "verb": "flows", "filter": filter, "limit": limit, "follow": follow, "delete": delete,
        })
    }
}

/// Asks and shows; ends when the daemon has said all, or the reader has seen enough.
pub(super) fn show(places: &Places, args: &FlowArgs) -> Result<()> {
    let mut out = BufWriter::new(io::stdout());
    let request = args.request();
    driver::ask_many(&places.runtime_dir, &request, |line| {
        match pass_on(&mut out, line, args.json, &request) {
            // A reader that has seen enough closes the pipe.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            passed => passed,
        }
    })?;
    Ok(())
}

/// False: that was the last line.
fn pass_on(out: &mut impl Write, line: &str, json: bool, request: &Value) -> io::Result<bool> {
    if line.starts_with("{\"end\"") || line.starts_with("{\"following\"") {
        out.flush()?;
        let note: Value = serde_json::from_str(line)?;
        eprint!("{}", said(&note, request));
        return Ok(note.get("end").is_none());
    }
    if json {
        writeln!(out, "{line}")?;
    } else {
        let entry: Entry = serde_json::from_str(line)?;
        writeln!(out, "{entry}")?;
    }
    if request["follow"] == true {
        out.flush()?;
    }
    Ok(true)
}

/// What is no flow and no mapping, for a person.
fn said(note: &Value, request: &Value) -> String {
    if let Some(number) = note.get("following") {
        return format!("following {number} flow(s) and mapping(s)\n");
    }
    let end = &note["end"];
    let mut text = String::new();
    if request["delete"] == true {
        let (flows, mappings) = (&end["flows"], &end["mappings"]);
        text += &format!("{flows} flow(s) and {mappings} mapping(s) removed\n");
    }
    if end["more"] == true {
        text += "that is the limit; there may be more\n";
    }
    text
}

#[cfg(test)]
mod tests;
