//! Which control groups this process is in, and where their folders are: `/proc/self/mountinfo` (proc(5)) and
//! `/proc/self/cgroup` (cgroups(7)).

use std::path::{Path, PathBuf};

use super::Controller;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub v2: Option<PathBuf>,
    /// Controllers that a hierarchy of version 1 has.
    pub v1: Vec<(Controller, PathBuf)>,
}

pub(super) fn places(mountinfo: &str, own: &str) -> Places {
    let mut places = Places::default();
    for mount in mountinfo.lines().filter_map(Mount::of) {
        match mount.kind {
            "cgroup2" if places.v2.is_none() => places.v2 = mount.folder(own, str::is_empty),
            "cgroup" => {
                for controller in Controller::ALL {
                    let name = controller.name();
                    let has = |controllers: &str| controllers.split(',').any(|c| c == name);
                    if has(mount.options)
                        && places.v1.iter().all(|(known, _)| *known != controller)
                        && let Some(dir) = mount.folder(own, has)
                    {
                        places.v1.push((controller, dir));
                    }
                }
            }
            _ => {}
        }
    }
    places
}

struct Mount<'a> {
    /// The group that is seen at `at`.
    root: &'a str,
    at: &'a str,
    kind: &'a str,
    /// Of the hierarchy: its controllers are among them.
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// `31 23 0:28 ROOT AT rw,relatime shared:9 - KIND SOURCE OPTIONS`
    fn of(line: &'a str) -> Option<Self> {
        let (mount, hierarchy) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut hierarchy = hierarchy.split(' ');
        let (root, at) = (mount.next()?, mount.next()?);
        let (kind, options) = (hierarchy.next()?, hierarchy.nth(1)?);
        Some(Self { root, at, kind, options })
    }

    /// The folder of this process's group in this hierarchy, which is the one of its lines (`4:memory:/path`) that
    /// `is_hierarchy` knows by its controllers. None where the mount shows other groups only.
    fn folder(&self, own: &str, is_hierarchy: impl Fn(&str) -> bool) -> Option<PathBuf> {
        let path = own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            is_hierarchy(controllers).then_some(path)
        })?;
        let below = Path::new(path).strip_prefix(self.root).ok()?;
        let at = Path::new(self.at);
        Some(if below.as_os_str().is_empty() { at.to_path_buf() } else { at.join(below) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";

    fn v1(controller: Controller, dir: &str) -> (Controller, PathBuf) {
        (controller, dir.into())
    }

    #[test]
    fn each_hierarchy_has_a_place_of_its_own() {
        let own = "9:name=systemd:/a\n8:pids:/\n4:memory:/b/c\n1:cpu,cpuacct:/d\n0::/e";
        let expected = Places {
            v2: Some("/sys/fs/cgroup/unified/e".into()),
            v1: vec![
                v1(Controller::Cpu, "/sys/fs/cgroup/cpu,cpuacct/d"),
                v1(Controller::Memory, "/sys/fs/cgroup/memory/b/c"),
                v1(Controller::Processes, "/sys/fs/cgroup/pids"),
            ],
        };
        assert_eq!(places(BOTH, own), expected);
    }

    #[test]
    fn version_2_alone() {
        let mount = "30 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let found = places(mount, "0::/system.slice/tenfold.service\n");
        let v2 = Some("/sys/fs/cgroup/system.slice/tenfold.service".into());
        assert_eq!(found, Places { v2, v1: Vec::new() });
        assert_eq!(places("", "0::/\n"), Places::default());
    }

    /// A container sees a part of the hierarchy at its mount and whole paths in its list.
    #[test]
    fn a_mount_shows_groups_from_its_root_on() {
        let mount = |root: &str| format!("35 31 0:31 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory");
        let own = "4:memory:/docker/1f/x";
        let memory = |dir: &str| vec![v1(Controller::Memory, dir)];
        assert_eq!(places(&mount("/docker/1f"), own).v1, memory("/sys/fs/cgroup/memory/x"));
        assert_eq!(places(&mount("/docker/1f/x"), own).v1, memory("/sys/fs/cgroup/memory"));
        assert_eq!(places(&mount("/docker/2a"), own).v1, Vec::new());
    }
}
