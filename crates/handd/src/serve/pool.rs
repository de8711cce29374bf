//! The threads that run calls.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex},
};

use crate::sync::{self, lock};

pub(super) type Work = Box<dyn FnOnce() + Send>;

/// A few workers that live for ever, and as many more as there is work for. Where no thread can be made, work waits for
/// one of the few.
pub(super) struct Pool {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    idle: usize,
}

impl Pool {
    pub(super) fn start(permanent: usize) -> io::Result<Arc<Self>> {
        let pool = Arc::new(Self { queue: Mutex::default(), ready: Condvar::new() });
        for _ in 0..permanent {
            let worker = Arc::clone(&pool);
            sync::spawn("worker", move || worker.work())?;
        }
        Ok(pool)
    }

    pub(super) fn submit(self: &Arc<Self>, work: Work) {
        let mut queue = lock(&self.queue);
        queue.waiting.push_back(work);
        let enough = queue.waiting.len() <= queue.idle;
        drop(queue);
        self.ready.notify_one();
        if !enough {
            let helper = Arc::clone(self);
            // It may fail: then the work waits.
            let _ = sync::spawn("helper", move || helper.help());
        }
    }

    fn work(&self) {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                drop(queue);
                work();
                queue = lock(&self.queue);
            } else {
                queue.idle += 1;
                queue = sync::wait(&self.ready, queue);
                queue.idle -= 1;
            }
        }
    }

    fn help(&self) {
        loop {
            // Not in the condition of a `while let`, which would hold the lock while the work runs.
            let next = lock(&self.queue).waiting.pop_front();
            let Some(work) = next else { return };
            work();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn work_that_blocks_does_not_hold_up_other_work() {
        let pool = Pool::start(1).unwrap();
        let (unblock, blocked) = mpsc::channel::<()>();
        let (done, finished) = mpsc::channel();
        let first = done.clone();
        pool.submit(Box::new(move || {
            let _ = blocked.recv();
            first.send("first").unwrap();
        }));
        pool.submit(Box::new(move || done.send("second").unwrap()));
        assert_eq!(finished.recv(), Ok("second"));
        unblock.send(()).unwrap();
        assert_eq!(finished.recv(), Ok("first"));
    }
}
