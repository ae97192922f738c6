//! From a rule that fires to somebody who acknowledges: the whole of alerting, escalation and delivery over a real store,
//! with a clock that is moved, a source of samples and receivers that do as they are told.

mod alike;
mod browsers;
mod clock_jumps;
mod digests;
mod duty;
mod endings;
mod figures;
mod flapping;
mod foreseen;
mod foretold;
mod forward;
mod growing;
mod heartbeats;
mod held;
mod killed;
mod listed;
mod mutes;
mod nodes;
mod noise;
mod own_rules;
mod paused;
mod quiet;
mod readiness;
mod received;
mod receivers;
mod reopening;
mod several;
mod simulation;
mod stale;
mod story;
mod trees;
mod trouble;
mod webhooks;
mod why_not;
mod world;
