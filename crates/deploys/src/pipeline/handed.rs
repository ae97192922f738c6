//! Targets that are not hosts: a cluster rolls the release out by its own means, and is told by us how far. Which clusters
//! there are, and with what token, is the operator's to say (`[[clusters]]` of the settings), never a repository's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Amount, Canary, Command, HostSelector, Target, batch_default};

/// Most containers or tasks of a target, and most annotations.
pub const ITEMS_MAX: usize = 32;
/// Longest image reference, annotation and variable.
pub const TEXT_BYTES_MAX: usize = 1024;

/// A Deployment, or a Rollout of Argo, whose containers get new images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// Name under `[[clusters]]` in the server's settings.
    pub cluster: String,
    pub namespace: String,
    /// Name of a Deployment; it has no canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Name of a Rollout of Argo. Each of its pauses without a duration is a canary step of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// By name of the container.
    pub containers: BTreeMap<String, Image>,
    /// Annotations of the pods beside ours; `$sha` stands for the commit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// How long the rollout, or one step of it, may take.
    #[serde(default = "within_default")]
    pub within_s: u32,
}

/// A job of Nomad: the registered one with new images, or one from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nomad {
    /// Name under `[[clusters]]` in the server's settings.
    pub cluster: String,
    #[serde(default = "namespace_default")]
    pub namespace: String,
    /// The job's ID.
    pub job: String,
    /// By `GROUP/TASK` of the job that is registered already.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, Image>,
    /// A job file of the artifact, in HCL or (`.json`) JSON, instead of `tasks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The file's HCL variables; `$sha` stands for the commit, `$(PATH)` for the image that a file of the artifact names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// How long the deployment, or one step of it, may take.
    #[serde(default = "within_default")]
    pub within_s: u32,
}

/// What a container runs. The cluster pulls it itself, so it is named, not shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// A reference with a digest, or with the commit in its tag: `registry.example/photos:$sha`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A file of the artifact, written by the build, that holds `NAME@sha256:DIGEST` and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_file: Option<String>,
}

/// One of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandedOver {
    Kubernetes(Kubernetes),
    Nomad(Nomad),
    Command(Box<Command>),
}

static NO_IMAGES: BTreeMap<String, Image> = BTreeMap::new();

const fn within_default() -> u32 {
    900
}
fn namespace_default() -> String {
    "default".to_owned()
}

impl HandedOver {
    /// Empty for a command.
    pub fn cluster(&self) -> &str {
        match self {
            Self::Kubernetes(k) => &k.cluster,
            Self::Nomad(n) => &n.cluster,
            Self::Command(_) => "",
        }
    }
    /// Empty for a command.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Kubernetes(k) => &k.namespace,
            Self::Nomad(n) => &n.namespace,
            Self::Command(_) => "",
        }
    }
    pub fn within_s(&self) -> u32 {
        match self {
            Self::Kubernetes(k) => k.within_s,
            Self::Nomad(n) => n.within_s,
            Self::Command(c) => c.within_s(),
        }
    }
    /// Of the Deployment, Rollout or job; `command` for a command.
    pub fn name(&self) -> &str {
        match self {
            Self::Kubernetes(k) => k.deployment.as_deref().or(k.rollout.as_deref()).unwrap_or_default(),
            Self::Nomad(n) => &n.job,
            Self::Command(_) => "command",
        }
    }
    /// `rollout shop/photos on main`, `command ./deploy.sh`
    pub fn says(&self) -> String {
        let kind = match self {
            Self::Command(c) => return c.says(),
            Self::Kubernetes(k) if k.rollout.is_some() => "rollout",
            Self::Kubernetes(_) => "deployment",
            Self::Nomad(_) => "job",
        };
        format!("{kind} {}/{} on {}", self.namespace(), self.name(), self.cluster())
    }
    pub const fn may_have_canary(&self) -> bool {
        match self {
            Self::Kubernetes(k) => k.rollout.is_some(),
            Self::Nomad(_) => true,
            Self::Command(_) => false,
        }
    }
    /// It can be told to stop on its way from one step to the next. A command that runs cannot.
    pub const fn pauses(&self) -> bool {
        !matches!(self, Self::Command(_))
    }
    /// What is asked before anything changes.
    pub const fn asks(&self) -> &'static str {
        match self {
            Self::Kubernetes(_) | Self::Nomad(_) => "the cluster is asked whether it would take this",
            Self::Command(_) => "its programs are looked for",
        }
    }
    /// What is done, as the predicate of a sentence.
    pub const fn done(&self) -> &'static str {
        match self {
            Self::Kubernetes(_) | Self::Nomad(_) => "is rolled out",
            Self::Command(_) => "is carried out",
        }
    }
    pub fn images(&self) -> &BTreeMap<String, Image> {
        match self {
            Self::Kubernetes(k) => &k.containers,
            Self::Nomad(n) => &n.tasks,
            Self::Command(_) => &NO_IMAGES,
        }
    }
    /// What would be written, in words. What a build has yet to name is told by its file.
    pub fn writes(&self, sha: &str) -> String {
        let mut words: Vec<String> =
            self.images().iter().map(|(name, image)| format!("{name} gets {}", image.says(sha))).collect();
        match self {
            Self::Kubernetes(k) => {
                words.extend(k.annotations.iter().map(|(n, v)| format!("annotation {n}: {}", with_sha(v, sha))));
            }
            Self::Nomad(n) => {
                words.extend(n.file.iter().map(|file| format!("the job of {file}")));
                words.extend(n.variables.iter().map(|(n, v)| format!("{n} = {}", with_sha(v, sha))));
            }
            Self::Command(c) => words.extend(c.runs()),
        }
        format!("{}: {}", self.says(), words.join(", "))
    }
}

impl Image {
    fn says(&self, sha: &str) -> String {
        match (&self.image, &self.image_file) {
            (Some(image), _) => with_sha(image, sha),
            (None, Some(file)) => format!("the image that {file} names"),
            (None, None) => String::new(),
        }
    }

    /// The reference; `read` gives a file of the artifact.
    pub fn resolve(&self, sha: &str, read: &dyn Fn(&str) -> Result<String, String>) -> Result<String, String> {
        match (&self.image, &self.image_file) {
            (Some(image), _) => Ok(with_sha(image, sha)),
            (None, Some(file)) => pinned(file, &read(file)?),
            (None, None) => Err("no image is named".to_owned()),
        }
    }
}

pub fn with_sha(text: &str, sha: &str) -> String {
    text.replace("$sha", sha)
}

/// The reference in a file: with a digest, so that what was built is what runs.
pub fn pinned(file: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    let digest = text.rsplit_once("@sha256:").map(|(_, digest)| digest);
    let fits = digest.is_some_and(|d| d.len() == 64 && d.chars().all(|c| c.is_ascii_hexdigit()));
    if fits && is_reference(text) {
        return Ok(text.to_owned());
    }
    Err(format!("{file} must hold one reference with a digest, NAME@sha256:DIGEST, and nothing else"))
}

/// A reference of plain characters, so that nothing escapes from where it is put.
pub(super) fn is_reference(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= TEXT_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "./:@_-".contains(c))
}

/// A key below the target's, and why it is wrong.
type Checked = Result<(), (Vec<String>, String)>;

/// A cluster or a command has its own places, so what is said of hosts means nothing there.
pub(super) fn check_target(target: &Target) -> Checked {
    let Some(handed) = target.handed_over() else { return Ok(()) };
    let wrong = |keys: &[&str], why: String| Err((keys.iter().map(|k| (*k).to_owned()).collect(), why));
    let kinds = [
        ("kubernetes", target.kubernetes.is_some()),
        ("nomad", target.nomad.is_some()),
        ("command", target.command.is_some()),
    ];
    let mut given = kinds.into_iter().filter(|(_, given)| *given).map(|(key, _)| key);
    let key = given.next().unwrap_or_default();
    if let Some(other) = given.next() {
        return wrong(&[other], format!("is given beside `{key}`; a target is one of them"));
    }
    check(&handed).map_err(|(keys, why)| (std::iter::once(key.to_owned()).chain(keys).collect(), why))?;
    let of_hosts = [
        ("hosts", target.hosts != HostSelector::default()),
        ("batch", target.batch != batch_default()),
        ("max_unavailable", target.max_unavailable != Amount::default()),
    ];
    if let Some((word, _)) = of_hosts.into_iter().find(|(_, given)| *given) {
        return wrong(&[word], format!("belongs to hosts, and `{key}` decides that itself"));
    }
    let canary = &target.canary;
    if !handed.may_have_canary() && *canary != Canary::default() {
        let why = match handed {
            HandedOver::Command(_) => "is not possible: a command has no canary; its programs may well have one",
            _ => "is not possible: a Deployment has no canary; use an Argo Rollout",
        };
        return wrong(&["canary"], why.to_owned());
    }
    let counted = [("hosts", canary.hosts.of(100) > 0), ("steps", !canary.steps.is_empty())];
    match counted.into_iter().find(|(_, given)| *given) {
        Some((word, _)) => wrong(
            &["canary", word],
            "is not counted here: the cluster's own steps are the canary's; leave it out".to_owned(),
        ),
        None => Ok(()),
    }
}

/// What a type cannot say.
fn check(handed: &HandedOver) -> Checked {
    // its words are checked with those of hooks
    if matches!(handed, HandedOver::Command(_)) {
        return Ok(());
    }
    let wrong = |keys: &[&str], why: &str| Err((keys.iter().map(|k| (*k).to_owned()).collect(), why.to_owned()));
    let word = |text: &str| {
        !text.is_empty() && text.len() <= 253 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    for (key, text) in [("cluster", handed.cluster()), ("namespace", handed.namespace())] {
        if !word(text) {
            return wrong(&[key], "must be a name of letters, digits, `.`, `_` and `-`");
        }
    }
    if !(1..=86_400).contains(&handed.within_s()) {
        return wrong(&["within_s"], "must be between 1 and 86400 seconds");
    }
    let (images, named) = match handed {
        HandedOver::Kubernetes(k) => {
            match (&k.deployment, &k.rollout) {
                (Some(_), Some(_)) => return wrong(&["rollout"], "is given beside `deployment`; write one of both"),
                (None, None) => return wrong(&[], "names no `deployment` and no `rollout`; write one of both"),
                _ => {}
            }
            if !word(handed.name()) {
                let key = if k.deployment.is_some() { "deployment" } else { "rollout" };
                return wrong(&[key], "must be a name of letters, digits, `.`, `_` and `-`");
            }
            if k.containers.is_empty() {
                return wrong(&["containers"], "is empty; write which container gets which image");
            }
            pairs(&k.annotations, "annotations")?;
            if let Some(name) = k.annotations.keys().find(|name| name.starts_with(OURS)) {
                return wrong(&["annotations", name], "is one of our own");
            }
            ("containers", &k.containers)
        }
        HandedOver::Nomad(n) => {
            if !word(&n.job) {
                return wrong(&["job"], "must be a name of letters, digits, `.`, `_` and `-`");
            }
            match (n.file.is_some(), n.tasks.is_empty()) {
                (true, false) => return wrong(&["tasks"], "is given beside `file`; write one of both"),
                (false, true) => return wrong(&[], "names no `tasks` and no `file`; write one of both"),
                _ => {}
            }
            if n.file.as_deref().is_some_and(|file| !is_path(file)) {
                return wrong(&["file"], "must be a path within the artifact");
            }
            if n.file.is_none() && !n.variables.is_empty() {
                return wrong(&["variables"], "belongs to a `file`");
            }
            if let Some(task) = n.tasks.keys().find(|t| t.split('/').filter(|p| word(p)).count() != 2) {
                return wrong(&["tasks", task], "must be GROUP/TASK");
            }
            pairs(&n.variables, "variables")?;
            ("tasks", &n.tasks)
        }
        HandedOver::Command(_) => return Ok(()),
    };
    if named.len() > ITEMS_MAX {
        return wrong(&[images], "has more than 32 of them");
    }
    for (name, image) in named {
        match (&image.image, &image.image_file) {
            (Some(text), None) if !is_reference(&with_sha(text, "sha")) => {
                return wrong(&[images, name, "image"], "is no reference such as registry.example/photos:$sha");
            }
            (Some(text), None) if !text.contains("$sha") && !text.contains("@sha256:") => {
                return wrong(
                    &[images, name, "image"],
                    "names no commit (`$sha`) and no digest (`@sha256:`), so every release would be the same",
                );
            }
            (None, Some(file)) if !is_path(file) => {
                return wrong(&[images, name, "image_file"], "must be a path within the artifact");
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => return wrong(&[images, name], "must have either `image` or `image_file`"),
        }
    }
    Ok(())
}

/// What our own annotations and keys of metadata begin with.
pub const OURS: &str = "tenfold.dev/";

fn pairs(pairs: &BTreeMap<String, String>, key: &str) -> Checked {
    if pairs.len() > ITEMS_MAX {
        return Err((vec![key.to_owned()], format!("has more than {ITEMS_MAX} of them")));
    }
    let bad = pairs.iter().find(|(name, value)| {
        name.len() > 253
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c))
            || value.len() > TEXT_BYTES_MAX
            || value.chars().any(char::is_control)
    });
    bad.map_or(Ok(()), |(name, _)| {
        let why = format!("must be a plain name with at most {TEXT_BYTES_MAX} bytes of text on one line");
        Err((vec![key.to_owned(), name.clone()], why))
    })
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('/') && text.split('/').all(|p| !p.is_empty() && p != "." && p != "..")
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    const FILE: &str = r#"
service: photos
artifact: {paths: [dist/image]}
targets:
  production:
    kubernetes:
      cluster: main
      namespace: shop
      rollout: photos
      containers:
        web: {image: "registry.example/photos:$sha"}
        sidecar:
          image_file: dist/image
      annotations: {example.org/commit: "$sha"}
      within_s: 600
    canary:
      hold_s: 60
      judge: {host_label: pod, errors: {bad: b, total: t}}
  staging:
    nomad:
      cluster: dc1
      job: photos
      tasks:
        web/server: {image_file: dist/image}
"#;

    #[test]
    fn targets_of_clusters_are_read() {
        let p = Pipeline::parse(FILE).unwrap();
        let production = p.target("production").unwrap().handed_over().unwrap();
        assert_eq!(
            production.writes("4f2c91a"),
            "rollout shop/photos on main: sidecar gets the image that dist/image names, web gets \
             registry.example/photos:4f2c91a, annotation example.org/commit: 4f2c91a"
        );
        let plan = crate::Plan::deploy(&p, p.target("production").unwrap(), 3);
        assert_eq!((plan.steps().len(), plan.batch, plan.max_unavailable, plan.activate_ms), (2, 3, 0, 620_000));
        assert!(plan.handed && plan.judge.is_some() && plan.later[0].judge.is_some());
        assert_eq!(p.target("staging").unwrap().handed_over().unwrap().says(), "job default/photos on dc1");
        let json = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<Pipeline>(&json).unwrap(), p);
    }

    #[test]
    fn their_errors_name_the_line() {
        let cases: &[(&str, &str, usize, &str)] = &[
            ("      cluster: main", "      cluster: \"a b\"", 7, "kubernetes.cluster` must be a name"),
            ("      rollout: photos", "      deployment: photos", 16, "a Deployment has no canary"),
            ("      rollout: photos", "      rollout: photos\n      deployment: photos", 9, "beside `deployment`"),
            ("      rollout: photos\n", "", 6, "names no `deployment` and no `rollout`"),
            ("\"registry.example/photos:$sha\"", "\"registry.example/photos:latest\"", 11, "names no commit"),
            ("\"registry.example/photos:$sha\"", "\"a b:$sha\"", 11, "is no reference"),
            ("image_file: dist/image\n      ann", "image_file: ../x\n      ann", 13, "a path within"),
            ("{example.org/commit: \"$sha\"}", "{tenfold.dev/release: x}", 14, "one of our own"),
            ("      within_s: 600", "      within_s: 0", 15, "between 1 and 86400"),
            ("      hold_s: 60", "      hosts: 1", 17, "the cluster's own steps"),
            ("        web/server:", "        web:", 24, "must be GROUP/TASK"),
            ("      job: photos", "      job: photos\n      file: x.hcl", 24, "beside `file`"),
            ("    nomad:", "    hosts: all\n    batch: 2\n    nomad:", 21, "belongs to hosts"),
        ];
        for (from, to, line, words) in cases {
            assert!(FILE.contains(from), "{from}");
            let error = Pipeline::parse(&FILE.replacen(from, to, 1)).unwrap_err();
            assert!(error.message.contains(words), "{to}: {error}");
            assert_eq!(error.line, *line, "{to}: {error}");
        }
        let bare = FILE.replace("kubernetes:", "hosts: all\n    kubernetes_:");
        assert!(Pipeline::parse(&bare).is_err());
        let hosts = "service: photos\ntargets: {production: {hosts: all}}";
        assert!(Pipeline::parse(hosts).unwrap().run.command.is_empty(), "hosts reached by ssh start nothing by it");
    }

    #[test]
    fn a_file_names_one_image_by_digest() {
        let good = format!("registry.example/photos@sha256:{}", "a".repeat(64));
        assert_eq!(pinned("f", &format!("{good}\n")).unwrap(), good);
        for bad in
            ["", "photos:1", "photos@sha256:ab", &format!("{good} {good}"), &format!("-x@sha256:{}", "a".repeat(64))]
        {
            assert!(pinned("f", bad).unwrap_err().contains("f must hold one reference"), "{bad}");
        }
    }
}
