//! Command lines: macros filled in as Nagios fills them in, and cut into words as a shell cuts them.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_protocols::nagios::{Fields, Resolved};

/// Most arguments of a command, as in Nagios.
const ARGUMENTS_MAX: usize = 32;

/// What the macros of a host or a service are filled in of.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub resolved: &'a Resolved,
    /// `$USER1$` and its kin, those of them that are no secrets.
    pub macros: &'a BTreeMap<String, String>,
    pub host: &'a str,
    pub host_fields: &'a Fields,
    /// The service's, or the host's once more.
    pub fields: &'a Fields,
}

impl Around<'_> {
    /// What stands for a macro; none when it has no equal.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        if let Some((name, of)) = name.split_once(':') {
            return self.elsewhere(of)?.value(name);
        }
        let said = |fields: &Fields, key: &str| fields.get(key).cloned();
        // What is not said of a host is its name.
        let named = |key: &str| said(self.host_fields, key).or_else(|| Some(self.host.to_owned()));
        let text = |fields: &Fields, key: &str| Some(said(fields, key).unwrap_or_default());
        let groups = || self.groups_of_host();
        match name {
            "HOSTNAME" => Some(self.host.to_owned()),
            "HOSTADDRESS" => named("address"),
            "HOSTALIAS" => named("alias"),
            "HOSTDISPLAYNAME" => named("display_name"),
            "HOSTCHECKCOMMAND" => text(self.host_fields, "check_command"),
            "HOSTNOTES" => text(self.host_fields, "notes"),
            "HOSTNOTESURL" => text(self.host_fields, "notes_url"),
            "HOSTACTIONURL" => text(self.host_fields, "action_url"),
            "MAXHOSTATTEMPTS" => said(self.host_fields, "max_check_attempts"),
            "HOSTGROUPNAME" => Some(groups().first().map(|g| (*g).to_owned()).unwrap_or_default()),
            "HOSTGROUPNAMES" => Some(groups().join(",")),
            "SERVICEDESC" => said(self.fields, "service_description"),
            "SERVICEDISPLAYNAME" => {
                said(self.fields, "display_name").or_else(|| said(self.fields, "service_description"))
            }
            "SERVICECHECKCOMMAND" => text(self.fields, "check_command"),
            "SERVICENOTES" => text(self.fields, "notes"),
            "SERVICENOTESURL" => text(self.fields, "notes_url"),
            "SERVICEACTIONURL" => text(self.fields, "action_url"),
            "MAXSERVICEATTEMPTS" => said(self.fields, "max_check_attempts"),
            name => {
                let custom = |fields: &Fields, rest: &str| {
                    let key = format!("_{}", rest.to_lowercase());
                    // One that nobody has set is empty, as in Nagios.
                    let found = fields.iter().find(|(k, _)| k.to_lowercase() == key);
                    Some(found.map_or_else(String::new, |(_, v)| v.clone()))
                };
                if let Some(rest) = name.strip_prefix("_HOST") {
                    return custom(self.host_fields, rest);
                }
                if let Some(rest) = name.strip_prefix("_SERVICE") {
                    return custom(self.fields, rest);
                }
                self.macros.get(name).cloned()
            }
        }
    }

    /// Another host, or one of its services: `$HOSTADDRESS:db1$`, `$_SERVICEPORT:db1:Web$`.
    fn elsewhere(&self, of: &str) -> Option<Around<'_>> {
        let (host, service) = of.split_once(':').map_or((of, None), |(host, service)| (host, Some(service)));
        let (host, host_fields) = self.resolved.hosts.get_key_value(if host.is_empty() { self.host } else { host })?;
        let fields = match service {
            Some(service) => self.resolved.services.get(&(host.clone(), service.to_owned()))?,
            None => host_fields,
        };
        Some(Around { resolved: self.resolved, macros: self.macros, host: host.as_str(), host_fields, fields })
    }

    fn groups_of_host(&self) -> Vec<&str> {
        let members = self.resolved.members.iter();
        members.filter(|(_, hosts)| hosts.contains(self.host)).map(|(group, _)| group.as_str()).collect()
    }
}

/// Why a macro is not taken over, and what to do.
fn why_not(name: &str) -> String {
    if name.strip_prefix("USER").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
        return format!(
            "the macro ${name}$ may hold a secret; the check is left out: `--macro {name}` takes it, for everybody to see who sees the check"
        );
    }
    if name.contains("STATE") && name.contains(':') {
        return format!("the macro ${name}$ asks how another check stands; write a rule over check_status instead");
    }
    format!("the macro ${name}$ has no equal; the check is left out")
}

/// The name of a command and its arguments: `name!a!b`, where `\!` stands for `!`.
fn arguments(command: &str) -> (&str, Vec<String>) {
    let Some((name, rest)) = command.split_once('!') else { return (command.trim(), Vec::new()) };
    let (mut out, mut open) = (Vec::new(), String::new());
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'!') => open.extend(chars.next()),
            '!' => out.push(std::mem::take(&mut open)),
            c => open.push(c),
        }
    }
    out.push(open);
    out.truncate(ARGUMENTS_MAX);
    (name.trim(), out)
}

/// The words of a command line.
///
/// # Errors
/// What of it has no equal here: a macro, a line that only a shell could run, nothing at all.
pub(super) fn argv(around: &Around<'_>, command: &str) -> Result<Vec<String>, String> {
    let (name, arguments) = arguments(command);
    let line = around.resolved.commands.get(name).ok_or_else(|| format!("there is no command `{name}`"))?;
    let mut unknown = BTreeSet::new();
    // Arguments may hold macros, and what is filled in is not looked through again.
    let arguments: Vec<String> =
        arguments.iter().map(|argument| filled(argument, &|name: &str| around.value(name), &mut unknown)).collect();
    let of_line = |name: &str| {
        let Some(n) = name.strip_prefix("ARG").and_then(|n| n.parse::<usize>().ok()) else {
            return around.value(name);
        };
        Some(arguments.get(n.checked_sub(1)?).cloned().unwrap_or_default())
    };
    let whole = filled(line, &of_line, &mut unknown);
    if let Some(name) = unknown.first() {
        return Err(why_not(name));
    }
    match words(&whole) {
        Ok(argv) if argv.is_empty() => Err(format!("the command `{name}` is empty")),
        Ok(argv) => Ok(argv),
        Err(why) => Err(format!("the command `{name}` {why}, and no shell runs here: put it into a script")),
    }
}

/// A macro's name, or that of one with the host it is about.
fn is_macro(name: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    match name.split_once(':') {
        Some((name, of)) => {
            let begins = name.starts_with(|c: char| c == '_' || c.is_ascii_uppercase());
            begins && plain(name) && !of.contains(['/', '\'', '"', '!'])
        }
        None => plain(name),
    }
}

/// Fills `$NAME$` in; `$$` is a dollar.
pub(super) fn filled(text: &str, value: &dyn Fn(&str) -> Option<String>, unknown: &mut BTreeSet<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end = after.find('$');
        match end.map(|end| (&after[..end], &after[end + 1..])) {
            Some(("", next)) => {
                out.push('$');
                rest = next;
            }
            Some((name, next)) if is_macro(name) => {
                match value(name) {
                    Some(value) => out.push_str(&value),
                    None => {
                        unknown.insert(name.to_owned());
                    }
                }
                rest = next;
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Words as a shell cuts them, with quotes; what needs a shell is refused.
fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => out.extend(word.take()),
            '\'' => {
                let held = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err("has a quote without end"),
                        Some('\'') => break,
                        Some(c) => held.push(c),
                    }
                }
            }
            '"' => {
                let held = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err("has a quote without end"),
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => held.push(c),
                            Some(c) => held.extend(['\\', c]),
                            None => return Err("has a quote without end"),
                        },
                        Some('`') => return Err("runs another command"),
                        Some(c) => held.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '|' | ';' | '&' | '<' | '>' | '`' | '(' | ')' | '\n' => return Err("is a line for a shell"),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    Ok(out)
}
