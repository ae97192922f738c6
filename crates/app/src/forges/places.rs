//! Who may have a webhook read at the moment. Anybody may send to that address, and whether a signature fits is known only
//! when the body is here, so strangers can take places. They cannot keep them: when all are taken, whoever comes next takes
//! the place that was held longest by the address that holds most. A real delivery is here within milliseconds; whoever
//! sends slowly from many addresses loses one place after the other to it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use parking_lot::Mutex;
use tenfold_types::Fault;
use tokio_util::sync::CancellationToken;

/// Webhooks read at a time; each may hold its whole body.
pub const READ_MAX: usize = 16;

#[derive(Default)]
pub struct Places {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    /// The oldest first.
    readers: Vec<Reader>,
}

struct Reader {
    id: u64,
    peer: Option<IpAddr>,
    gave_way: CancellationToken,
}

/// The right to read a webhook, until it is dropped or gave way.
pub struct Place<'a> {
    places: &'a Places,
    id: u64,
    gave_way: CancellationToken,
}

impl Places {
    /// A place, if need be that of another.
    pub fn take(&self, peer: Option<IpAddr>) -> Place<'_> {
        let mut held = self.held.lock();
        if held.readers.len() >= READ_MAX {
            let at = gives_way(&held.readers);
            held.readers.remove(at).gave_way.cancel();
        }
        let (id, gave_way) = (held.next, CancellationToken::new());
        held.next += 1;
        held.readers.push(Reader { id, peer, gave_way: gave_way.clone() });
        Place { places: self, id, gave_way }
    }

    pub fn taken(&self) -> usize {
        self.held.lock().readers.len()
    }
}

/// Which of the readers: the oldest of the address that has most; of two that have as many, of that with the oldest.
fn gives_way(readers: &[Reader]) -> usize {
    let mut counts: BTreeMap<Option<IpAddr>, usize> = BTreeMap::new();
    for reader in readers {
        *counts.entry(reader.peer).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or_default();
    readers.iter().position(|reader| counts.get(&reader.peer) == Some(&most)).unwrap_or_default()
}

impl Place<'_> {
    /// Ends when another took the place; then the body is not read on.
    pub async fn gone(&self) -> Fault {
        self.gave_way.cancelled().await;
        Fault::unavailable(format!("{READ_MAX} webhooks are being read, and this one took longest"))
            .advice("send it again")
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let id = self.id;
        self.places.held.lock().readers.retain(|reader| reader.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn a_newcomer_has_the_oldest_place_of_whoever_holds_most() {
        let places = Places::default();
        let first = places.take(Some(peer(1)));
        let many: Vec<Place> = (1..READ_MAX).map(|_| places.take(Some(peer(2)))).collect();
        assert_eq!(places.taken(), READ_MAX);
        let next = places.take(Some(peer(3)));
        assert!(many[0].gave_way.is_cancelled() && !first.gave_way.is_cancelled() && !next.gave_way.is_cancelled());
        assert!(many[1..].iter().all(|place| !place.gave_way.is_cancelled()));
        assert_eq!(places.taken(), READ_MAX);
        drop(many);
        assert_eq!(places.taken(), 2, "what gave way has nothing to give back");
    }

    #[test]
    fn of_many_strangers_the_oldest_goes() {
        let places = Places::default();
        let strangers: Vec<Place> = (0..READ_MAX).map(|n| places.take(Some(peer(u8::try_from(n).unwrap())))).collect();
        let next = places.take(None);
        let gone: Vec<bool> = strangers.iter().map(|place| place.gave_way.is_cancelled()).collect();
        assert!(gone[0] && gone[1..].iter().all(|gone| !gone) && !next.gave_way.is_cancelled());
        drop((strangers, next));
        assert_eq!(places.taken(), 0);
    }
}
