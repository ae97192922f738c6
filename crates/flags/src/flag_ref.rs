//! What a flag is asked by: its name, or a name that remembers where the flag was found.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{
    compile::Flag,
    snapshot::Snapshot,
    table::{Head, head},
};

/// A flag's name, and where it was last found: asking by it spares looking the name up.
///
/// It may be used with any snapshot and from any thread; where the flag stands elsewhere, it is looked up once.
///
/// ```
/// use tenfold_flags::{ClientFeatures, Context, Feature, FlagRef, Moment, Snapshot};
///
/// let uploader = FlagRef::new("new_uploader");
/// let flag = Feature { name: "new_uploader".into(), enabled: true, ..Feature::default() };
/// let snapshot = Snapshot::compile(&ClientFeatures { features: vec![flag], ..ClientFeatures::default() });
/// assert_eq!(snapshot.is_enabled(&uploader, &Context::new(), Moment::default()), Some(true));
/// ```
#[derive(Debug)]
pub struct FlagRef {
    /// The name's first bytes stand in here, so that a look at the flag is enough to know that it is the one.
    head: Head,
    name: Box<str>,
    index: AtomicU32,
}

impl FlagRef {
    pub fn new(name: &str) -> Self {
        Self { head: head(name), name: name.into(), index: AtomicU32::new(u32::MAX) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A name, as any text by reference, or a [`FlagRef`].
pub trait FlagKey: sealed::Find {}

impl<K: sealed::Find> FlagKey for K {}

pub(crate) mod sealed {
    use super::Flag;
    use crate::snapshot::Snapshot;

    pub trait Find {
        #[expect(private_interfaces, reason = "nobody outside can call it")]
        fn find(self, snapshot: &Snapshot) -> Option<(u32, &Flag)>;
    }
}

#[expect(private_interfaces, reason = "nobody outside can call it")]
impl<T: AsRef<str> + ?Sized> sealed::Find for &T {
    #[inline]
    fn find(self, snapshot: &Snapshot) -> Option<(u32, &Flag)> {
        snapshot.find(self.as_ref())
    }
}

#[expect(private_interfaces, reason = "nobody outside can call it")]
impl sealed::Find for &FlagRef {
    /// Looks where the flag was last found before it looks the name up.
    #[inline]
    fn find(self, snapshot: &Snapshot) -> Option<(u32, &Flag)> {
        let index = self.index.load(Ordering::Relaxed);
        if let Some(flag) = snapshot.flag(index).filter(|f| f.is_called_as(self.head, &self.name)) {
            return Some((index, flag));
        }
        let found = snapshot.find(&self.name)?;
        self.index.store(found.0, Ordering::Relaxed);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Feature, Moment};

    fn on(snapshot: &Snapshot, flag: &FlagRef) -> Option<bool> {
        snapshot.is_enabled(flag, &Context::new(), Moment::default())
    }

    /// A place is given to another flag when its own is removed; the name decides, not the place.
    #[test]
    fn a_place_that_another_flag_took_is_not_believed() {
        let long = "a name that is longer than its head, which is where names are compared first: ";
        for (a, b) in [("a", "b"), (&format!("{long}a"), &format!("{long}b"))] {
            let feature = |name: &str, enabled| Feature { name: name.into(), enabled, ..Feature::default() };
            let (first, second) = (FlagRef::new(a), FlagRef::new(b));
            let with_a = Snapshot::default().with_feature(&feature(a, true));
            assert_eq!((on(&with_a, &first), on(&with_a, &second)), (Some(true), None));
            let with_b = with_a.without_feature(a).with_feature(&feature(b, false));
            assert_eq!(with_a.index(a), with_b.index(b), "the same place");
            assert_eq!((on(&with_b, &first), on(&with_b, &second)), (None, Some(false)));
            assert_eq!(
                (on(&with_a, &first), on(&with_a, &second)),
                (Some(true), None),
                "an older snapshot still answers"
            );
        }
    }
}
