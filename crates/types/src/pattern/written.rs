//! A pattern as it is written for the crate `regex`, and what reading it takes there.

use std::collections::BTreeSet;

/// Steps of reading a pattern's classes. While a class is read each of its members looks at or moves those before it; and without
/// regard to case every character of it is looked up.
const STEPS_MAX: usize = 8_000_000;
/// A class of Unicode is copied range by range.
const PROPERTY_STEPS: usize = 8_000;
/// Characters that are looked up of one that has many.
const PROPERTY_CHARS: usize = 20_000;
const ASCII_CHARS: usize = 128;
const CHARS_MAX: usize = char::MAX as usize + 1;

pub(super) struct Written {
    pub text: String,
    /// Whether somebody asks what groups found.
    with_groups: bool,
    /// Groups that are numbered.
    pub groups: usize,
    names: BTreeSet<String>,
    /// Whether case was said to be nothing, anywhere before.
    pub folds: bool,
    steps: usize,
}

impl Written {
    pub fn new(pattern: &str, with_groups: bool) -> Self {
        let text = String::with_capacity(pattern.len() + 16);
        Self { text, with_groups, groups: 0, names: BTreeSet::new(), folds: false, steps: 0 }
    }

    pub fn group(&mut self) {
        self.groups += usize::from(self.with_groups);
        self.text.push_str(if self.with_groups { "(" } else { "(?:" });
    }

    pub fn named_group(&mut self, name: &str) -> Result<(), String> {
        if !self.names.insert(name.to_owned()) {
            return Err(format!("two groups are called `{name}`"));
        }
        if self.with_groups {
            self.groups += 1;
            self.text.extend(["(?P<", name, ">"]);
        } else {
            self.text.push_str("(?:");
        }
        Ok(())
    }

    /// One character as itself, in a class and outside of one.
    pub fn put(&mut self, c: char) {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            self.text.push('\\');
        }
        self.text.push(c);
    }

    /// The rest of a range, whose first character has been written.
    pub fn range(&mut self, low: char, high: char) -> Result<(), String> {
        self.look_up(high as usize - low as usize + 1)?;
        self.text.push('-');
        self.put(high);
        Ok(())
    }

    /// A set of ASCII within a class; a negated one has nearly all characters.
    pub fn set(&mut self, negated: bool) -> Result<(), String> {
        self.look_up(if negated { CHARS_MAX } else { ASCII_CHARS })
    }

    /// A class of Unicode; a negated one within another class has nearly all characters.
    pub fn property(&mut self, negated_within: bool) -> Result<(), String> {
        self.spend(PROPERTY_STEPS)?;
        self.look_up(if negated_within { CHARS_MAX } else { PROPERTY_CHARS })
    }

    fn look_up(&mut self, chars: usize) -> Result<(), String> {
        self.spend(if self.folds { chars } else { 0 })
    }

    pub fn spend(&mut self, steps: usize) -> Result<(), String> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            return Err("its classes have too many characters, which takes too long to read".to_owned());
        }
        Ok(())
    }
}
