//! Object configuration of Nagios: `define TYPE { key value }`, templates, groups, resolved to hosts and services as Nagios
//! itself resolves them (`nagios -vp` writes the same into its precached file).

mod groups;

use std::collections::{BTreeMap, BTreeSet};

pub use groups::Matching;
use groups::{hosts_of, members, service_members, with_inner};

/// Bytes of all files together.
pub const BYTES_MAX: usize = 32 << 20;
/// Objects and resolved services.
pub const OBJECTS_MAX: usize = 200_000;
/// How deep templates and groups may name each other.
const DEPTH_MAX: usize = 32;

/// Kinds about who is told, when, and what stands behind what.
pub const KEPT: [&str; 7] = [
    "contact",
    "contactgroup",
    "timeperiod",
    "serviceescalation",
    "hostescalation",
    "servicedependency",
    "hostdependency",
];
/// Keys whose value is a list that `+` makes longer; in another it is a sign, as in a telephone number.
const LISTS: &str = "parents members host_name hostgroup_name hostgroups hostgroup_members service_description servicegroup_name \
                     servicegroups servicegroup_members dependent_host_name dependent_hostgroup_name contacts contact_groups \
                     dependent_service_description dependent_servicegroup_name contactgroups contactgroup_members";
/// Keys that a service without them has of its host: `null` says that it has none, and stands as nothing.
const OF_HOST: [&str; 3] = ["contacts", "contact_groups", "notification_period"];
/// Keys that no object has of its templates.
const OF_A_TEMPLATE: [&str; 3] = ["name", "register", "use"];
/// Keys of a time period that are no days.
pub const PERIOD_KEYS: [&str; 6] = ["timeperiod_name", "alias", "exclude", "use", "name", "register"];

/// A value for each key.
pub type Fields = BTreeMap<String, String>;

/// One `define`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub kind: String,
    pub fields: Fields,
    pub file: String,
    pub line: usize,
}

/// Hosts, services of each and commands, templates and groups taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// By name.
    pub hosts: BTreeMap<String, Fields>,
    /// By host and description.
    pub services: BTreeMap<(String, String), Fields>,
    /// Command lines by name.
    pub commands: BTreeMap<String, String>,
    /// Of each kind of [`KEPT`], with templates taken in, in the files' order.
    pub kept: BTreeMap<String, Vec<Fields>>,
    /// Hosts of each group.
    pub members: BTreeMap<String, BTreeSet<String>>,
    /// Hosts and descriptions of the services of each group.
    pub service_groups: BTreeMap<String, BTreeSet<(String, String)>>,
    /// How many there are of each other kind.
    pub others: BTreeMap<String, usize>,
    /// How names in lists were read.
    pub matching: Matching,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct NagiosError {
    pub file: String,
    pub line: usize,
    pub message: String,
}

/// `key=value` lines of the main file or a resource file.
pub fn read_main(text: &str) -> Vec<(String, String)> {
    let pair = |line: &str| {
        let line = line.trim();
        let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// What a file of objects takes in beside its own: a file, or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Included {
    File(String),
    Dir(String),
}

/// The lines `include_file=PATH` and `include_dir=PATH` of a file of objects.
pub fn included(text: &str) -> Vec<Included> {
    let one = |line: &str| {
        let line = line.trim();
        let file = line.strip_prefix("include_file=").map(|path| Included::File(path.trim().to_owned()));
        file.or_else(|| Some(Included::Dir(line.strip_prefix("include_dir=")?.trim().to_owned())))
    };
    text.lines().filter_map(one).collect()
}

/// The objects of a file. What it takes in is read by whoever has a disk, see [`included`].
pub fn read_objects(file: &str, text: &str) -> Result<Vec<Object>, NagiosError> {
    let wrong = |line: usize, message: String| NagiosError { file: file.to_owned(), line, message };
    let mut objects = Vec::new();
    let mut open: Option<Object> = None;
    let mut carried = String::new();
    for (i, raw) in text.lines().enumerate() {
        let number = i + 1;
        // A backslash at the end joins the next line, without the blanks that it begins with.
        let raw = if carried.is_empty() { raw } else { raw.trim_start() };
        if let Some(begun) = raw.strip_suffix('\\') {
            carried.push_str(begun);
            continue;
        }
        let joined = std::mem::take(&mut carried) + raw;
        let line = without_comment(&joined);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match &mut open {
            None if line.starts_with("include_file=") || line.starts_with("include_dir=") => {}
            None => {
                let rest = line.strip_prefix("define").filter(|r| r.starts_with(char::is_whitespace));
                let kind = rest.and_then(|r| r.trim().strip_suffix('{')).map(str::trim);
                let kind = kind.filter(|k| !k.is_empty() && k.bytes().all(|b| b.is_ascii_alphanumeric()));
                let kind = kind.ok_or_else(|| wrong(number, format!("`{line:.80}` is not `define KIND {{`")))?;
                open =
                    Some(Object { kind: kind.to_owned(), fields: Fields::new(), file: file.to_owned(), line: number });
            }
            Some(object) if line == "}" => {
                objects.push(std::mem::replace(object, Object { fields: Fields::new(), ..object.clone() }));
                open = None;
                if objects.len() > OBJECTS_MAX {
                    return Err(wrong(number, format!("there are more than {OBJECTS_MAX} objects")));
                }
            }
            Some(object) => {
                let (key, value) = pair(&object.kind, line);
                object.fields.insert(renamed(key).to_owned(), value.trim().to_owned());
            }
        }
    }
    match open {
        Some(object) => Err(wrong(object.line, format!("the {} has no `}}`", object.kind))),
        None => Ok(objects),
    }
}

/// A key and its value. The days of a time period are several words: they end where its hours begin.
fn pair<'l>(kind: &str, line: &'l str) -> (&'l str, &'l str) {
    let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if kind != "timeperiod" || PERIOD_KEYS.contains(&key) {
        return (key, value);
    }
    let words = line.split_whitespace();
    let hours = words.filter(|w| w.contains(':')).find_map(|w| line.find(w));
    hours.map_or((key, value), |at| (line[..at].trim_end(), &line[at..]))
}

/// Up to a `;`; `\;` stands for one.
fn without_comment(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&';') => {
                chars.next();
                out.push(';');
            }
            ';' => break,
            c => out.push(c),
        }
    }
    out
}

/// Older names of keys.
fn renamed(key: &str) -> &str {
    match key {
        "normal_check_interval" => "check_interval",
        "retry_check_interval" => "retry_interval",
        "host" | "hosts" => "host_name",
        "description" => "service_description",
        "host_groups" => "hostgroups",
        "hostgroup" | "hostgroup_names" => "hostgroup_name",
        key => key,
    }
}

struct Book<'o> {
    templates: BTreeMap<(&'o str, &'o str), &'o Object>,
}

impl<'o> Book<'o> {
    fn new(objects: &'o [Object]) -> Self {
        let named = |o: &'o Object| Some(((o.kind.as_str(), o.fields.get("name")?.as_str()), o));
        Self { templates: objects.iter().filter_map(named).collect() }
    }

    /// Fields with those of its templates; the first template counts most. `+` adds to what is inherited, `null` ends it.
    fn inherit(&self, object: &Object, depth: usize) -> Result<Fields, NagiosError> {
        let wrong = |message: String| NagiosError { file: object.file.clone(), line: object.line, message };
        if depth > DEPTH_MAX {
            return Err(wrong(format!("templates use each other more than {DEPTH_MAX} deep")));
        }
        let mut fields = object.fields.clone();
        for name in list(object.fields.get("use").map_or("", String::as_str)) {
            let template = self
                .templates
                .get(&(object.kind.as_str(), name))
                .ok_or_else(|| wrong(format!("there is no {} template `{name}`", object.kind)))?;
            for (key, value) in self.inherit(template, depth + 1)? {
                if !OF_A_TEMPLATE.contains(&key.as_str()) {
                    merge(&mut fields, &key, &value);
                }
            }
        }
        Ok(fields)
    }
}

fn grows(key: &str) -> bool {
    LISTS.split(' ').any(|list| list == key) || key.ends_with("_notification_commands")
}

/// Takes over what is not set; a list that begins with `+` is made longer.
fn merge(fields: &mut Fields, key: &str, inherited: &str) {
    match fields.get_mut(key) {
        None => {
            fields.insert(key.to_owned(), inherited.to_owned());
        }
        // Nothing is added, and what comes behind it still is.
        Some(own) if grows(key) && own.starts_with('+') && inherited == "null" => {}
        Some(own) if grows(key) && own.starts_with('+') => {
            own.push(',');
            own.push_str(inherited.trim_start_matches('+'));
            // What is inherited with a `+` may go on growing.
            if !inherited.starts_with('+') {
                own.remove(0);
            }
        }
        Some(_) => {}
    }
}

fn settled(mut fields: Fields) -> Fields {
    for not_a_value in OF_A_TEMPLATE {
        fields.remove(not_a_value);
    }
    for (_, value) in
        fields.iter_mut().filter(|(key, value)| value.as_str() == "null" && OF_HOST.contains(&key.as_str()))
    {
        value.clear();
    }
    fields.retain(|_, value| value != "null");
    for (_, value) in fields.iter_mut().filter(|(key, _)| grows(key)) {
        if let Some(plain) = value.strip_prefix('+') {
            *value = plain.to_owned();
        }
    }
    fields
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|p| !p.is_empty())
}

/// Takes templates and groups in; names in lists are read as they stand.
///
/// # Errors
/// As [`resolve_with`].
pub fn resolve(objects: &[Object]) -> Result<Resolved, NagiosError> {
    resolve_with(objects, Matching::default())
}

/// Takes templates and groups in.
///
/// # Errors
/// The object that names what is not there, or lacks what it needs.
pub fn resolve_with(objects: &[Object], matching: Matching) -> Result<Resolved, NagiosError> {
    let book = Book::new(objects);
    let mut out = Resolved { matching, ..Resolved::default() };
    let mut groups: BTreeMap<String, Fields> = BTreeMap::new();
    let mut service_groups: BTreeMap<String, Fields> = BTreeMap::new();
    let mut services = Vec::new();
    for object in objects.iter().filter(|o| o.fields.get("register").map(String::as_str) != Some("0")) {
        let wrong = |message: String| NagiosError { file: object.file.clone(), line: object.line, message };
        let fields = settled(book.inherit(object, 0)?);
        let name =
            |key: &str| fields.get(key).cloned().ok_or_else(|| wrong(format!("the {} has no {key}", object.kind)));
        match object.kind.as_str() {
            "host" => {
                out.hosts.insert(name("host_name")?, fields);
            }
            "hostgroup" => {
                groups.insert(name("hostgroup_name")?, fields);
            }
            "service" => services.push((object, fields)),
            "servicegroup" => {
                service_groups.insert(name("servicegroup_name")?, fields);
            }
            "command" => {
                out.commands.insert(name("command_name")?, name("command_line")?);
            }
            kept if KEPT.contains(&kept) => out.kept.entry(kept.to_owned()).or_default().push(fields),
            other => *out.others.entry(other.to_owned()).or_default() += 1,
        }
    }
    let whole = |message: String| NagiosError { file: "hostgroup".to_owned(), line: 0, message };
    let members = members(&out.hosts, &groups, matching).map_err(whole)?;
    // A service that names a host counts more than one that names its group.
    for by_group in [true, false] {
        for (object, fields) in &services {
            let wrong = |message: String| NagiosError { file: object.file.clone(), line: object.line, message };
            let description = fields.get("service_description").cloned();
            let description = description.ok_or_else(|| wrong("the service has no service_description".to_owned()))?;
            let empty = String::new();
            let named = fields.get("host_name").unwrap_or(&empty);
            let grouped = fields.get("hostgroup_name").unwrap_or(&empty);
            for host in hosts_of((named, grouped), by_group, &out.hosts, &members, matching).map_err(wrong)? {
                let mut own = fields.clone();
                own.remove("hostgroup_name");
                own.insert("host_name".to_owned(), host.clone());
                out.services.insert((host, description.clone()), own);
            }
            if out.services.len() > OBJECTS_MAX {
                return Err(wrong(format!("there are more than {OBJECTS_MAX} services")));
            }
        }
    }
    out.members = members;
    out.service_groups = service_members(&out.services, &service_groups);
    Ok(out)
}

impl Resolved {
    /// The hosts that a list of names and one of groups mean; `*` is all, `!` takes away.
    ///
    /// # Errors
    /// The name that nothing has.
    pub fn hosts_meant(&self, named: &str, grouped: &str) -> Result<BTreeSet<String>, String> {
        let of = |by_group| hosts_of((named, grouped), by_group, &self.hosts, &self.members, self.matching);
        let mut all = of(false)?;
        all.extend(of(true)?);
        Ok(all)
    }

    /// The services with these descriptions on the hosts that [`Self::hosts_meant`] says, and those of groups of services;
    /// `*` is every description.
    ///
    /// # Errors
    /// The name that nothing has.
    pub fn services_meant(
        &self,
        named: &str,
        grouped: &str,
        descriptions: &str,
        service_groups: &str,
    ) -> Result<BTreeSet<(String, String)>, String> {
        let hosts = self.hosts_meant(named, grouped)?;
        let wanted = self.matching.wanted(list(descriptions))?;
        let described = |service: &str| wanted.iter().any(|one| one.is(service));
        let keys = self.services.keys();
        let mut all: BTreeSet<(String, String)> =
            keys.filter(|(host, service)| hosts.contains(host) && described(service)).cloned().collect();
        for group in list(service_groups) {
            let groups = self.matching.meant(group, &self.service_groups)?;
            if groups.is_empty() {
                return Err(format!("there is no servicegroup `{group}`"));
            }
            all.extend(groups.into_iter().flat_map(|(_, of)| of.iter().cloned()));
        }
        Ok(all)
    }

    /// The contacts of each group: those it names (`*` is all), those that name it, those of its groups, but for those it takes away
    /// by `!`.
    pub fn contact_groups(&self) -> BTreeMap<String, BTreeSet<String>> {
        let kept = |kind: &str| self.kept.get(kind).map_or(&[][..], Vec::as_slice);
        let text = |fields: &Fields, key: &str| fields.get(key).cloned().unwrap_or_default();
        let named = |contact| (text(contact, "contact_name"), contact);
        let known: BTreeMap<String, &Fields> = kept("contact").iter().map(named).collect();
        let (mut out, mut without) = (groups::Members::new(), groups::Members::new());
        let mut inner = BTreeMap::new();
        for group in kept("contactgroup") {
            let name = text(group, "contactgroup_name");
            out.entry(name.clone()).or_default();
            for member in list(&text(group, "members")) {
                let plain = member.trim_start_matches('!');
                // What is no pattern is a name that nobody has.
                let found = self.matching.meant(plain, &known).unwrap_or_default();
                let mut meant: Vec<String> = found.into_iter().map(|(contact, _)| contact.clone()).collect();
                if meant.is_empty() {
                    meant.push(plain.to_owned());
                }
                let into = if member.starts_with('!') { &mut without } else { &mut out };
                into.entry(name.clone()).or_default().extend(meant);
            }
            inner.insert(name, text(group, "contactgroup_members"));
        }
        for contact in kept("contact") {
            for group in list(&text(contact, "contactgroups")) {
                out.entry(group.to_owned()).or_default().insert(text(contact, "contact_name"));
            }
        }
        with_inner(&mut out, &inner, &without);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTS: &str = "
define host {
  name base ; a template
  max_check_attempts 5
  hostgroups all
  register 0
}
define host {
  use base
  host_name a
  hostgroups +web
}
define host {
  use base
  host_name b
  max_check_attempts 2
}
define hostgroup {
  hostgroup_name web
}
define hostgroup {
  hostgroup_name all
}
define service {
  hostgroup_name all
  service_description PING
  check_command ping!1\\;2!\\
3
}
define service {
  host_name b
  service_description PING
  check_command other
}
define service {
  hostgroup_name all,!web
  service_description Not web
}
define command {
  command_name ping
  command_line /p $ARG1$
}
define contact {
  contact_name x
}
define module {
  module_name x
}
define timeperiod {
  timeperiod_name x
  alias Some hours
  monday 09:00-17:00, 18:00-19:00
  december 25 00:00-00:00
  december 26 00:00-00:00
  monday 3 february 10:00-11:00 ; the third
}
define hostescalation {
  host_name a
  hostgroup_name all
}
";

    #[test]
    fn templates_and_groups() {
        let resolved = resolve(&read_objects("x.cfg", OBJECTS).unwrap()).unwrap();
        assert_eq!(resolved.hosts["a"]["hostgroups"], "web,all");
        assert_eq!(resolved.hosts["b"]["max_check_attempts"], "2");
        let services: Vec<_> = resolved
            .services
            .iter()
            .map(|((h, s), f)| (h.as_str(), s.as_str(), f.get("check_command").map(String::as_str)))
            .collect();
        assert_eq!(services, [("a", "PING", Some("ping!1;2!3")), ("b", "Not web", None), ("b", "PING", Some("other"))]);
        assert_eq!((resolved.others["module"], resolved.kept["contact"].len()), (1, 1));
        let period = &resolved.kept["timeperiod"][0];
        assert_eq!(period["monday"], "09:00-17:00, 18:00-19:00");
        assert_eq!((period["december 25"].as_str(), period["december 26"].as_str()), ("00:00-00:00", "00:00-00:00"));
        assert_eq!((period["monday 3 february"].as_str(), period["alias"].as_str()), ("10:00-11:00", "Some hours"));
        let both: Vec<String> = resolved.hosts_meant("a,!b", "all").unwrap().into_iter().collect();
        assert_eq!(both, ["a"]);
        assert_eq!(resolved.hosts_meant("gone", ""), Err("there is no host `gone`".to_owned()));
    }

    /// As `nagios4 -vp` resolves them with `use_regexp_matching`, and with `use_true_regexp_matching` beside it.
    #[test]
    fn names_may_be_patterns() {
        let text =
            ["web1", "web2", "db.one", "my-web1"].map(|h| format!("define host {{\nhost_name {h}\n}}\n")).concat()
                + "define hostgroup {\nhostgroup_name g-web\nmembers web.+\n}\n\
               define hostgroup {\nhostgroup_name g-db\nmembers db\\.one\n}\n\
               define service {\nhost_name ^web.*\nservice_description A\n}\n\
               define service {\nhostgroup_name g-.*\nservice_description B\n}\n\
               define service {\nhost_name web1\nservice_description C\n}\n";
        let objects = read_objects("x.cfg", &text).unwrap();
        assert!(resolve(&objects).is_err(), "nothing has such a name");
        let services = |matching| -> Vec<String> {
            let resolved = resolve_with(&objects, matching).unwrap();
            resolved.services.keys().map(|(host, service)| format!("{host} {service}")).collect()
        };
        let marked = ["db.one B", "my-web1 B", "web1 A", "web1 B", "web1 C", "web2 A", "web2 B"];
        assert_eq!(services(Matching::Marked), marked);
        assert!(services(Matching::All).contains(&"my-web1 C".to_owned()), "{:?}", services(Matching::All));
        let resolved = resolve_with(&objects, Matching::Marked).unwrap();
        let of = |named, described| resolved.services_meant(named, "", described, "").unwrap().len();
        assert_eq!((of("web.*", "[AB].*"), of("*", "*"), of("web1", "A")), (5, 7, 1));
        // As the C library reads them: brackets in brackets, ends of words.
        assert_eq!((of("^web[^[&&w]*$", "A"), of(r"\<web1\>.*", "B")), (2, 2));
        let large = r"\pL+".repeat(300);
        for (pattern, wrong) in [("(.*", "is not a pattern: unclosed group"), (large.as_str(), "size limit")] {
            let told = resolved.services_meant(pattern, "", "A", "").unwrap_err();
            assert!(told.contains(wrong), "{told}");
        }
    }

    /// As `nagios4 -vp` resolves them.
    #[test]
    fn what_a_group_takes_away_is_not_in_it_and_nothing_adds_nothing() {
        let text = "define host {\nname none\nregister 0\nhostgroups null\nhost_name null\n}\n\
            define host {\nname x\nregister 0\nhostgroups x\n_phone 5\n}\n\
            define host {\nuse none,x\nhost_name a\nhostgroups +web\n_phone +49\n}\n\
            define host {\nuse none,x\nhost_name b\nhostgroups late\n}\n\
            define hostgroup {\nhostgroup_name early\nmembers !b,*\n}\n\
            define hostgroup {\nhostgroup_name late\nmembers *,!b\n}\n\
            define hostgroup {\nhostgroup_name outer\nmembers !a\nhostgroup_members inner\n}\n\
            define hostgroup {\nhostgroup_name inner\nmembers a,b\n}\n\
            define contact {\ncontact_name ana\n}\ndefine contact {\ncontact_name raj\ncontactgroups some\n}\n\
            define contactgroup {\ncontactgroup_name every\nmembers *\n}\n\
            define contactgroup {\ncontactgroup_name some\nmembers !raj,*\n}\n\
            define contactgroup {\ncontactgroup_name more\nmembers !ana\ncontactgroup_members every\n}\n";
        let resolved = resolve(&read_objects("x.cfg", text).unwrap()).unwrap();
        let line = |(group, of): (&String, &BTreeSet<String>)| {
            format!("{group}: {}", of.iter().map(String::as_str).collect::<Vec<_>>().join(","))
        };
        let groups: Vec<String> = resolved.members.iter().map(line).collect();
        assert_eq!(groups, ["early: a", "inner: a,b", "late: a", "outer: b", "web: a", "x: a"]);
        let contacts: Vec<String> = resolved.contact_groups().iter().map(line).collect();
        assert_eq!(contacts, ["every: ana,raj", "more: raj", "some: ana"]);
        assert_eq!((resolved.hosts["a"]["_phone"].as_str(), resolved.hosts["b"]["_phone"].as_str()), ("+49", "5"));
    }

    #[test]
    fn files_may_take_others_in() {
        let text = "include_file=more.cfg\ndefine command {\ncommand_name a\ncommand_line /p \\\n    -x\n}\n include_dir=/etc/d\n";
        let read = [Included::File("more.cfg".to_owned()), Included::Dir("/etc/d".to_owned())];
        assert_eq!(included(text), read);
        let objects = read_objects("x.cfg", text).unwrap();
        assert_eq!(objects[0].fields["command_line"], "/p -x");
    }

    #[test]
    fn errors_name_the_line() {
        let cases = [
            ("define host {\nhost_name a\n", "x.cfg:1: the host has no `}`"),
            ("\nnonsense\n", "x.cfg:2: `nonsense` is not `define KIND {`"),
            ("define host {\nuse gone\nhost_name a\n}\n", "x.cfg:1: there is no host template `gone`"),
            ("define host {\nuse a\nname a\n}\n", "x.cfg:1: templates use each other more than 32 deep"),
            ("define service {\nhost_name gone\nservice_description x\n}\n", "x.cfg:1: there is no host `gone`"),
        ];
        for (text, expected) in cases {
            let got = read_objects("x.cfg", text).and_then(|o| resolve(&o)).unwrap_err();
            assert_eq!(got.to_string(), expected);
        }
    }
}
