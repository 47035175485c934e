//! The thread that starts PostgreSQL.
//!
//! The parent-death signal fires when the *thread* that started the child ends, so the child is
//! started from a thread that lives exactly as long as the [`super::PrivatePostgres`]. The slow,
//! blocking steps run here too.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use tokio::sync::{oneshot, watch};

use super::PrivateError;

type Job = Box<dyn FnOnce() + Send>;

/// Jobs that may wait; callers await each answer, so more than one is rare.
const JOBS: usize = 4;
/// Lines of the server's log kept for an error message.
const TAIL: usize = 20;
/// Longest piece of a line taken at once.
const LINE: u64 = 16 * 1024;

/// Runs jobs one after the other on one thread; ends with the last handle.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    jobs: SyncSender<Job>,
}

impl Keeper {
    pub(super) fn start() -> Result<Self, PrivateError> {
        let (jobs, waiting) = sync_channel::<Job>(JOBS);
        Builder::new()
            .name("pg-keeper".into())
            .spawn(move || {
                for job in waiting {
                    job();
                }
            })
            .map_err(PrivateError::Thread)?;
        Ok(Keeper { jobs })
    }

    /// Runs `work` on the thread.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, PrivateError>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, PrivateError> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Nobody waits any more when the caller was cancelled.
            let _unheard = answer.send(work());
        });
        if self.jobs.try_send(job).is_err() {
            return Err(PrivateError::KeeperGone);
        }
        result.await.unwrap_or(Err(PrivateError::KeeperGone))
    }
}

/// A started server.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) pid: u32,
    /// Some once it has ended and was reaped.
    pub(super) ended: watch::Receiver<Option<ExitStatus>>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts `command`; call it on the keeper's thread.
    pub(super) fn spawn(mut command: Command) -> Result<Self, PrivateError> {
        // A group of its own: Ctrl+C must not stop it before we have drained.
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| PrivateError::Spawn {
                command: format!("{command:?}"),
                source,
            })?;
        let pid = child.id();
        let tail = Arc::new(Mutex::new(VecDeque::with_capacity(TAIL)));
        if let Some(stderr) = child.stderr.take() {
            let tail = Arc::clone(&tail);
            Builder::new()
                .name("pg-log".into())
                .spawn(move || copy_log(stderr, &tail))
                .map_err(PrivateError::Thread)?;
        }
        let (end, ended) = watch::channel(None);
        Builder::new()
            .name("pg-wait".into())
            .spawn(move || {
                // An error would mean that somebody else reaped it: it has ended all the same.
                let status = child.wait().unwrap_or_default();
                end.send_replace(Some(status));
            })
            .map_err(PrivateError::Thread)?;
        Ok(Child { pid, ended, tail })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits until it has ended.
    pub(super) async fn wait(&self) {
        let mut ended = self.ended.clone();
        // The sender's end without a value means the same.
        let _status = ended.wait_for(Option::is_some).await;
    }

    /// The last lines of its log.
    pub(super) fn tail(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn copy_log(stderr: ChildStderr, tail: &Mutex<VecDeque<String>>) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        tracing::info!(target: "postgres", "{text}");
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() >= TAIL {
            tail.pop_front();
        }
        tail.push_back(text.to_owned());
    }
}
