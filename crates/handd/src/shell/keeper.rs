//! The thread that owns the shell: it runs one command at a time, and keeps the output pipe empty between them.

use std::{
    collections::VecDeque,
    io::{self, PipeReader, PipeWriter, Read},
    mem,
    os::fd::OwnedFd,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use hand_protocol::Outcome;

use super::{Job, Order, capture::Capture, end, poll, session::Session};
use crate::{
    children::{Children, Ended},
    clock,
    places::Places,
    processes,
};

/// How often the shell is looked after while a command runs. Its end is nearly always told by its socket at once.
const LOOK: Duration = Duration::from_millis(100);
/// And once that socket is closed.
const LOOK_CLOSED: Duration = Duration::from_millis(5);
/// How long late output is waited for after the end of a command, as of the other side of `> >(tee log)`.
const LATE: Duration = Duration::from_millis(1);
/// The most that a pipe holds, thus the most that a command can have left in it.
const PIPE: usize = 1 << 20;
/// How much output of background processes is kept from one call for the next.
const BETWEEN: usize = 16 << 10;
/// How long a killed shell may take to be gone.
const DYING: Duration = Duration::from_secs(2);

pub(super) struct Keeper {
    places: Places,
    children: Arc<Children>,
    inbox: mpsc::Receiver<Job>,
    queue: VecDeque<Job>,
    bell: Arc<OwnedFd>,
    output: PipeReader,
    /// Given to each shell in turn. What an earlier one has left running goes on writing here, and never finds it
    /// closed.
    output_end: PipeWriter,
    buffer: Vec<u8>,
    between: Vec<u8>,
    session: Option<Session>,
}

/// Why a command is no longer waited for.
enum End {
    Reported(i32),
    ShellEnded(Ended),
    TimedOut,
    /// It has taken longer than any call may.
    Overdue,
    Cancelled,
}

impl Keeper {
    pub(super) fn new(
        places: Places,
        children: Arc<Children>,
        inbox: mpsc::Receiver<Job>,
        bell: Arc<OwnedFd>,
    ) -> io::Result<Self> {
        let (output, output_end) = io::pipe()?;
        rustix::io::ioctl_fionbio(&output, true)?;
        let buffer = vec![0; 64 << 10];
        let (queue, between) = (VecDeque::new(), Vec::new());
        Ok(Self { places, children, inbox, queue, bell, output, output_end, buffer, between, session: None })
    }

    pub(super) fn run(mut self) {
        loop {
            self.take_in();
            match self.queue.pop_front() {
                Some(job) => {
                    let outcome = self.perform(&job);
                    let _ = job.reply.send(outcome);
                }
                None => self.idle(),
            }
        }
    }

    /// Takes what has come in, and answers at once for what was cancelled before its turn, or has used up its time.
    fn take_in(&mut self) {
        // The bell first: who rings after this has put something in that is not yet taken.
        let _ = rustix::io::read(&*self.bell, &mut [0_u8; 8]);
        while let Ok(job) = self.inbox.try_recv() {
            self.queue.push_back(job);
        }
        self.queue.retain(|job| {
            let answer = if job.cancel.is_set() {
                end::interrupted("")
            } else if job.allowance.is_over() {
                end::never_begun(&job.allowance.words())
            } else {
                return true;
            };
            let _ = job.reply.send(answer);
            false
        });
    }

    /// Waits for a job. A background process must not block on a full pipe meanwhile.
    fn idle(&mut self) {
        if poll::wait(&self.bell, &self.output, None, None).output {
            let read = self.output.read(&mut self.buffer).unwrap_or(0);
            self.between.extend_from_slice(self.buffer.get(..read).unwrap_or_default());
            let excess = self.between.len().saturating_sub(BETWEEN);
            self.between.drain(..excess);
        }
    }

    fn perform(&mut self, job: &Job) -> Outcome {
        match &job.order {
            Order::Run { command, timeout } => self.run_command(job, command, *timeout),
            Order::Restart => {
                // Everything goes, so that a restart is the way out of any mess.
                let session = self.session.take();
                processes::end_all(session.as_ref().map(|session| session.pid));
                if let Some(session) = session {
                    self.bury(session.pid);
                }
                self.between.clear();
                Outcome::text("bash session restarted")
            }
        }
    }

    fn run_command(&mut self, job: &Job, command: &str, timeout: Duration) -> Outcome {
        let began = clock::boot_ticks();
        let deadline = clock::now() + timeout;
        let mut capture = Capture::new(self.places.overflow.clone(), job.call.clone());
        capture.push(&mem::take(&mut self.between));
        let mut session = match self.living_session(&mut capture) {
            Ok(session) => session,
            Err(error) => return Outcome::error(cannot_start(&error)),
        };
        session.send(command);
        let end = self.attend(&mut session, job, deadline, &mut capture);
        if matches!(end, End::TimedOut | End::Overdue | End::Cancelled) {
            processes::end_since(began, session.pid);
        }
        if !matches!(end, End::Reported(_)) {
            self.bury(session.pid);
        }
        self.drain(&mut capture);
        let text = capture.finish();
        match end {
            End::Reported(status) => {
                self.session = Some(session);
                end::finished(text, status)
            }
            End::ShellEnded(how) => end::exited(&text, how),
            End::TimedOut => end::timed_out(&text, timeout),
            End::Overdue => end::overdue(&text, &job.allowance.words()),
            End::Cancelled => end::interrupted(&text),
        }
    }

    /// The shell, started if there is none, or none any more.
    fn living_session(&mut self, capture: &mut Capture) -> io::Result<Session> {
        if let Some(session) = self.session.take() {
            if self.children.ended(session.pid).is_none() {
                return Ok(session);
            }
            self.children.forget(session.pid);
            capture.push(b"bash: the shell had ended since the last call, and was started anew\n");
        }
        Session::start(&self.places, &self.children, &self.output_end)
    }

    /// Sees a command through to its end.
    fn attend(&mut self, session: &mut Session, job: &Job, deadline: Instant, capture: &mut Capture) -> End {
        loop {
            self.take_in();
            if job.cancel.is_set() {
                return End::Cancelled;
            }
            let left = deadline.min(job.allowance.until()).saturating_duration_since(clock::now());
            if left.is_zero() {
                return if job.allowance.is_over() { End::Overdue } else { End::TimedOut };
            }
            let control = session.waiting();
            let look = if control.is_some() { LOOK } else { LOOK_CLOSED };
            let ready = poll::wait(&self.bell, &self.output, control, Some(left.min(look)));
            if ready.output {
                self.read_output(capture);
            }
            if ready.writable {
                session.flush();
            }
            if ready.readable
                && let Some(status) = session.hear()
            {
                return End::Reported(status);
            }
            // Looked at each time, not only when the socket is closed: a subshell in the background holds that open.
            if let Some(how) = self.children.ended(session.pid) {
                return End::ShellEnded(how);
            }
        }
    }

    /// Reads once. None when the pipe is empty.
    fn read_output(&mut self, capture: &mut Capture) -> Option<usize> {
        let read = self.output.read(&mut self.buffer).ok().filter(|read| *read > 0)?;
        capture.push(self.buffer.get(..read)?);
        Some(read)
    }

    /// Takes what the command has left in the pipe, but does not wait for what runs on in the background.
    fn drain(&mut self, capture: &mut Capture) {
        let mut taken = 0;
        while taken < PIPE {
            match self.read_output(capture) {
                Some(read) => taken += read,
                None if poll::output(&self.output, LATE) => {}
                None => return,
            }
        }
    }

    /// Waits for a shell that was killed, or has ended, to be gone.
    fn bury(&self, pid: i32) {
        let deadline = clock::now() + DYING;
        while self.children.ended(pid).is_none() && clock::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        self.children.forget(pid);
    }
}

fn cannot_start(error: &io::Error) -> String {
    format!(
        "bash: the shell could not be started: {error}. If too many processes are running, call bash with \
         restart: true to end them all."
    )
}
