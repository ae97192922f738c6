//! What comes back from the provider of text messages and calls: what became of one, a key that was pressed, an answer.
//!
//! Nothing here is read before its signature fits. A message that the provider took and could not bring to its person counts
//! as one that was refused: the next way does not wait, and who cannot be reached at all is passed over.

use tenfold_store::incidents as store;
use tenfold_types::{ErrorCode, Fault, Source};

use super::{
    deliver::{PUT_OFF_MAX, attempt, refused},
    message::TEST_INCIDENT,
    stored::{State, word},
    views::IncidentView,
};
use crate::{
    App, Caller,
    alerts::{Channel, NotifyError},
    people::Person,
};

/// The key, or the word, that acknowledges.
const ACKNOWLEDGE: [&str; 3] = ["4", "ack", "acknowledge"];
/// Incidents that one answer names.
const NAMED_MAX: usize = 5;

/// What became of a message or a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    /// The telephone has it, or somebody took the call.
    Reached,
    /// Nobody took the call, which may be another time.
    Missed,
    /// It will not be brought.
    Lost,
}

impl Became {
    /// As Twilio writes it; nothing while it is on its way.
    fn read(status: &str) -> Option<Self> {
        match status {
            "delivered" | "read" | "completed" => Some(Self::Reached),
            "busy" | "no-answer" => Some(Self::Missed),
            "undelivered" | "failed" | "canceled" => Some(Self::Lost),
            _ => None,
        }
    }
}

/// The page and the channel of a key.
fn parts(key: &str) -> Result<(&str, &str), Fault> {
    key.rsplit_once('.').ok_or_else(unknown)
}

fn unknown() -> Fault {
    Fault::not_found("there is no message or call of this key")
}

/// An answer that acknowledges: the incident that it names, or the one that waits.
#[derive(Debug, PartialEq, Eq)]
struct Acknowledges(Option<i64>);

fn read_answer(text: &str) -> Option<Acknowledges> {
    let mut words = text.split_whitespace().map(|word| word.trim_matches(['.', ',', '#', '!']).to_lowercase());
    let first = words.next()?;
    let number = words.next();
    if !ACKNOWLEDGE.contains(&first.as_str()) || words.next().is_some() {
        return None;
    }
    match number {
        None => Some(Acknowledges(None)),
        Some(number) => Some(Acknowledges(Some(number.parse().ok()?))),
    }
}

impl App {
    /// Refuses what the provider of text messages and calls did not sign. `path` is what it asked for, with the query.
    pub fn phone_signed(&self, path: &str, fields: &[(String, String)], signature: &str) -> Result<(), Fault> {
        let notifier = self.alerts.notifier.read().clone();
        if notifier.is_some_and(|n| n.phone_signed(&self.settings.link(path), fields, signature)) {
            return Ok(());
        }
        Err(Fault::new(ErrorCode::Unauthenticated, "the signature does not fit")
            .advice("`public_url` is the address that the provider asks, and its token is in `twilio_token_file`"))
    }

    /// Takes what became of a message or a call. What is said of one that is over already changes nothing.
    pub async fn phone_status(&self, key: &str, status: &str, error: Option<&str>) -> Result<(), Fault> {
        let (page, channel) = parts(key)?;
        let Some(became) = Became::read(status) else { return Ok(()) };
        let said = match error.filter(|code| !code.is_empty()) {
            Some(code) => format!("the provider says {status}, error {code}"),
            None => format!("the provider says {status}"),
        };
        let (page, channel) = (page.to_owned(), channel.to_owned());
        self.housekeeping(move |t| {
            let now = t.now();
            let mut delivery = store::delivery_get(t.tx(), &page, &channel)?.ok_or_else(unknown)?;
            // The order may not have been stored as taken yet.
            if !matches!(delivery.state.as_str(), word::ACCEPTED | word::SENDING) {
                return Ok(());
            }
            if became == Became::Reached {
                let reached = attempt(&delivery, now, Some(now), word::DELIVERED, None);
                store::attempt_put(t.tx(), &reached)?;
                return Ok(());
            }
            let failed = attempt(&delivery, now, Some(now), word::FAILED, Some(said.clone()));
            store::attempt_put(t.tx(), &failed)?;
            let over = |state: &str| matches!(state, word::ACKNOWLEDGED | word::SUPERSEDED);
            if store::page_get(t.tx(), &page)?.is_none_or(|page| over(&page.state)) {
                return Ok(());
            }
            let permanent = became == Became::Lost || delivery.tries >= PUT_OFF_MAX;
            let error = NotifyError { permanent, too_large: false, retry_after_ms: None, message: said.clone() };
            refused(t, &mut delivery, &error, now)
        })
        .await?;
        self.incidents.wake();
        Ok(())
    }

    /// A key was pressed in a call; what is said to whoever did.
    pub async fn phone_key(&self, key: &str, digits: &str) -> Result<String, Fault> {
        let id = parts(key)?.0.to_owned();
        let page = self.read(move |tx| Ok(store::page_get(tx, &id)?)).await?.ok_or_else(unknown)?;
        if digits.trim() != ACKNOWLEDGE[0] {
            return Ok("Nothing was done. Open the incident to acknowledge it.".to_owned());
        }
        if page.incident == TEST_INCIDENT {
            return Ok("This was a test. A page is acknowledged in this way.".to_owned());
        }
        let who = self.caller_of(&page.person, Source::Api).await?;
        Ok(self.phone_acknowledge(&who, page.incident).await)
    }

    /// A text message came from a number; what is answered. Whose number it is, says it. A number that nobody here has is not
    /// answered: each answer is paid for, and two machines would answer each other for ever.
    pub async fn phone_text(&self, from: &str, text: &str) -> Result<Option<String>, Fault> {
        let has = |person: &Person| {
            let channels = &person.contact.channels;
            let number = |channel: Channel| channels.get(channel.as_str()).is_some_and(|to| to == from);
            !person.disabled && (number(Channel::Sms) || number(Channel::Voice))
        };
        let people: Vec<Person> = self.people().await?.into_iter().filter(has).collect();
        match people.first() {
            Some(first) => self.phone_answer(&people, first, text).await.map(Some),
            None => Ok(None),
        }
    }

    async fn phone_answer(&self, people: &[Person], first: &Person, text: &str) -> Result<String, Fault> {
        let Some(Acknowledges(said)) = read_answer(text) else {
            return Ok("Answer 4 and the number of the incident to acknowledge it.".to_owned());
        };
        let open = self.incidents_open().await?;
        let paged = |incident: &IncidentView, person: &Person| incident.pages.iter().any(|p| p.person == person.login);
        let waiting: Vec<&IncidentView> = open
            .iter()
            .filter(|i| i.state == State::Open.as_str() && people.iter().any(|person| paged(i, person)))
            .collect();
        let number = match (said, waiting.as_slice()) {
            (Some(number), _) => number,
            (None, [one]) => one.number,
            (None, []) => return Ok("No incident waits for you.".to_owned()),
            (None, many) => {
                let numbers: Vec<String> = many.iter().take(NAMED_MAX).map(|i| format!("4 {}", i.number)).collect();
                return Ok(format!("Say which: {}.", numbers.join(", ")));
            }
        };
        // Of several with one telephone it is who was paged.
        let incident = open.iter().find(|i| i.number == number);
        let who = incident.and_then(|i| people.iter().find(|person| paged(i, person))).unwrap_or(first);
        Ok(self.phone_acknowledge(&who.caller(Source::Api), number).await)
    }

    async fn phone_acknowledge(&self, who: &Caller, number: i64) -> String {
        match self.incident_acknowledge(who, number).await {
            Ok(done) if done.already => {
                let name = done.incident.acknowledged_by_name.unwrap_or_else(|| "Somebody".to_owned());
                format!("{name} has incident {number} already.")
            }
            Ok(_) => format!("You have incident {number}."),
            Err(fault) => format!("That did not work: {}.", fault.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_short() {
        for (text, wanted) in [
            ("4 12", Some(Acknowledges(Some(12)))),
            (" ACK  12. ", Some(Acknowledges(Some(12)))),
            ("4", Some(Acknowledges(None))),
            ("acknowledge #7", Some(Acknowledges(Some(7)))),
            ("4 twelve", None),
            ("no", None),
            ("", None),
            ("4 12 and then some", None),
        ] {
            assert_eq!(read_answer(text), wanted, "{text}");
        }
    }
}
