//! The table of verbs: the grammar, the help and the guide are made from it.

/// A verb as people see it.
#[derive(Debug, PartialEq, Eq)]
pub struct Verb {
    pub name: &'static str,
    pub usage: &'static str,
    pub summary: &'static str,
    pub example: &'static str,
    /// Flags it takes, each with a value.
    pub flags: &'static [&'static str],
    /// Flags it takes that stand alone.
    pub switches: &'static [&'static str],
    /// Only in chat, not on the command line.
    pub chat_only: bool,
}

macro_rules! verbs {
    ($($name:literal $usage:literal $summary:literal $example:literal [$($flag:literal)*] $([$($switch:literal)*])? $($only:ident)?;)*) => {
        /// Every verb, in the order of the help.
        pub const VERBS: &[Verb] = &[$(Verb {
            name: $name, usage: $usage, summary: $summary, example: $example, flags: &[$($flag),*],
            switches: &[$($($switch),*)?], chat_only: verbs!(@only $($only)?),
        },)*];
    };
    (@only chat_only) => { true };
    (@only) => { false };
}

verbs! {
    "deploy" "deploy SERVICE [REF] [--to ENV] [--dry-run] [--override REASON]"
        "Deploys a service: what is on its branch, or a commit" "deploy photos --to production" ["to" "override"] ["dry-run"];
    "deploys" "deploys [SERVICE|N] [--in ENV] [--state STATE] [--by LOGIN]"
        "Lists deploys, of all services or of one, or shows deploy N" "deploys photos" ["in" "state" "by"];
    "log" "log N [--host HOST]" "Says the last lines of the log of deploy N" "log 12" ["host"];
    "rollback" "rollback SERVICE|N [--to ENV] [--reason TEXT]" "Goes back to the release before, or undoes deploy N"
        "rollback photos" ["to" "reason"];
    "rollforward" "rollforward SERVICE [REF] [--to ENV] [--reason TEXT] [--again]"
        "Deploys the fix over the deploy that was taken back last" "rollforward photos" ["to" "reason"] ["again"];
    "approve" "approve N" "Approves deploy N, which waits for people" "approve 12" [];
    "promote" "promote N [--reason TEXT]" "Lets deploy N, which is held, go on" "promote 12" ["reason"];
    "hold" "hold N [--reason TEXT]" "Holds deploy N, which flips: nothing more flips until promote or abort" "hold 12"
        ["reason"];
    "abort" "abort N [--reason TEXT]" "Aborts deploy N: hosts that flipped go back" "abort 12" ["reason"];
    "cancel" "cancel N [--reason TEXT]" "Stops deploy N; hosts that flipped go back" "cancel 12" ["reason"];
    "retry" "retry N" "Deploys what deploy N did once more, as a new one" "retry 12" [];
    "train" "train SERVICE [join|leave|graphs|good|uh-oh|clear|hold|unhold|done] [--in ENV] [--reason TEXT]"
        "Ships together: joins a train, looks, says good or uh-oh, holds it" "train photos join" ["in" "reason"];
    "queue" "queue [SERVICE] [leave|go|drop WHO] [--in ENV] [--reason TEXT]"
        "Says who waits to deploy; leaves the queue, lets it go on, takes somebody out" "queue photos" ["in" "reason"];
    "status" "status" "Says what is being deployed, what fires and who is on call" "status" [];
    "next" "next SERVICE [--to ENV]" "Lists what the next deploy would ship" "next photos" ["to"];
    "flag" "flag list|show|on|off|rollout|preview|create|set|archive KEY [PERCENT] [--in ENV] [--reason TEXT] [--context CONTEXT] \
        [--description TEXT] [--kind KIND] [--owner WHO] [--project PROJECT] [--type TYPE] [--expires DATE] [--lifetime DAYS]; \
        flag ramp KEY [--plan NAME] [--steps PERCENT[:DURATION],...] [--hold DURATION]; flag pause|resume|skip|back|extend|stop KEY [--for DURATION]; \
        flag schedule KEY on|off|PERCENT|ramp --at WHEN; flag schedules; flag cancel N; \
        flag requests; flag approve|reject|withdraw|force N; \
        flag drill KEY [cancel] [--for TIME]; flag contingency; flag mine; flag join|leave|unset KEY; \
        flag history KEY; flag revert KEY SEQ; flag stale; \
        flag group [list|set|delete] NAME [--add ID,...] [--remove ID,...] [--field FIELD]; flag segment [list|delete N]; \
        flag plan [list|delete NAME]"
        "Lists flags, shows, switches, ramps, schedules and changes one, says who gets it, decides change requests, drills, takes a change back, keeps groups of people"
        "flag off new_uploader" ["in" "reason" "context" "description" "kind" "owner" "type" "expires" "plan" "hold" "for" "at"
        "project" "lifetime" "steps" "add" "remove" "field"];
    "permit" "permit [JOB]" "Says how much jobs may do now" "permit resize" [];
    "ack" "ack N [--for DURATION]" "Acknowledges incident N: you have it, for good or for a time" "ack 14" ["for"];
    "escalate" "escalate N" "Asks the next one for incident N now, without waiting" "escalate 14" [];
    "handover" "handover N PERSON [TEXT]" "Hands incident N over to a person, who is paged at once"
        "handover 14 raj \"it is the database\"" [];
    "resolve" "resolve N" "Says that incident N is over" "resolve 14" [];
    "classify" "classify N KIND" "Says what the pages of incident N were for: action, threshold, faulty and so on, or a key from 1 to 9"
        "classify 14 threshold" [];
    "noise" "noise; noise draft RULE; noise put RULE CHANGE|N; noise undo FILE"
        "Says which rules cost most in the last week, by team; drafts quieter ones, puts one into force, takes it back" "noise" [];
    "incident" "incident open|drill \"TITLE\" [--service SERVICE] [--severity critical|warning]; incident show N; incident score N"
        "Opens an incident or a drill, shows one, says how a drill went"
        "incident open \"uploads are slow\" --service photos" ["service" "severity"];
    "note" "note N \"TEXT\"" "Writes into the timeline of incident N" "note 14 \"queue drains again\"" [];
    "who" "who [SCHEDULE|SERVICE]" "Says who is on call" "who photos" [];
    "take" "take SCHEDULE [--for DURATION]" "Takes over the shift" "take photos-primary --for 2h" ["for"];
    "oncall" "oncall preview SCHEDULE [--for DURATION]; oncall digest SCHEDULE; oncall readiness; oncall test [PERSON]; oncall swaps; \
        oncall swap SCHEDULE PERSON [--give WHEN[..WHEN]] [--take WHEN[..WHEN]]; oncall accept|decline N; \
        oncall take SCHEDULE [--for DURATION] [--at WHEN]; \
        oncall override SCHEDULE PERSON [--as replace|add|remove] [--for DURATION] [--at WHEN]; \
        oncall override SCHEDULE --undo N; oncall suggest SCHEDULE --at WHEN [--for DURATION]"
        "Previews a schedule, swaps and takes shifts, overrides, sums up the shift, says who may not be reached"
        "oncall preview photos-primary" ["for" "give" "take" "at" "as" "undo"];
    "policies" "policies list; policies show NAME" "Lists escalation policies, or plays whom one would page now"
        "policies show photos" [];
    "alerts" "alerts list [--state firing|unknown|pending|resolved] [--service SERVICE]; alerts show FINGERPRINT"
        "Lists alerts that go on, or those of a state or service, or shows one" "alerts list --service photos" ["state" "service"];
    "mute" "mute MATCHERS --for DURATION|--until WHEN --reason TEXT [--kind silence|downtime|maintenance] [--from WHEN] [--recurs TIMES]"
        "Keeps alerts quiet, for a while or again and again"
        "mute service=photos --for 1h --reason \"load test\"" ["for" "until" "reason" "kind" "from" "recurs"];
    "mutes" "mutes [all]" "Lists what is muted and what will be; all with what was" "mutes" [];
    "unmute" "unmute N" "Ends mute N now" "unmute 3" [];
    "why" "why N|FINGERPRINT|PAGE"
        "Says why people were told: of an incident's alerts and pages by its number, of one alert, or of one page" "why 14" [];
    "why-not" "why-not LABEL=VALUE .. [--for PERSON]"
        "Says what keeps an alert with these labels quiet, or why it would not page a person"
        "why-not alertname=Down service=photos" ["for"];
    "simulate" "simulate LABEL=VALUE .." "Plays whom an alert with these labels would page, when and how"
        "simulate alertname=Down service=photos severity=critical" [];
    "checks" "checks list; checks show NAME" "Lists checks that are not well, or shows one" "checks list" [];
    "query" "query EXPR" "Says the newest values of an expression in PromQL" "query \"sum by (job) (up)\"" [];
    "lock" "lock SERVICE|* --reason TEXT [--freeze [--from INSTANT]] [--pin REF] [--for DURATION] [--in ENV]"
        "Keeps others from deploying a service; a freeze stops everybody, a pin lets one commit through"
        "lock photos --reason \"migrating\" --for 1h" ["reason" "from" "pin" "for" "in"] ["freeze"];
    "unlock" "unlock SERVICE [--in ENV]" "Lets deploys through again" "unlock photos" ["in"];
    "doing" "doing TEXT" "Tells everybody what you are doing, for the record" "doing \"rebooting db2\"" [];
    "help" "help [VERB]" "Lists the verbs, or explains one" "help deploy" [];
    "link" "link CODE" "Binds your chat identity to your account; say it to the bot alone" "link 4F7K-92QD" [] chat_only;
}

pub fn verb(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|v| v.name == name)
}

/// The lines of `help`, or of `help VERB`.
pub fn help(of: Option<&Verb>) -> Vec<String> {
    if let Some(verb) = of {
        return vec![format!("{}: {}. Example: {}", verb.usage, verb.summary, verb.example)];
    }
    let names: Vec<&str> = VERBS.iter().map(|v| v.name).collect();
    vec![
        format!("I know: {}.", names.join(", ")),
        "`help VERB` explains one; without --to or --in the environment is production.".into(),
    ]
}

/// What somebody may have meant, as a line to say instead: a word of another trade leads to that which does the same here,
/// flags included.
pub(super) fn instead(word: &str) -> Option<(&'static Verb, &'static str)> {
    const LINES: &[(&str, &str, &str)] = &[
        ("freeze", "lock", "lock photos --freeze --reason \"stocktaking\" --for 7d"),
        ("pin", "lock", "lock photos --pin 4f2a91c --reason \"until the fix is out\""),
        ("dry-run", "deploy", "deploy photos --dry-run"),
        ("show", "deploys", "deploys 12"),
    ];
    match LINES.iter().find(|(w, ..)| *w == word) {
        Some((_, name, line)) => verb(name).map(|verb| (verb, *line)),
        None => closest(word).map(|verb| (verb, verb.example)),
    }
}

/// The verb somebody may have meant.
pub(super) fn closest(word: &str) -> Option<&'static Verb> {
    const SYNONYMS: &[(&str, &str)] = &[
        ("acknowledge", "ack"),
        ("reassign", "handover"),
        ("assign", "handover"),
        ("silence", "mute"),
        ("on-call", "oncall"),
        ("schedule", "oncall"),
        ("ship", "deploy"),
        ("push", "deploy"),
        ("release", "deploy"),
        ("revert", "rollback"),
        ("undo", "rollback"),
        ("continue", "promote"),
        ("pause", "hold"),
        ("forward", "rollforward"),
        ("stop", "cancel"),
        ("again", "retry"),
        ("history", "deploys"),
        ("flags", "flag"),
        ("flip", "flag"),
        ("switch", "flag"),
        ("override", "oncall"),
        ("swap", "oncall"),
        ("close", "resolve"),
        ("freeze", "lock"),
        ("pin", "lock"),
        ("promql", "query"),
        ("graph", "query"),
        ("commands", "help"),
    ];
    if let Some((_, name)) = SYNONYMS.iter().find(|(w, _)| *w == word) {
        return verb(name);
    }
    if word.chars().count() >= 2
        && let Some(verb) = VERBS.iter().find(|v| v.name.starts_with(word))
    {
        return Some(verb);
    }
    let near = |name: &str| distance(word, name);
    VERBS.iter().min_by_key(|v| near(v.name)).filter(|v| near(v.name) <= 1 + v.name.len() / 4)
}

/// How many letters have to be added, dropped, changed or swapped with a neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(32).collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
