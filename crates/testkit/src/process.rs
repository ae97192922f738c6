//! Child processes that do not outlive the test.

use std::process::Child;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Ends its process, by its own id, when dropped.
#[derive(Debug)]
pub struct ProcessGuard {
    child: Child,
    /// What it is asked to end with.
    signal: Signal,
}

impl ProcessGuard {
    /// Kills the process at the end.
    pub fn new(child: Child) -> Self {
        Self::ending_with(child, Signal::SIGKILL)
    }

    /// Sends `signal` at the end; the process must obey it.
    pub fn ending_with(child: Child, signal: Signal) -> Self {
        Self { child, signal }
    }

    /// The process itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal now.
    pub fn send(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id fits an i32"));
        // It may have ended by itself.
        let _ = kill(pid, signal);
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub fn kill(&mut self) {
        self.send(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for ProcessGuard {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.send(self.signal);
            let _ = self.child.wait();
        }
    }
}

/// A TCP port of the loopback address that was free a moment ago. Prefer port 0 where the program allows it.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("the loopback address has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
