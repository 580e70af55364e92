//! The daemon's socket: a line of JSON in, a line of JSON out, or many, as often as the client likes.
//!
//! Requests are read here, bounded in length, time and number, and handed to the daemon one by one, with the user who
//! asks; a client that is slow to ask or to read delays nobody but itself.

use nix::unistd::{Group, chown};
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as Client;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

/// Longest request, bytes.
const REQUEST_BYTES: u64 = 4096;
/// Clients at a time; more wait.
const CLIENTS: usize = 32;
/// Who may connect, besides root; where there is no such group, root alone.
const GROUP: &str = "gwpool";
/// For a client to ask, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a client to take a part of many lines: there may be a person behind it, who reads them page by page.
const LONG_PATIENCE: Duration = Duration::from_secs(3600);

/// What goes wrong at the socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("no gwpool daemon runs here (looked at {path}): start it with gwpool-user run", path = path.display())]
    NoDaemon {
        /// The socket looked for.
        path: PathBuf,
    },
    /// Somebody else listens.
    #[error(
        "a gwpool daemon already runs here (it answers at {path}); stop it with gwpool-user stop, or give this one \
         its own --runtime-dir and --pin-dir",
        path = path.display()
    )]
    Runs {
        /// Its socket.
        path: PathBuf,
    },
    /// Anything else.
    #[error("socket {path}: {what}", path = path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The daemon understood, and says no.
    #[error("{0}")]
    Refused(String),
    /// The daemon understood what is wanted, and that is wrong.
    #[error("{0}")]
    Wrong(String),
}

/// The socket's path.
pub fn socket(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("gwpool.sock")
}

/// What a client wants of the daemon.
#[derive(Debug)]
pub struct Request {
    /// As it came.
    pub body: Value,
    /// Whose process asks, by the kernel's word.
    pub uid: u32,
    /// Where the answer goes; the client may have left.
    pub answer: oneshot::Sender<Answer>,
}

/// What a client gets.
#[derive(Debug)]
pub enum Answer {
    /// One line.
    One(Value),
    /// Lines, some at a time, as long as they come and the client stays.
    Many(mpsc::Receiver<String>),
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Answer::One(value)
    }
}

/// Takes the place at the socket; a file that a killed daemon left is replaced.
pub fn listen(runtime_dir: &Path) -> Result<UnixListener, Error> {
    let path = socket(runtime_dir);
    let failed = |what| {
        let path = path.clone();
        move |source| Error::Socket { path, what, source }
    };
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(runtime_dir);
    made.map_err(failed("cannot create its directory"))?;
    if Client::connect(&path).is_ok() {
        return Err(Error::Runs { path });
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("cannot replace it")(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(failed("cannot listen"))?;
    if let Ok(Some(group)) = Group::from_name(GROUP) {
        chown(&path, None, Some(group.gid))
            .map_err(|errno| failed("cannot give it to its group")(errno.into()))?;
    }
    fs::set_permissions(&path, Permissions::from_mode(0o660))
        .map_err(failed("cannot set its mode"))?;
    Ok(listener)
}

/// Serves clients until the daemon no longer takes requests.
pub async fn serve(listener: UnixListener, requests: mpsc::Sender<Request>) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: those of other clients come free.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if requests.is_closed() {
            return;
        }
        let requests = requests.clone();
        tokio::spawn(async move {
            // A client that breaks off has nobody to tell.
            let _ = converse(client, &requests).await;
            drop(place);
        });
    }
}

async fn converse(client: UnixStream, requests: &mpsc::Sender<Request>) -> io::Result<()> {
    let uid = client.peer_cred()?.uid();
    let (reader, mut writer) = client.into_split();
    let mut reader = tokio::io::BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        // A new bound for each line.
        let mut bounded = (&mut reader).take(REQUEST_BYTES);
        let read = bounded.read_until(b'\n', &mut line);
        if timeout(PATIENCE, read).await?? == 0 {
            return Ok(());
        }
        let complete = line.last() == Some(&b'\n');
        let answer = match serde_json::from_slice(&line) {
            Ok(body) if complete => ask_daemon(body, uid, requests).await,
            Ok(_) => refusal("the request does not end with a newline").into(),
            Err(error) => refusal(&format!("the request is not JSON: {error}")).into(),
        };
        match answer {
            Answer::One(answer) => {
                let text = format!("{answer}\n");
                timeout(PATIENCE, writer.write_all(text.as_bytes())).await??;
            }
            Answer::Many(parts) => pass_on(parts, &mut reader, &mut writer).await?,
        }
        if !complete {
            return Ok(());
        }
    }
}

/// Passes parts on until there are no more; an error once the client has left, so that nobody goes on for it.
async fn pass_on(
    mut parts: mpsc::Receiver<String>,
    reader: &mut (impl AsyncBufRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    // What it asks next waits.
    let mut asks = false;
    loop {
        tokio::select! {
            part = parts.recv() => match part {
                Some(part) => timeout(LONG_PATIENCE, writer.write_all(part.as_bytes())).await??,
                None => return Ok(()),
            },
            more = reader.fill_buf(), if !asks => {
                if more?.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                asks = true;
            }
        }
    }
}

async fn ask_daemon(body: Value, uid: u32, requests: &mpsc::Sender<Request>) -> Answer {
    let (answer, answered) = oneshot::channel();
    let gone = || Answer::from(refusal("the daemon is stopping"));
    if requests.send(Request { body, uid, answer }).await.is_err() {
        return gone();
    }
    answered.await.unwrap_or_else(|_| gone())
}

/// The answer that means no.
pub fn refusal(why: &str) -> Value {
    json!({ "error": why })
}

/// The answer that means no because of what was asked for.
pub fn wrong(why: &str) -> Value {
    json!({ "error": why, "wrong": true })
}

/// Asks a running daemon.
pub fn ask(runtime_dir: &Path, request: &Value) -> Result<Value, Error> {
    let path = socket(runtime_dir);
    let mut client = put(&path, request)?;
    let mut answer = String::new();
    client
        .read_line(&mut answer)
        .map_err(failed(&path, "no answer"))?;
    understood(&path, &answer)
}

/// Asks a running daemon for lines, and shows them one by one, but not what it refuses; false ends it.
pub fn ask_many(
    runtime_dir: &Path,
    request: &Value,
    mut see: impl FnMut(&str) -> io::Result<bool>,
) -> Result<(), Error> {
    let path = socket(runtime_dir);
    let mut client = put(&path, request)?;
    let mut line = String::new();
    loop {
        line.clear();
        let read = client.read_line(&mut line);
        if read.map_err(failed(&path, "cannot read on"))? == 0 {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(failed(&path, "the daemon broke off")(source));
        }
        if line.starts_with("{\"error\"") {
            understood(&path, &line)?;
        }
        if !see(line.trim_end()).map_err(failed(&path, "cannot pass on what was read"))? {
            return Ok(());
        }
    }
}

fn understood(path: &Path, line: &str) -> Result<Value, Error> {
    let answer: Value = serde_json::from_str(line).map_err(|error| Error::Socket {
        path: path.to_owned(),
        what: "the answer is not JSON",
        source: io::Error::other(error),
    })?;
    match answer.get("error").and_then(Value::as_str) {
        Some(why) if answer["wrong"] == true => Err(Error::Wrong(why.to_owned())),
        Some(why) => Err(Error::Refused(why.to_owned())),
        None => Ok(answer),
    }
}

/// Asks the daemon to stop and returns when it is gone; its connections close as it exits.
pub fn stop(runtime_dir: &Path) -> Result<(), Error> {
    let path = socket(runtime_dir);
    let mut client = put(&path, &json!({ "verb": "stop" }))?;
    let mut answer = String::new();
    client
        .read_line(&mut answer)
        .map_err(failed(&path, "cannot wait for the daemon's end"))?;
    // It may be gone before it has answered.
    if !answer.is_empty() {
        understood(&path, &answer)?;
    }
    io::copy(&mut client, &mut io::sink())
        .map_err(failed(&path, "cannot wait for the daemon's end"))?;
    Ok(())
}

/// Puts the request to the daemon; what it says is read from there.
fn put(path: &Path, request: &Value) -> Result<BufReader<Client>, Error> {
    let mut client = connect(path)?;
    client
        .write_all(format!("{request}\n").as_bytes())
        .map_err(failed(path, "cannot ask"))?;
    Ok(BufReader::new(client))
}

/// What has failed there.
fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Socket { path, what, source }
}

fn connect(path: &Path) -> Result<Client, Error> {
    match Client::connect(path) {
        Ok(client) => Ok(client),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Err(Error::NoDaemon {
                path: path.to_owned(),
            })
        }
        Err(source) => Err(Error::Socket {
            path: path.to_owned(),
            what: "cannot connect",
            source,
        }),
    }
}

#[cfg(test)]
mod tests;
