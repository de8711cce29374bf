//! A NATS server of the tests' own.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crate::process::{free_port, guarded, in_path, missing, spawn, wait_for};

pub struct Server {
    program: PathBuf,
    port: u16,
    server: Mutex<Option<Child>>,
}

impl Server {
    /// `None` if NATS is not installed.
    pub fn start() -> Result<Option<Self>, String> {
        let Some(program) = in_path("nats-server") else { return missing("nats-server") };
        let server = Self { program, port: free_port(), server: Mutex::new(None) };
        server.serve()?;
        Ok(Some(server))
    }

    fn serve(&self) -> Result<(), String> {
        let mut command = guarded(&self.program, None);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = self.server.lock().expect("the lock is whole");
        let server = server.insert(spawn(command)?);
        wait_for(self.port)?;
        // Somebody else may listen there, and this one be gone for it.
        std::thread::sleep(Duration::from_millis(50));
        match server.try_wait() {
            Ok(None) => Ok(()),
            ended => Err(format!("nats-server has ended: {ended:?}")),
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn stop(&self) {
        let child = self.server.lock().expect("the lock is whole").take();
        if let Some(mut child) = child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn restart(&self) -> Result<(), String> {
        self.stop();
        self.serve()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
