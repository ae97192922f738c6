//! Which projects' flags somebody reads: all, or those named.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Stands for every project, in tokens and in queries.
pub const ALL_PROJECTS: &str = "*";

/// A set of projects. Equal sets are equal however they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projects {
    #[default]
    All,
    Only(Arc<BTreeSet<String>>),
}

impl Projects {
    /// No name at all, or `*` among them, means all.
    pub fn of<S: AsRef<str>>(names: &[S]) -> Self {
        if names.is_empty() || names.iter().any(|n| n.as_ref() == ALL_PROJECTS) {
            return Self::All;
        }
        Self::Only(Arc::new(names.iter().map(|n| n.as_ref().to_owned()).collect()))
    }

    pub fn contains(&self, project: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(project),
        }
    }

    /// Sorted; `*` alone for all.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::All => vec![ALL_PROJECTS.to_owned()],
            Self::Only(names) => names.iter().cloned().collect(),
        }
    }

    /// What both hold.
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, one) | (one, Self::All) => one.clone(),
            (Self::Only(a), Self::Only(b)) => Self::Only(Arc::new(a.intersection(b).cloned().collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_what_they_hold() {
        assert_eq!(Projects::of::<&str>(&[]), Projects::All);
        assert_eq!(Projects::of(&["a", "*"]), Projects::All);
        assert_eq!(Projects::of(&["b", "a", "b"]), Projects::of(&["a", "b"]));
        let some = Projects::of(&["a", "b"]);
        assert!(some.contains("a") && !some.contains("c") && Projects::All.contains("c"));
        assert_eq!(some.and(&Projects::of(&["b", "c"])), Projects::of(&["b"]));
        assert_eq!(some.and(&Projects::All), some);
        assert_eq!(
            some.and(&Projects::of(&["c"])).names(),
            Vec::<String>::new(),
            "nothing in common is nothing, not all"
        );
    }
}
