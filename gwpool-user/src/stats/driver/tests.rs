//! A real socket in a directory of its own, with clients that are slow, wrong or too many.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gwpool-{name}-{}", std::process::id()));
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Answers every request with itself.
async fn echo(listener: UnixListener) {
    let (sender, mut requests) = mpsc::channel::<Request>(1);
    tokio::spawn(serve(listener, sender));
    while let Some(request) = requests.recv().await {
        let _ = request
            .answer
            .send(json!({ "asked": request.body, "uid": request.uid }).into());
    }
}

async fn ask_in_thread(folder: PathBuf, request: Value) -> Result<Value, Error> {
    tokio::task::spawn_blocking(move || ask(&folder, &request))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_question_is_answered_while_slow_clients_dawdle() {
    let folder = Folder::new("slow");
    tokio::spawn(echo(listen(&folder.0).unwrap()));
    let mut slow = Client::connect(socket(&folder.0)).unwrap();
    slow.write_all(b"{\"verb\":").unwrap();
    let answer = ask_in_thread(folder.0.clone(), json!({"verb": "stats"}))
        .await
        .unwrap();
    let own = nix::unistd::getuid().as_raw();
    assert_eq!(answer, json!({"asked": {"verb": "stats"}, "uid": own}));
}

#[tokio::test]
async fn nonsense_is_refused_and_said() {
    let folder = Folder::new("nonsense");
    tokio::spawn(echo(listen(&folder.0).unwrap()));
    let path = socket(&folder.0);
    let answers = |bytes: Vec<u8>| {
        let path = path.clone();
        tokio::task::spawn_blocking(move || {
            let mut client = Client::connect(path).unwrap();
            client.write_all(&bytes).unwrap();
            let mut line = String::new();
            BufReader::new(client).read_line(&mut line).unwrap();
            line
        })
    };
    let wrong = answers(b"what?\n".to_vec()).await.unwrap();
    assert!(wrong.contains("not JSON"), "{wrong}");
    let long = answers(vec![b' '; 2 * REQUEST_BYTES as usize])
        .await
        .unwrap();
    assert!(long.contains("error"), "{long}");
}

#[tokio::test]
async fn a_no_says_whether_the_input_is_to_blame() {
    let folder = Folder::new("no");
    let listener = listen(&folder.0).unwrap();
    let (sender, mut requests) = mpsc::channel::<Request>(1);
    tokio::spawn(serve(listener, sender));
    tokio::spawn(async move {
        for answer in [wrong("what is x"), refusal("no room")] {
            let _ = requests.recv().await.unwrap().answer.send(answer.into());
        }
    });
    let answers = [(); 2].map(|()| ask_in_thread(folder.0.clone(), json!({"verb": "x"})));
    let [first, second] = answers;
    assert!(matches!(first.await, Err(Error::Wrong(why)) if why == "what is x"));
    assert!(matches!(second.await, Err(Error::Refused(why)) if why == "no room"));
}

#[tokio::test]
async fn one_daemon_at_a_time_and_a_dead_ones_socket_is_taken_over() {
    let folder = Folder::new("twice");
    let first = listen(&folder.0).unwrap();
    assert!(matches!(listen(&folder.0), Err(Error::Runs { .. })));
    drop(first);
    listen(&folder.0).unwrap();
}

#[test]
fn without_a_daemon_the_place_looked_at_is_said() {
    let folder = Folder::new("none");
    let error = ask(&folder.0, &json!({"verb": "stats"}))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&socket(&folder.0).display().to_string()),
        "{error}"
    );
}

#[test]
fn the_socket_is_for_its_group() {
    let folder = Folder::new("mode");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let _listener = listen(&folder.0).unwrap();
    let mode = fs::metadata(socket(&folder.0))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

/// Serves a request with lines of which the test has the other end.
async fn lines(listener: UnixListener) -> mpsc::Sender<String> {
    let (sender, mut requests) = mpsc::channel::<Request>(1);
    tokio::spawn(serve(listener, sender));
    let (lines, parts) = mpsc::channel(1);
    let request = requests.recv().await.unwrap();
    request.answer.send(Answer::Many(parts)).unwrap();
    lines
}

#[tokio::test]
async fn many_lines_come_as_they_are_said_until_the_reader_has_enough() {
    let folder = Folder::new("many");
    let listener = listen(&folder.0).unwrap();
    let path = folder.0.clone();
    let reader = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        let ended = ask_many(&path, &json!({}), |line| {
            seen.push(line.to_owned());
            Ok(seen.len() < 3)
        });
        ended.map(|()| seen)
    });
    let lines = lines(listener).await;
    for part in ["1\n2\n", "3\n"] {
        lines.send(part.to_owned()).await.unwrap();
    }
    assert_eq!(reader.await.unwrap().unwrap(), ["1", "2", "3"]);
    // Whoever walks for it is told that it has left.
    lines.closed().await;
}

#[tokio::test]
async fn an_error_among_many_lines_is_one() {
    let folder = Folder::new("broken");
    let listener = listen(&folder.0).unwrap();
    let path = folder.0.clone();
    let reader = tokio::task::spawn_blocking(move || ask_many(&path, &json!({}), |_| Ok(true)));
    let lines = lines(listener).await;
    let text = format!("{{}}\n{}\n", refusal("no more"));
    lines.send(text).await.unwrap();
    assert!(matches!(reader.await.unwrap(), Err(Error::Refused(why)) if why == "no more"));
}
