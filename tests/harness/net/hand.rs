//! A hand at the command line of one gateway: verbs that change what runs, what they printed and how they exited; and
//! an inventory of the whole pool that can be written anew.

use super::gateway::Gateway;
use super::site::Site;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Stdio;

/// What a command left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Its output as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("reading {self:?}"))
    }
}

impl Gateway {
    /// A command to this gateway's daemon, whatever comes of it: the verb first.
    pub fn say(&self, words: &[&str]) -> Result<Said> {
        let (verb, rest) = words.split_first().context("no verb")?;
        let mut command = self.user(verb)?;
        let output = command.args(rest).stdin(Stdio::null()).output()?;
        let text =
            |bytes| String::from_utf8(bytes).context("it printed something that is not UTF-8");
        Ok(Said {
            code: output.status.code().context("it was killed")?,
            out: text(output.stdout)?,
            err: text(output.stderr)?,
        })
    }

    /// The same, and it must succeed.
    pub fn tell(&self, words: &[&str]) -> Result<Said> {
        let said = self.say(words)?;
        ensure!(said.code == 0, "{words:?}: {said:?}");
        Ok(said)
    }

    /// Writes the inventory anew and has it read: what `reload --json` answers.
    pub fn reload(&self, inventory: &str) -> Result<Value> {
        std::fs::write(self.inventory_file(), inventory)?;
        self.tell(&["reload", "--json"])?.json()
    }
}

impl Site {
    /// An inventory of the whole pool with these routes: a name, the port it listens on, the backends' port.
    pub fn pool_inventory(&self, routes: &[(&str, u16, u16)]) -> String {
        let host = |gateway: &Gateway| {
            format!(
                "    {}: {{box-network: {{address: {}}}}}\n",
                gateway.name, gateway.box_network
            )
        };
        let route = |(name, port, backends): &(&str, u16, u16)| {
            format!(
                "    {name}: {{mode: tcp, address: \"*\", port: {port}, destination: {{group: {{name: pool}}, port: {backends}}}}}\n"
            )
        };
        let hosts: String = self.gateways.iter().map(host).collect();
        let routes: String = routes.iter().map(route).collect();
        format!("pool:\n  hosts:\n{hosts}proxies:\n  target: {{group: pool}}\n  routes:\n{routes}")
    }
}
