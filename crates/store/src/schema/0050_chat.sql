-- Which account an identity in a chat room is bound to. `account` rows name an account of the network and stay; `session`
-- rows name one connection (nick!user@host and the instant it signed on) and go with it.
CREATE TABLE chat_links (
  room      TEXT NOT NULL,
  kind      TEXT NOT NULL,
  identity  TEXT NOT NULL,
  login     TEXT NOT NULL,
  signon    BIGINT,
  linked_at BIGINT NOT NULL,
  PRIMARY KEY (room, kind, identity)
);
CREATE INDEX chat_links_login ON chat_links (login);
