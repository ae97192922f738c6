//! Setup, sign-in and sessions.

use std::collections::HashMap;
use std::time::Duration;

use tenfold_store::people as store;
use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Source, Timestamp};

use super::{Caller, Person, PersonUpdate, Role, digest, passwords, profile};
use crate::App;

pub const SESSION_TTL_MS: i64 = 30 * 24 * 3600 * 1000;
const SETUP_TTL_MS: i64 = 24 * 3600 * 1000;
const SESSION_BYTES: usize = 32;
/// Sessions remembered for the time when the store does not answer, and for how long.
const SESSIONS_SEEN_MAX: usize = 10_000;
const SESSION_GRACE_MS: i64 = 3600 * 1000;
/// How often an open stream looks whether its session ended elsewhere.
const SESSION_LOOK: Duration = Duration::from_secs(3);

/// A fresh session: the secret goes into the cookie and is never stored.
pub struct SignedIn {
    pub secret: String,
    pub person: Person,
}

/// Failed sign-ins by login: after three, each further one must wait, twice as long every time, up to five minutes.
#[derive(Default)]
pub(super) struct Attempts(HashMap<String, (u32, Timestamp)>);

const FREE_ATTEMPTS: u32 = 3;
const WAIT_MS_MAX: i64 = 5 * 60_000;
const ATTEMPT_LOGINS_MAX: usize = 10_000;

impl Attempts {
    /// How long this login has to wait before the next try counts.
    fn wait_ms(&self, login: &str, now: Timestamp) -> i64 {
        let Some((failed, last)) = self.0.get(login) else { return 0 };
        let Some(over) = failed.checked_sub(FREE_ATTEMPTS) else { return 0 };
        let wait = 1000_i64.checked_shl(over.min(20)).unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX);
        (wait - now.since_ms(*last)).max(0)
    }
    fn failed(&mut self, login: &str, now: Timestamp) {
        if self.0.len() >= ATTEMPT_LOGINS_MAX {
            self.0.retain(|_, (_, last)| now.since_ms(*last) < WAIT_MS_MAX);
        }
        let entry = self.0.entry(login.to_owned()).or_insert((0, now));
        *entry = (entry.0 + 1, now);
    }
    fn succeeded(&mut self, login: &str) {
        self.0.remove(login);
    }
}

impl App {
    pub(super) async fn hash_password(&self, password: &str) -> Result<String, Fault> {
        let _turn = self.people.hashing.acquire().await.map_err(|_| Fault::unavailable("the server is stopping"))?;
        let (password, entropy) = (password.to_owned(), self.entropy.clone());
        tokio::task::spawn_blocking(move || passwords::hash(&password, &*entropy))
            .await
            .map_err(|_| Fault::internal("the password could not be hashed"))?
    }

    pub async fn setup_needed(&self) -> Result<bool, Fault> {
        self.read(|tx| Ok(store::person_count(tx)? == 0)).await
    }

    /// A one-time secret for the first sign-in, or `None` when somebody is there already. Each call makes the former one useless.
    pub async fn setup_token(&self) -> Result<Option<String>, Fault> {
        if !self.setup_needed().await? {
            return Ok(None);
        }
        let secret = self.random_text(SESSION_BYTES);
        let hash = digest(&secret);
        self.housekeeping(move |t| {
            let expires = t.now().plus_ms(SETUP_TTL_MS);
            Ok(store::one_time_put(t.tx(), "setup", &hash, expires, "{}")?)
        })
        .await?;
        Ok(Some(secret))
    }

    /// Makes the first person, an admin, out of the one-time setup link.
    pub async fn setup(&self, token: &str, login: &str, name: &str, password: &str) -> Result<SignedIn, Fault> {
        super::check_name("person", login)?;
        passwords::check_new(password)?;
        if !self.setup_needed().await? {
            return Err(Fault::new(ErrorCode::Gone, "this server is set up already").advice("sign in instead"));
        }
        let hash = digest(token);
        let known = self
            .housekeeping(move |t| {
                let now = t.now();
                Ok(store::one_time_take(t.tx(), "setup", &hash, now)?.is_some())
            })
            .await?;
        if !known {
            return Err(Fault::new(ErrorCode::Gone, "this setup link was used, has expired or was replaced")
                .advice("restart the server: it prints a new one while nobody is set up"));
        }
        let update = PersonUpdate {
            name: Some(name.to_owned()),
            role: Some(Role::Admin),
            password: Some(password.to_owned()),
            ..PersonUpdate::default()
        };
        self.person_put(&Caller::system(), login, update).await?;
        self.open_session(login).await
    }

    pub async fn sign_in(&self, login: &str, password: &str) -> Result<SignedIn, Fault> {
        let now = self.now();
        let wait_ms = self.people.attempts.lock().wait_ms(login, now);
        if wait_ms > 0 {
            return Err(Fault::new(
                ErrorCode::TooMany,
                format!("too many wrong passwords for `{login}`; the next try counts in {} s", wait_ms / 1000 + 1),
            ));
        }
        let row = {
            let login = login.to_owned();
            self.read(move |tx| Ok(store::person_get(tx, &login)?)).await?
        };
        let stored = row.as_ref().filter(|r| r.disabled_at.is_none()).and_then(|r| r.password_hash.clone());
        let _turn = self.people.hashing.acquire().await.map_err(|_| Fault::unavailable("the server is stopping"))?;
        let password = password.to_owned();
        let right = tokio::task::spawn_blocking(move || passwords::verify(&password, stored.as_deref()))
            .await
            .map_err(|_| Fault::internal("the password could not be checked"))?;
        if !right {
            self.people.attempts.lock().failed(login, now);
            return Err(Fault::new(ErrorCode::Unauthenticated, "the name or the password is wrong"));
        }
        self.people.attempts.lock().succeeded(login);
        self.open_session(login).await
    }

    /// Opens a session without a password: for the demo on a loopback address, and after setup.
    pub async fn open_session(&self, login: &str) -> Result<SignedIn, Fault> {
        let secret = self.random_text(SESSION_BYTES);
        let (hash, login) = (digest(&secret), login.to_owned());
        let person = self
            .transact(move |t| {
                let now = t.now();
                let row = store::person_get(t.tx(), &login)?
                    .ok_or_else(|| Fault::not_found(format!("there is no person `{login}`")))?;
                let person = profile::from_row(&row)?;
                if person.disabled {
                    return Err(Fault::forbidden(format!("the account `{login}` is disabled")));
                }
                store::session_insert(t.tx(), &hash, &login, now, now.plus_ms(SESSION_TTL_MS))?;
                t.record(
                    EventDraft::new(
                        Actor::person(&login),
                        Source::Web,
                        "person.signed_in",
                        format!("{login} signed in"),
                    )
                    .severity(tenfold_types::Severity::Debug)
                    .admins_only(),
                )?;
                Ok(person)
            })
            .await?;
        Ok(SignedIn { secret, person })
    }

    pub async fn sign_out(&self, secret: &str) -> Result<(), Fault> {
        let hash = digest(secret);
        self.people.sessions_seen.lock().remove(&hash);
        self.housekeeping(move |t| Ok(store::session_delete(t.tx(), &hash)?)).await?;
        self.sessions_ended();
        Ok(())
    }

    /// Tells whoever waits in [`App::session_ended`] to look.
    pub(super) fn sessions_ended(&self) {
        self.people.sessions_ended.send_modify(|generation| *generation += 1);
    }

    /// What a session is called where its secret must not stand.
    pub fn session_id(secret: &str) -> String {
        digest(secret)
    }

    /// Whether a session still counts. While the store does not answer, it does: its streams go on.
    pub async fn session_is_open(&self, id: &str) -> bool {
        let (id, now) = (id.to_owned(), self.now());
        let answer = self.read(move |tx| {
            let Some(login) = store::session_login(tx, &id, now)? else { return Ok(false) };
            Ok(store::person_get(tx, &login)?.is_some_and(|p| p.disabled_at.is_none()))
        });
        answer.await.unwrap_or(true)
    }

    /// Waits until a session no longer counts: at once when it ended here, within seconds when it ended on another node
    /// or expired.
    pub async fn session_ended(&self, id: &str) {
        let mut changed = self.people.sessions_ended.subscribe();
        while self.session_is_open(id).await {
            let _ = tokio::time::timeout(SESSION_LOOK, changed.changed()).await;
        }
    }

    /// The person a session cookie stands for.
    ///
    /// While the store does not answer, who was let in shortly before is let in still: a kill switch must work then.
    pub async fn session_person(&self, secret: &str) -> Result<Option<Person>, Fault> {
        let (hash, now) = (digest(secret), self.now());
        let asked = hash.clone();
        let answer = self
            .read(move |tx| {
                let Some(login) = store::session_login(tx, &asked, now)? else { return Ok(None) };
                let person = store::person_get(tx, &login)?.as_ref().map(profile::from_row).transpose()?;
                Ok(person.filter(|p| !p.disabled))
            })
            .await;
        let mut seen = self.people.sessions_seen.lock();
        match answer {
            Ok(Some(person)) => {
                if seen.len() >= SESSIONS_SEEN_MAX {
                    seen.retain(|_, (_, at)| now.since_ms(*at) < SESSION_GRACE_MS);
                }
                if seen.len() < SESSIONS_SEEN_MAX {
                    seen.insert(hash, (person.clone(), now));
                }
                Ok(Some(person))
            }
            Ok(None) => {
                seen.remove(&hash);
                Ok(None)
            }
            Err(fault) => match seen.get(&hash) {
                Some((person, at)) if now.since_ms(*at) < SESSION_GRACE_MS => Ok(Some(person.clone())),
                _ => Err(fault),
            },
        }
    }

    /// A person as caller through `source`, for chat and web.
    pub async fn caller_of(&self, login: &str, source: Source) -> Result<Caller, Fault> {
        let person = self
            .person(login)
            .await?
            .filter(|p| !p.disabled)
            .ok_or_else(|| Fault::not_found(format!("there is no person `{login}`")))?;
        Ok(person.caller(source))
    }
}

impl Person {
    pub fn caller(&self, source: Source) -> Caller {
        Caller { actor: Actor::person(&self.login), name: self.name.clone(), source, grants: self.all_grants() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_passwords_make_the_next_try_wait_longer_and_longer() {
        let mut a = Attempts::default();
        let t = Timestamp(0);
        for _ in 0..FREE_ATTEMPTS - 1 {
            a.failed("ana", t);
        }
        assert_eq!(a.wait_ms("ana", t), 0);
        a.failed("ana", t);
        assert_eq!(a.wait_ms("ana", t), 1000);
        a.failed("ana", t);
        assert_eq!(a.wait_ms("ana", t), 2000);
        assert_eq!(a.wait_ms("ana", t.plus_ms(1500)), 500);
        for _ in 0..100 {
            a.failed("ana", t);
        }
        assert_eq!(a.wait_ms("ana", t), WAIT_MS_MAX);
        assert_eq!(a.wait_ms("raj", t), 0);
        a.succeeded("ana");
        assert_eq!(a.wait_ms("ana", t), 0);
    }
}
