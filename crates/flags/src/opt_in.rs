//! Flags on which people switch themselves in or out.
//!
//! A choice is part of the flag's definition, so that every client sees it with its next answer, whichever protocol it
//! speaks: the people who want it become a strategy of their own in front, those who do not are kept out of the others.
//! A flag that is off is off for them too.

use serde::{Deserialize, Serialize};

use crate::{Constraint, Flag, Strategy, Variant};

/// People on one side of one flag. More belong into a property of the context.
pub const PEOPLE_MAX: usize = 1_000;

/// The context field that names a person, unless a flag says another.
pub const FIELD_DEFAULT: &str = "userId";

/// Who may choose, and what they are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(as = FlagOptIn))]
pub struct OptIn {
    /// What somebody reads before choosing.
    #[serde(default)]
    pub text: String,
    /// The context field that is compared with the person's id.
    #[serde(default = "field_default")]
    pub field: String,
    /// The least role that may choose: `viewer`, `responder`, `deployer` or `admin`.
    #[serde(default = "role_default")]
    pub role: String,
    /// Only members of these teams; empty is everybody with the role.
    #[serde(default)]
    pub teams: Vec<String>,
}

fn field_default() -> String {
    FIELD_DEFAULT.into()
}

fn role_default() -> String {
    "viewer".into()
}

/// Which side somebody chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", schema(as = FlagChoice))]
pub enum Choice {
    In,
    Out,
}

impl Flag {
    /// What this person chose.
    pub fn choice(&self, id: &str) -> Option<Choice> {
        let among = |list: &[String]| list.iter().any(|i| i == id);
        if among(&self.opted_in) {
            Some(Choice::In)
        } else if among(&self.opted_out) {
            Some(Choice::Out)
        } else {
            None
        }
    }

    /// Sets what this person chose, and gives what it was. An error names the limit.
    pub fn choose(&mut self, id: &str, choice: Option<Choice>) -> Result<Option<Choice>, String> {
        let before = self.choice(id);
        let side = match choice {
            Some(Choice::In) => &self.opted_in,
            _ => &self.opted_out,
        };
        if choice.is_some() && before != choice && side.len() >= PEOPLE_MAX {
            return Err(format!("{PEOPLE_MAX} people have chosen that already, which is the limit"));
        }
        for list in [&mut self.opted_in, &mut self.opted_out] {
            list.retain(|i| i != id);
        }
        match choice {
            Some(Choice::In) => self.opted_in.push(id.to_owned()),
            Some(Choice::Out) => self.opted_out.push(id.to_owned()),
            None => {}
        }
        Ok(before)
    }

    /// Strategies with people's choices in them.
    pub(crate) fn with_choices(&self, mut strategies: Vec<Strategy>, of_flag: &[Variant]) -> Vec<Strategy> {
        let Some(opt_in) = &self.opt_in else { return strategies };
        let among = |operator: &str, people: &[String]| Constraint {
            context_name: opt_in.field.clone(),
            operator: operator.into(),
            values: people.to_vec(),
            ..Constraint::default()
        };
        let everybody = || Strategy { name: "default".into(), ..Strategy::default() };
        // Without strategies it is on for everybody, so there is nobody to let in.
        let front = (!self.opted_in.is_empty() && !strategies.is_empty()).then(|| {
            // Where the values stand with the strategies, those of the first one that has some.
            let own = strategies.iter().find(|s| !s.variants.is_empty()).filter(|_| of_flag.is_empty());
            let (variants, mut parameters) =
                own.map(|s| (s.variants.clone(), s.parameters.clone())).unwrap_or_default();
            parameters.remove("rollout");
            Strategy { variants, parameters, constraints: vec![among("IN", &self.opted_in)], ..everybody() }
        });
        if !self.opted_out.is_empty() {
            if strategies.is_empty() {
                strategies.push(everybody());
            }
            for strategy in &mut strategies {
                strategy.constraints.push(among("NOT_IN", &self.opted_out));
            }
        }
        strategies.splice(0..0, front);
        strategies
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::Timestamp;

    use super::*;
    use crate::{ClientFeatures, Context, FlagEnvironment, Moment, Snapshot};

    fn on(flag: &Flag, user: &str) -> bool {
        let features = vec![flag.feature("production")];
        let snapshot = Snapshot::compile(&ClientFeatures { version: 2, features, segments: Vec::new() });
        let moment = Moment { now: Timestamp(0), random: 1 };
        snapshot.evaluate("f", &Context::new().with("userId", user), moment).unwrap().enabled
    }

    fn flag(state: FlagEnvironment) -> Flag {
        let mut flag = Flag::new("f");
        flag.opt_in = Some(serde_json::from_str("{}").unwrap());
        flag.environments.insert("production".into(), state);
        flag.choose("ana", Some(Choice::In)).unwrap();
        flag.choose("mei", Some(Choice::Out)).unwrap();
        flag
    }

    #[test]
    fn a_choice_counts_before_every_percentage() {
        let none = flag(FlagEnvironment::rollout("f", 0));
        assert_eq!((on(&none, "ana"), on(&none, "mei"), on(&none, "raj")), (true, false, false));
        let all = flag(FlagEnvironment::rollout("f", 100));
        assert_eq!((on(&all, "ana"), on(&all, "mei"), on(&all, "raj")), (true, false, true));
        let bare = flag(FlagEnvironment { enabled: true, ..FlagEnvironment::default() });
        assert_eq!((on(&bare, "ana"), on(&bare, "mei"), on(&bare, "raj")), (true, false, true));
    }

    #[test]
    fn off_is_off_and_no_offer_is_no_choice() {
        let off = flag(FlagEnvironment { enabled: false, ..FlagEnvironment::rollout("f", 100) });
        assert!(!on(&off, "ana"));
        let mut closed = flag(FlagEnvironment::rollout("f", 100));
        closed.opt_in = None;
        assert!(on(&closed, "mei"), "the offer was taken back");
    }

    #[test]
    fn somebody_stands_on_one_side() {
        let mut flag = flag(FlagEnvironment::default());
        assert_eq!(flag.choose("ana", Some(Choice::Out)), Ok(Some(Choice::In)));
        assert_eq!((flag.opted_in.len(), flag.choice("ana")), (0, Some(Choice::Out)));
        assert_eq!(flag.choose("ana", None), Ok(Some(Choice::Out)));
        assert_eq!(flag.choice("ana"), None);
        flag.opted_in = (0..PEOPLE_MAX).map(|i| i.to_string()).collect();
        assert!(flag.choose("ana", Some(Choice::In)).unwrap_err().contains("1000"));
        assert_eq!(flag.choose("7", Some(Choice::In)), Ok(Some(Choice::In)), "who is in stays in");
    }
}
