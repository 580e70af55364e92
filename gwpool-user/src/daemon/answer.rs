//! What an instance answers at its socket: the snapshot to whom the socket lets in, changes to root alone.
//!
//! Requests come one by one, between everything else that writes maps, and each change is logged with who asked.

use super::instance::{Instance, chain};
use crate::datapath::census::NAT;
use crate::datapath::mode::Mode;
use crate::stats::driver::{self, Answer, Request};
use crate::stats::snapshot::{self, Snapshot};
use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// The verbs that change nothing.
const READS: [&str; 2] = ["stats", "flows"];

/// The input is wrong: nothing was changed, and the command exits with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Wrong(pub(super) String);

/// What a request leaves to be done.
pub(super) enum Next {
    /// Nothing.
    Done,
    /// The daemon stops.
    Stop,
    /// Its inputs are read again, and then this is answered.
    Reload(Asker),
}

/// Who wants to hear how a reload went.
pub(super) struct Asker {
    /// Who it is, in words.
    pub(super) name: String,
    /// A signal expects no answer.
    pub(super) answer: Option<oneshot::Sender<Answer>>,
}

impl Instance {
    pub(super) async fn answer(&mut self, request: Request) -> Next {
        let Request { body, uid, answer } = request;
        let verb = body["verb"].as_str().unwrap_or_default();
        if let Err(error) = permitted(verb, &body, uid) {
            warn!("uid {uid}: {error:#}");
            let _ = answer.send(refused(&error).into());
            return Next::Done;
        }
        let (done, next) = match verb {
            "flows" => {
                let listed = self.list_flows(&body, uid).map(Answer::Many);
                let _ = answer.send(listed.unwrap_or_else(|error| refused(&error).into()));
                return Next::Done;
            }
            "stats" => (self.snapshot().await, Next::Done),
            "stop" => (Ok(json!({ "stopping": true })), Next::Stop),
            "reload" => {
                let (name, answer) = (format!("uid {uid}"), Some(answer));
                return Next::Reload(Asker { name, answer });
            }
            "route" => (self.switch(&body), Next::Done),
            "backend" => (self.set_state(&body), Next::Done),
            "weight" => (self.set_weight(&body), Next::Done),
            "" => (Err(anyhow!("the request names no verb")), Next::Done),
            verb => (
                Err(anyhow!("this daemon does not know the verb {verb}")),
                Next::Done,
            ),
        };
        if !READS.contains(&verb) {
            match &done {
                Ok(answer) => info!("uid {uid}: {body}: {} map writes", answer["writes"]),
                Err(error) => warn!("uid {uid}: {body}: refused: {error:#}"),
            }
        }
        // A client that has left wants no answer.
        let _ = answer.send(done.unwrap_or_else(|error| refused(&error)).into());
        next
    }

    async fn snapshot(&self) -> Result<Value> {
        let census = self.sweep.count(&self.datapath).await?;
        let mut counters = BTreeMap::new();
        for id in self.image.backends.keys() {
            counters.insert(*id, self.datapath.counters(*id)?);
        }
        counters.insert(NAT, self.datapath.counters(NAT)?);
        let modes: BTreeMap<String, Mode> = self
            .attached
            .values()
            .map(|choice| (choice.interface.clone(), choice.mode))
            .collect();
        let snapshot = Snapshot::of(&snapshot::Sources {
            plan: &self.plan,
            image: &self.image,
            uptime_seconds: self.started.elapsed().as_secs(),
            modes: &modes,
            counters: &counters,
            reasons: &self.datapath.reasons()?,
            census: &census,
            answers: self.datapath.answers()?,
            filled: self.datapath.flows.filled().await?,
            fragments: self.fragments.counts(),
        });
        Ok(serde_json::to_value(snapshot)?)
    }
}

/// The socket's mode says who may ask at all; who may change something is said by the kernel, too.
fn permitted(verb: &str, body: &Value, uid: u32) -> Result<()> {
    let deletes = body["delete"] == true;
    if uid != 0 && (deletes || !READS.contains(&verb)) {
        let what = if deletes { " --delete" } else { "" };
        bail!("{verb}{what} is for root (uid 0), and this is uid {uid}");
    }
    Ok(())
}

/// The answer that means no, and whether the input is to blame.
pub(super) fn refused(error: &anyhow::Error) -> Value {
    if error.is::<Wrong>() {
        driver::wrong(&chain(error))
    } else {
        driver::refusal(&chain(error))
    }
}
