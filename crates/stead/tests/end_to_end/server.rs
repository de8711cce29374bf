//! A server process, and every way in which it ends or stands still.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::client::Client;

pub(crate) struct Server {
    child: Child,
    pub(crate) client: Client,
}

impl Server {
    /// Where it listens is not known yet.
    pub(crate) fn of(child: Child) -> Self {
        Self { child, client: Client::new(String::new()) }
    }

    /// Without a word, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// In good order; returns whether it ended with success.
    pub(crate) async fn terminate(mut self) -> bool {
        self.signal(Signal::TERM);
        for _ in 0..2_000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server does not stop");
    }

    /// It stands still: its connections stay open, its leases run out, and it does not know.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        // Of many threads some run on for a moment; the kernel tells when the last one stands.
        waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).unwrap();
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn is_dead(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
