//! Binding chat identities to accounts: a one-time code made on the page, said to the bot by the one who is to be known.
//!
//! Never the nick: an identity is an account the network vouches for, or one connection that the bot keeps in view.

use tenfold_store::chat::{self as store, LinkKind, LinkRow};
use tenfold_store::people as people_store;
use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Source, Timestamp};

use crate::people::Role;
use crate::{App, Caller};

/// A code is good for this long, once.
pub const CODE_TTL_MS: i64 = 5 * 60_000;
const CODE_CHARS: usize = 8;
/// Without letters and digits that look alike.
const CODE_ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const ONE_TIME: &str = "chat_link:";

/// A code to be said to the bot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct LinkCode {
    /// Like `4F7K-92QD`.
    pub code: String,
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
    /// What to say, and to whom.
    pub say: String,
}

fn digest(code: &str) -> String {
    let bare: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    blake3::hash(format!("chat link {bare}").as_bytes()).to_hex().to_string()
}

fn draft(login: &str, kind: &str, text: String) -> EventDraft {
    EventDraft::new(Actor::person(login), Source::Chat, kind, text).admins_only()
}

impl App {
    /// Makes a code that binds whoever says it to the caller's account. A new one makes the former useless.
    pub async fn chat_link_create(&self, who: &Caller) -> Result<LinkCode, Fault> {
        who.require(Role::Viewer, None, None)?;
        if who.actor.kind != tenfold_types::ActorKind::Person {
            return Err(Fault::forbidden("only a person can link a chat identity").advice("sign in as yourself"));
        }
        let mut random = [0_u8; CODE_CHARS];
        self.entropy.fill(&mut random);
        let letters: String = random.iter().map(|b| char::from(CODE_ALPHABET[usize::from(b % 32)])).collect();
        let code = format!("{}-{}", &letters[..4], &letters[4..]);
        let (login, hash) = (who.actor.id.clone(), digest(&code));
        let expires_at = self
            .housekeeping(move |t| {
                let expires_at = t.now().plus_ms(CODE_TTL_MS);
                people_store::one_time_put(t.tx(), &format!("{ONE_TIME}{login}"), &hash, expires_at, "{}")?;
                Ok(expires_at)
            })
            .await?;
        let nick = self.settings.irc.as_ref().map_or("tenfold", |irc| irc.nick.as_str());
        let say = format!("/msg {nick} !link {code}");
        Ok(LinkCode { code, expires_at, say })
    }

    /// Takes a code and binds `identity` to the account it was made for. Gives the login.
    pub async fn chat_link_claim(
        &self,
        room: &str,
        kind: LinkKind,
        identity: &str,
        signon_s: Option<i64>,
        code: &str,
    ) -> Result<String, Fault> {
        let (room, identity, hash) = (room.to_owned(), identity.to_owned(), digest(code));
        self.transact(move |t| {
            let now = t.now();
            let taken = people_store::one_time_take(t.tx(), ONE_TIME, &hash, now)?;
            let Some(login) = taken.and_then(|(name, _)| name.strip_prefix(ONE_TIME).map(str::to_owned)) else {
                return Err(Fault::new(ErrorCode::Gone, "this code is not known or no longer good")
                    .advice("make a new one on the page of your account; it works once, for 5 minutes"));
            };
            let row = LinkRow {
                room: room.clone(),
                kind,
                identity: identity.clone(),
                login: login.clone(),
                signon_s,
                linked_at: now,
            };
            store::link_put(t.tx(), &row)?;
            t.record(
                draft(&login, "chat.linked", format!("{login} linked {identity} on {room}"))
                    .data(serde_json::json!({"room": room, "identity": identity})),
            )?;
            Ok(login)
        })
        .await
    }

    /// Every binding of a room.
    pub async fn chat_links(&self, room: &str) -> Result<Vec<LinkRow>, Fault> {
        let room = room.to_owned();
        self.read(move |tx| Ok(store::links(tx, &room)?)).await
    }

    /// Keeps when a bound connection signed on, by which it is recognised after a restart.
    pub async fn chat_link_signon(&self, room: &str, identity: &str, signon_s: i64) -> Result<(), Fault> {
        let (room, identity) = (room.to_owned(), identity.to_owned());
        self.housekeeping(move |t| {
            let rows = store::links(t.tx(), &room)?;
            let found = rows.into_iter().find(|r| r.kind == LinkKind::Session && r.identity == identity);
            if let Some(row) = found {
                store::link_put(t.tx(), &LinkRow { signon_s: Some(signon_s), ..row })?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets a binding, because its connection is gone.
    pub async fn chat_unlink(&self, room: &str, kind: LinkKind, identity: &str) -> Result<(), Fault> {
        let (room, identity) = (room.to_owned(), identity.to_owned());
        self.housekeeping(move |t| {
            store::link_delete(t.tx(), &room, kind, &identity)?;
            Ok(())
        })
        .await
    }

    /// The person behind a login as a caller from chat, with the rights of this moment; `None` when the account is gone.
    pub async fn chat_caller(&self, login: &str) -> Result<Option<Caller>, Fault> {
        let person = self.person(login).await?.filter(|p| !p.disabled);
        Ok(person.map(|p| Caller {
            actor: Actor::person(&p.login),
            name: p.name.clone(),
            source: Source::Chat,
            grants: p.all_grants(),
        }))
    }
}
