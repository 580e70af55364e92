//! Something that lives in a thread of its own, since it has made that thread's network namespace its ground.

use anyhow::{Context, Result};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

type Work<T> = Box<dyn FnOnce(&mut T) + Send>;

/// It, and the way to it.
pub struct Apart<T> {
    /// Taken when it is to end.
    work: Option<SyncSender<Work<T>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: 'static> Apart<T> {
    /// Makes it there.
    pub fn new(make: impl FnOnce() -> Result<T> + Send + 'static) -> Result<Apart<T>> {
        let (work, todo) = sync_channel::<Work<T>>(0);
        let (say, made) = sync_channel(1);
        let thread = std::thread::Builder::new().spawn(move || match make() {
            Ok(all) => {
                drop(say.send(Ok(())));
                serve(all, &todo);
            }
            Err(error) => drop(say.send(Err(error))),
        })?;
        made.recv().context("the thread has ended")??;
        Ok(Apart {
            work: Some(work),
            thread: Some(thread),
        })
    }

    /// Does something with it, and waits for that.
    pub fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (say, done) = sync_channel(1);
        let work: Work<T> = Box::new(move |all| drop(say.send(work(all))));
        let way = self.work.as_ref().context("it has ended")?;
        way.send(work).ok().context("the thread has ended")?;
        done.recv().context("the thread has ended")?
    }
}

fn serve<T>(mut all: T, todo: &Receiver<Work<T>>) {
    while let Ok(work) = todo.recv() {
        work(&mut all);
    }
}

impl<T> Drop for Apart<T> {
    fn drop(&mut self) {
        self.work = None;
        // What it holds is large: gone when this is.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
