//! What `iptables-save -t nat` prints, as rules.
#![forbid(unsafe_code)]

use super::{Hit, Outbound, Rule, Table, Verdict};

/// The table `nat`. `tool`: the command whose rules these are.
pub fn read(text: &str, tool: &str, outbound: &Outbound) -> Table {
    let mut table = Table {
        bases: vec!["POSTROUTING".to_owned()],
        ..Table::default()
    };
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("-A ") else {
            continue;
        };
        let words = split(rest);
        let Some((chain, words)) = words.split_first() else {
            continue;
        };
        let (hit, verdict) = one(words, outbound);
        table.chains.entry(chain.clone()).or_default().push(Rule {
            hit,
            verdict,
            removal: format!("{tool} -t nat -D {rest}"),
        });
    }
    table
}

/// Words as a shell splits them: a comment may have blanks in it.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            letter => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn one(words: &[String], outbound: &Outbound) -> (Hit, Verdict) {
    let (mut hit, mut verdict) = (Hit::All, Verdict::Pass);
    let mut words = words.iter().map(String::as_str);
    let mut negated = false;
    while let Some(word) = words.next() {
        if word == "!" {
            negated = true;
            continue;
        }
        let mut value = || words.next().unwrap_or_default();
        let matched = match word {
            "-o" => Hit::interface(value(), outbound.outside),
            "-i" => Hit::interface(value(), outbound.inside),
            "-s" => Hit::source(value(), outbound.sources),
            "-d" | "-p" | "--dport" | "--sport" | "--dports" | "--sports" => {
                value();
                Hit::Some
            }
            "-m" => match value() {
                "comment" | "tcp" | "udp" | "multiport" => Hit::All,
                _ => Hit::Unknown,
            },
            "--comment" => {
                value();
                Hit::All
            }
            "-j" => {
                verdict = target(value());
                // What follows is the target's own.
                break;
            }
            "-g" => {
                verdict = Verdict::Goto(value().to_owned());
                break;
            }
            // An option of a match that is not known, turned round or not; or its value.
            _ => {
                negated = false;
                continue;
            }
        };
        hit = hit.and(if negated { matched.inverted() } else { matched });
        negated = false;
    }
    (hit, verdict)
}

fn target(name: &str) -> Verdict {
    match name {
        "MASQUERADE" | "SNAT" => Verdict::Translate,
        "ACCEPT" | "DROP" => Verdict::End,
        "RETURN" => Verdict::Return,
        "MARK" | "CONNMARK" | "LOG" | "NFLOG" => Verdict::Pass,
        chain => Verdict::Jump(chain.to_owned()),
    }
}
