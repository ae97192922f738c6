//! Stops a host's line in the middle of an order: OpenSSH's own `ForceCommand` runs everything that is ordered through a script of
//! the test, which carries out the step that the test names and then keeps the answer back.

use std::path::PathBuf;

/// `$1` the gate's folder. `cut` in it says when and by which words a step is stopped; `held` says that one is, with the process
/// of the connection, and the step waits for as long as that file is there.
const SCRIPT: &str = r#"d=$1; at=; words=
if [ -e "$d/cut" ]; then { read -r at; read -r words; } < "$d/cut"; fi
case $SSH_ORIGINAL_COMMAND in *"$words"*) ;; *) at=;; esac
hold() {
rm -f "$d/cut"; printf "%s\n" "$PPID" > "$d/held.new"; mv "$d/held.new" "$d/held"
while [ -e "$d/held" ]; do sleep 0.05; done
}
case $at in
after) sh -c "$SSH_ORIGINAL_COMMAND" > "$d/answer"; code=$?; hold; cat "$d/answer"; exit "$code";;
half) head -c 100000 | sh -c "$SSH_ORIGINAL_COMMAND" > /dev/null; hold; exit 1;;
*) exec sh -c "$SSH_ORIGINAL_COMMAND";;
esac
"#;

/// What an order runs on a host, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Begin,
    Unpack,
    Publish,
    Flip,
    Mark,
}

impl Step {
    pub const ALL: [Self; 5] = [Self::Begin, Self::Unpack, Self::Publish, Self::Flip, Self::Mark];

    /// Words that no other script has.
    const fn words(self) -> &'static str {
        match self {
            Self::Begin => "cp -lP --parents",
            Self::Unpack => "tar -x -z",
            Self::Publish => r#"mv -T "$part""#,
            Self::Flip => r#"ln -s "$r""#,
            Self::Mark => r#"printf "moved""#,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub enum When {
    /// It was carried out, and nobody is told.
    After,
    /// A part of what is sent comes in, and nothing more.
    Half,
}

/// The gate of one host.
pub struct Gate {
    dir: PathBuf,
}

impl Gate {
    pub const fn of(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Sets it up, open; returns what the server's configuration has to run.
    pub fn build(&self) -> String {
        std::fs::create_dir_all(&self.dir).unwrap();
        std::fs::write(self.dir.join("gate.sh"), SCRIPT).unwrap();
        let dir = self.dir.display();
        format!("exec sh {dir}/gate.sh {dir}")
    }

    /// The next script of this step is stopped.
    pub fn close(&self, when: When, step: Step) {
        let at = match when {
            When::After => "after",
            When::Half => "half",
        };
        std::fs::write(self.dir.join("cut.new"), format!("{at}\n{}\n", step.words())).unwrap();
        std::fs::rename(self.dir.join("cut.new"), self.dir.join("cut")).unwrap();
    }

    /// The process of the connection whose step is stopped.
    pub fn holds(&self) -> Option<String> {
        std::fs::read_to_string(self.dir.join("held")).ok().map(|pid| pid.trim().to_owned())
    }

    /// What is stopped ends.
    pub fn open(&self) {
        std::fs::remove_file(self.dir.join("held")).unwrap();
    }
}
