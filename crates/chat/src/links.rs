//! Who is who on a network, as far as it is proven. Pure.
//!
//! A person is known by an account the network vouches for, or by one connection (`nick!user@host`) that said a code and
//! has been in view since. Everything else is nobody.

use std::collections::BTreeMap;

use tenfold_protocols::irc::Prefix;

/// Bindings that hold now.
#[derive(Debug, Default)]
pub struct Links {
    accounts: BTreeMap<String, String>,
    /// By folded nick: the connection and the login.
    sessions: BTreeMap<String, (Prefix, String)>,
}

impl Links {
    pub fn bind_account(&mut self, account: &str, login: &str) {
        self.accounts.insert(account.to_owned(), login.to_owned());
    }
    /// `folded` is the nick as the server folds it.
    pub fn bind_session(&mut self, folded: &str, prefix: Prefix, login: &str) {
        self.sessions.insert(folded.to_owned(), (prefix, login.to_owned()));
    }
    /// The login behind a line: the account's, else that of exactly this connection.
    pub fn login(&self, account: Option<&str>, folded: &str, prefix: &Prefix) -> Option<&str> {
        if let Some(login) = account.and_then(|a| self.accounts.get(a)) {
            return Some(login);
        }
        self.sessions
            .get(folded)
            .filter(|(bound, _)| bound == prefix && prefix.is_full())
            .map(|(_, login)| login.as_str())
    }
    /// The nick is gone or somebody else's; gives the binding that ends.
    pub fn gone(&mut self, folded: &str) -> Option<Prefix> {
        self.sessions.remove(folded).map(|(prefix, _)| prefix)
    }
    /// The connection to the network is gone, and with it the view of who is who.
    pub fn blind(&mut self) {
        self.sessions.clear();
    }
    /// A nick under which this person is proven to be there.
    pub fn nick_of(&self, login: &str) -> Option<&str> {
        self.sessions.values().find(|(_, l)| l == login).map(|(prefix, _)| prefix.nick.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nick_alone_is_nobody() {
        let mut links = Links::default();
        let ana = Prefix::parse("Ana!a@host");
        links.bind_session("ana", ana.clone(), "ana");
        assert_eq!(links.login(None, "ana", &ana), Some("ana"));
        assert_eq!(links.login(None, "ana", &Prefix::parse("Ana!a@elsewhere")), None, "same nick, other host");
        assert_eq!(links.login(None, "ana", &Prefix::parse("Ana")), None);
        assert_eq!(links.login(Some("ana"), "raj", &Prefix::parse("raj!r@h")), None, "an account nobody linked");
        assert_eq!(links.nick_of("ana"), Some("Ana"));
        assert_eq!(links.gone("ana"), Some(ana.clone()));
        assert_eq!(links.login(None, "ana", &ana), None);
    }

    #[test]
    fn an_account_outlives_the_connection_and_goes_before_the_session() {
        let mut links = Links::default();
        let prefix = Prefix::parse("x!y@z");
        links.bind_account("ana.k", "ana");
        links.bind_session("x", prefix.clone(), "raj");
        assert_eq!(links.login(Some("ana.k"), "x", &prefix), Some("ana"));
        links.blind();
        assert_eq!(links.login(Some("ana.k"), "x", &prefix), Some("ana"));
        assert_eq!(links.login(None, "x", &prefix), None);
    }
}
