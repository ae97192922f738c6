//! The disk itself, without FUSE: two states of everything, the one that programs see and the one
//! that is on the platter.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use fuser::Errno;

use crate::TestEntropy;

/// The root directory.
const ROOT: u64 = 1;
/// A write is torn at a multiple of this.
const SECTOR_BYTES: usize = 512;

type Names = BTreeMap<(u64, OsString), u64>;

#[derive(Default)]
pub(super) struct Node {
    pub(super) is_dir: bool,
    /// What programs see.
    live: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    /// What lies between, in order.
    pending: Vec<Change>,
}

impl Node {
    pub(super) fn len(&self) -> u64 {
        self.live.len() as u64
    }
}

enum Change {
    Write { offset: usize, data: Vec<u8> },
    Resize(usize),
}

enum NameChange {
    Set(u64, OsString, u64),
    Remove(u64, OsString),
    /// Both names in one step.
    Move((u64, OsString), (u64, OsString)),
}

pub(super) struct Disk {
    nodes: BTreeMap<u64, Node>,
    names: Names,
    durable_names: Names,
    pending_names: Vec<NameChange>,
    next: u64,
    power: bool,
    operations_left: Option<u64>,
    pub(super) sync_error: Option<Errno>,
    pub(super) full: bool,
    chance: TestEntropy,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node { is_dir: true, ..Node::default() })]),
            names: Names::new(),
            durable_names: Names::new(),
            pending_names: Vec::new(),
            next: ROOT + 1,
            power: true,
            operations_left: None,
            sync_error: None,
            full: false,
            chance: TestEntropy::seeded(seed),
        }
    }

    /// From here on programs see what is on the platter. Before, reads go on showing what was there:
    /// a program that maps a file must not die of a failed read.
    pub(super) fn power_on(&mut self) {
        self.power = true;
        self.operations_left = None;
        for node in self.nodes.values_mut() {
            node.live.clone_from(&node.durable);
            node.pending.clear();
        }
        self.pending_names.clear();
        self.names.clone_from(&self.durable_names);
    }

    pub(super) fn cut_after(&mut self, operations: u64) {
        self.operations_left = Some(operations);
    }

    /// Loses what chance does not keep, and the power.
    pub(super) fn cut(&mut self) {
        self.power = false;
        for node in self.nodes.values_mut() {
            let mut platter = std::mem::take(&mut node.durable);
            for change in node.pending.drain(..) {
                match (self.chance.below(4), change) {
                    (0 | 1, change) => apply(&mut platter, &change),
                    (2, Change::Write { offset, mut data }) => {
                        let sectors = (data.len() / SECTOR_BYTES) as u64;
                        data.truncate(self.chance.below(sectors + 1) as usize * SECTOR_BYTES);
                        apply(&mut platter, &Change::Write { offset, data });
                    }
                    _ => {}
                }
            }
            node.durable = platter;
        }
        // Names are journalled: what survives is a beginning of what was done.
        let kept = self.chance.below(self.pending_names.len() as u64 + 1) as usize;
        for change in self.pending_names.drain(..).take(kept) {
            rename(&mut self.durable_names, &change);
        }
    }

    /// Counts an operation that changes the disk; fails when the power is gone, or goes with it.
    fn step(&mut self) -> Result<(), Errno> {
        if let Some(left) = &mut self.operations_left {
            if *left == 0 {
                self.operations_left = None;
                self.cut();
            } else {
                *left -= 1;
            }
        }
        if self.power { Ok(()) } else { Err(Errno::EIO) }
    }

    pub(super) fn node(&self, ino: u64) -> Result<&Node, Errno> {
        self.nodes.get(&ino).ok_or(Errno::ENOENT)
    }

    pub(super) fn find(&self, parent: u64, name: &OsStr) -> Result<u64, Errno> {
        self.names.get(&(parent, name.to_owned())).copied().ok_or(Errno::ENOENT)
    }

    pub(super) fn list(&self, parent: u64) -> Vec<(OsString, u64)> {
        let inside = self.names.iter().filter(|((p, _), _)| *p == parent);
        inside.map(|((_, name), ino)| (name.clone(), *ino)).collect()
    }

    pub(super) fn create(&mut self, parent: u64, name: &OsStr, is_dir: bool) -> Result<u64, Errno> {
        self.step()?;
        if self.names.contains_key(&(parent, name.to_owned())) {
            return Err(Errno::EEXIST);
        }
        if self.full {
            return Err(Errno::ENOSPC);
        }
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, Node { is_dir, ..Node::default() });
        self.change_name(NameChange::Set(parent, name.to_owned(), ino));
        Ok(ino)
    }

    pub(super) fn remove(&mut self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        self.step()?;
        let ino = self.find(parent, name)?;
        if self.names.keys().any(|(p, _)| *p == ino) {
            return Err(Errno::ENOTEMPTY);
        }
        self.change_name(NameChange::Remove(parent, name.to_owned()));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: (u64, OsString), to: (u64, OsString)) -> Result<(), Errno> {
        self.step()?;
        self.find(from.0, &from.1)?;
        self.change_name(NameChange::Move(from, to));
        Ok(())
    }

    pub(super) fn read(&self, ino: u64, offset: u64, size: u32) -> Result<&[u8], Errno> {
        let live = &self.node(ino)?.live;
        let start = live.len().min(offset as usize);
        let end = live.len().min(start + size as usize);
        Ok(&live[start..end])
    }

    pub(super) fn write(&mut self, ino: u64, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.step()?;
        let full = self.full;
        let node = self.nodes.get_mut(&ino).ok_or(Errno::ENOENT)?;
        if full && offset + data.len() as u64 > node.len() {
            return Err(Errno::ENOSPC);
        }
        node.change(Change::Write { offset: offset as usize, data: data.to_owned() });
        Ok(())
    }

    pub(super) fn resize(&mut self, ino: u64, size: u64) -> Result<(), Errno> {
        self.step()?;
        let full = self.full;
        let node = self.nodes.get_mut(&ino).ok_or(Errno::ENOENT)?;
        if full && size > node.len() {
            return Err(Errno::ENOSPC);
        }
        node.change(Change::Resize(size as usize));
        Ok(())
    }

    pub(super) fn sync(&mut self, ino: u64) -> Result<(), Errno> {
        self.step()?;
        let failed = self.sync_error;
        let node = self.nodes.get_mut(&ino).ok_or(Errno::ENOENT)?;
        let pending = std::mem::take(&mut node.pending);
        if let Some(error) = failed {
            return Err(error);
        }
        for change in pending {
            apply(&mut node.durable, &change);
        }
        Ok(())
    }

    /// Makes all names durable, as the journal of a filesystem does.
    pub(super) fn sync_names(&mut self) -> Result<(), Errno> {
        self.step()?;
        if let Some(error) = self.sync_error {
            return Err(error);
        }
        for change in self.pending_names.drain(..) {
            rename(&mut self.durable_names, &change);
        }
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        rename(&mut self.names, &change);
        self.pending_names.push(change);
    }
}

impl Node {
    fn change(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.pending.push(change);
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, data } => {
            let end = offset + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset..end].copy_from_slice(data);
        }
        Change::Resize(size) => bytes.resize(*size, 0),
    }
}

fn rename(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Set(parent, name, ino) => {
            names.insert((*parent, name.clone()), *ino);
        }
        NameChange::Remove(parent, name) => {
            names.remove(&(*parent, name.clone()));
        }
        NameChange::Move(from, to) => {
            if let Some(ino) = names.remove(from) {
                names.insert(to.clone(), ino);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (Disk, u64) {
        let mut disk = Disk::new(1);
        let file = disk.create(ROOT, OsStr::new("a"), false).ok().unwrap();
        disk.sync_names().ok().unwrap();
        (disk, file)
    }

    #[test]
    fn synced_data_survives_and_the_rest_may_not() {
        let (mut lost, mut torn) = (0, 0);
        for seed in 0..100 {
            let (mut disk, file) = disk();
            disk.chance = TestEntropy::seeded(seed);
            disk.write(file, 0, &[1; 2048]).ok().unwrap();
            disk.sync(file).ok().unwrap();
            disk.write(file, 0, &[2; 1024]).ok().unwrap();
            disk.cut();
            assert!(disk.write(file, 0, b"x").is_err(), "no power");
            disk.power_on();
            let bytes = disk.read(file, 0, 4096).ok().unwrap();
            assert_eq!(bytes[1024..], [1; 1024]);
            lost += u32::from(bytes[0] == 1);
            torn += u32::from(bytes[..512] == [2; 512] && bytes[512..1024] == [1; 512]);
        }
        assert!((20..80).contains(&lost) && torn > 0, "{lost} lost, {torn} torn");
    }

    #[test]
    fn a_failed_sync_forgets_what_it_could_not_write() {
        let (mut disk, file) = disk();
        disk.sync_error = Some(Errno::EIO);
        disk.write(file, 0, b"gone").ok().unwrap();
        assert!(disk.sync(file).is_err());
        disk.sync_error = None;
        assert!(disk.sync(file).is_ok(), "the next sync has nothing to write");
        assert_eq!(disk.read(file, 0, 9).ok().unwrap(), b"gone");
        disk.cut();
        disk.power_on();
        assert_eq!(disk.read(file, 0, 9).ok().unwrap(), b"");
    }

    #[test]
    fn names_need_their_directory_synced() {
        let found: Vec<bool> = (0..40)
            .map(|seed| {
                let (mut disk, file) = disk();
                disk.chance = TestEntropy::seeded(seed);
                disk.rename((ROOT, "a".into()), (ROOT, "b".into())).ok().unwrap();
                disk.sync(file).ok().unwrap();
                disk.cut();
                disk.power_on();
                let (a, b) = (disk.find(ROOT, OsStr::new("a")), disk.find(ROOT, OsStr::new("b")));
                assert!(a.is_ok() != b.is_ok(), "one of the names is there");
                b.is_ok()
            })
            .collect();
        assert!(found.contains(&true) && found.contains(&false));
    }

    #[test]
    fn power_goes_after_the_given_number_of_operations() {
        let (mut disk, file) = disk();
        disk.cut_after(2);
        assert!(disk.write(file, 0, b"x").is_ok());
        assert!(disk.write(file, 1, b"y").is_ok());
        assert!(disk.sync(file).is_err());
        assert!(!disk.power);
    }
}
