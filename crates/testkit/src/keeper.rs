//! Whoever keeps a program of a deploy, found by what it wrote down.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A killed process is gone at once, or the machine is ill.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// The keeper's process number: it is the parent of the process that it noted in the folder of the step (`builds/12.step`).
pub fn keeper_of(step: &Path) -> Option<i32> {
    let noted = std::fs::read_to_string(step.join("process")).ok()?;
    let (_, noted) = noted.split_once("\"pid\":")?;
    let noted: String = noted.chars().take_while(char::is_ascii_digit).collect();
    stat_of(noted.parse().ok()?).get(1)?.parse().ok()
}

/// The fields of `/proc/PID/stat` from the state on; none of a process that is gone.
pub fn stat_of(pid: i32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().map(str::to_owned).collect()
}

/// Kills the keeper, as the kernel does when memory is short, and returns when it is gone.
///
/// # Panics
/// Where nobody keeps the step's program.
pub fn kill_keeper(step: &Path) {
    let keeper = keeper_of(step).expect("a program is kept there");
    kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("the keeper can be killed");
    let began = Instant::now();
    // nobody reaps it while its parent is stopped
    while stat_of(keeper).first().is_some_and(|state| state != "Z") {
        assert!(began.elapsed() < GONE_WITHIN, "the keeper {keeper} does not end");
        std::thread::yield_now();
    }
}
