//! flagd's flag definitions: variants, and a targeting rule in JsonLogic.
//!
//! A targeting rule becomes a list of decisions (this condition, then that variant), and those become strategies. What
//! has no counterpart is refused flag by flag; `fractional` hashes otherwise than Unleash, so it is taken only where the
//! caller accepts that the shares stay and the people in them change.

mod condition;
mod decide;
mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;

/// Conditions that one rule may become; each is a strategy.
const RULES_MAX: usize = 30;
/// How deep a rule may nest, `$ref` included.
const DEPTH_MAX: u8 = 24;

/// flagd's name for the person.
const TARGETING_KEY: &str = "targetingKey";
/// The member of a flag's metadata that says its project.
const PROJECT: &str = "project";
/// Ours and Unleash's.
const USER_ID: &str = "userId";
/// The instant of the evaluation, in seconds since 1970.
const TIMESTAMP: &str = "$flagd.timestamp";
const FLAG_KEY: &str = "$flagd.flagKey";
/// The same in Unleash.
const CURRENT_TIME: &str = "currentTime";
