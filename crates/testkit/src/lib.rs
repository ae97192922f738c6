//! What tests are made of: a clock that moves on demand, seeded randomness, temporary databases,
//! fake receivers and a filesystem that loses power. Used only by tests; it must never be a normal
//! dependency of another crate.

mod clock;
mod database;
mod entropy;
mod keeper;
mod peers;
mod postgres;
mod power_cut;
mod process;
mod receiver;
mod smtp;
mod webhook;

pub use clock::{RealClock, TestClock};
pub use database::{TempDb, sealer, temp_db};
pub use entropy::TestEntropy;
pub use keeper::{keeper_of, kill_keeper, stat_of};
pub use peers::peer_is_missing;
pub use postgres::PgServer;
pub use power_cut::{Mounted, PowerCutDisk};
pub use process::{ProcessGuard, free_port};
pub use receiver::Answer;
pub use smtp::{FakeSmtp, Mail};
pub use webhook::{FakeWebhook, Hook};
