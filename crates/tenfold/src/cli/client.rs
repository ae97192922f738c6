//! The HTTP API as the verbs use it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::Value;
use tenfold_httpkit::error::innermost;

use super::out::{Exit, Failure, text};
use super::{Common, config};

const SERVER_DEFAULT: &str = "http://127.0.0.1:7070";
const CONNECT: Duration = Duration::from_secs(10);
/// A deploy's next commit may have to be fetched first.
const ANSWER: Duration = Duration::from_mins(2);
const AGENT: &str = concat!("tenfold-cli/", env!("CARGO_PKG_VERSION"));

/// How we say who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credential {
    Token(String),
    Session(String),
    Nobody,
}

pub struct Client {
    http: reqwest::Client,
    base: String,
    credential: Credential,
}

impl Client {
    /// Flags and environment go before the file; on the own machine a demo signs its visitor in by itself.
    pub async fn new(common: &Common) -> Result<Self, Failure> {
        let saved = config::load()?;
        let base = common.server.clone().or_else(|| saved.server.clone()).unwrap_or_else(|| SERVER_DEFAULT.to_owned());
        let same_server = common.server.is_none() || common.server == saved.server;
        let credential = match (&common.token, saved.session) {
            (Some(token), _) => Credential::Token(token_of(token)?),
            // A session belongs to the server that gave it.
            (None, Some(session)) if same_server => Credential::Session(session),
            _ => Credential::Nobody,
        };
        let mut client = Self::to(&base)?;
        client.credential = credential;
        if client.credential == Credential::Nobody && is_loopback(&client.base) {
            let (answer, session) = client.session(Method::GET, "/api/session", None).await?;
            if !answer["person"].is_null()
                && let Some(session) = session
            {
                client.credential = Credential::Session(session);
            }
        }
        Ok(client)
    }

    /// Without any credential.
    pub fn to(base: &str) -> Result<Self, Failure> {
        let base = base.trim().trim_end_matches('/').to_owned();
        if base.is_empty() {
            return Err(Failure::misuse("the address of the server is empty")
                .advice("give it with --server, or unset TENFOLD_URL"));
        }
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Failure::misuse(format!("`{base}` is not the address of a server"))
                .advice("write it like http://127.0.0.1:7070"));
        }
        let http = reqwest::Client::builder()
            .user_agent(AGENT)
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Failure::failed(format!("the HTTP client could not be made: {e}")))?;
        Ok(Self { http, base, credential: Credential::Nobody })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // Tells the server that no web page is behind this.
        let request = self.http.request(method, format!("{}{path}", self.base)).header("sec-fetch-site", "none");
        match &self.credential {
            Credential::Token(token) => request.bearer_auth(token),
            Credential::Session(cookie) => request.header(header::COOKIE, cookie),
            Credential::Nobody => request,
        }
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.send(self.request(Method::GET, &with_query(path, query)), true).await
    }
    /// An answer that is a text as it stands.
    pub async fn get_text(&self, path: &str) -> Result<String, Failure> {
        let request = self.request(Method::GET, path).timeout(ANSWER);
        let response = request.send().await.map_err(|e| self.broken(&e, true))?;
        self.accepted(response, true).await?.text().await.map_err(|e| self.broken(&e, true))
    }
    /// All pages of a list as one answer: the first, with the items of those behind it.
    pub async fn get_all(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut all = self.get(path, query).await?;
        while let Some(next) = all.as_object_mut().and_then(|fields| fields.remove("next")) {
            let after = next.as_str().map_or_else(|| next.to_string(), str::to_owned);
            let behind: Vec<(&str, &str)> = query.iter().copied().chain([("after", after.as_str())]).collect();
            let mut page = self.get(path, &behind).await?;
            let (Some(fields), Some(more)) = (all.as_object_mut(), page.as_object_mut()) else { break };
            if let Some(next) = more.remove("next") {
                fields.insert("next".to_owned(), next);
            }
            let items = fields.get_mut("items").and_then(Value::as_array_mut);
            if let (Some(items), Some(more)) = (items, more.get_mut("items").and_then(Value::as_array_mut)) {
                items.append(more);
            }
        }
        Ok(all)
    }
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.request(Method::POST, path).json(body), false).await
    }
    pub async fn post_bytes(
        &self,
        path: &str,
        query: &[(&str, &str)],
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Value, Failure> {
        let request = self.request(Method::POST, &with_query(path, query));
        self.send(request.header(header::CONTENT_TYPE, kind).body(body), false).await
    }
    pub async fn put(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Result<Value, Failure> {
        let request = self.request(Method::PUT, path).json(body);
        let request = headers.iter().fold(request, |r, (name, value)| r.header(*name, *value));
        self.send(request, false).await
    }
    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.send(self.request(Method::DELETE, path), false).await
    }

    async fn send(&self, request: RequestBuilder, safe: bool) -> Result<Value, Failure> {
        let response = request.timeout(ANSWER).send().await.map_err(|e| self.broken(&e, safe))?;
        self.answer(response, safe).await
    }

    async fn answer(&self, response: Response, safe: bool) -> Result<Value, Failure> {
        let body = self.accepted(response, safe).await?.bytes().await.map_err(|e| self.broken(&e, safe))?;
        if body.is_empty() { Ok(Value::Null) } else { self.json(&body) }
    }

    /// The answer as it came, unless it is a refusal.
    async fn accepted(&self, response: Response, safe: bool) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if let Some(moved) = moved(&response) {
            return Err(Failure::failed(format!("{} answered {status}, which points to {moved}", self.base))
                .advice("give the address of the server itself with --server or TENFOLD_URL"));
        }
        let signs_in = response.url().path().ends_with("/api/session");
        let body = response.bytes().await.map_err(|e| self.broken(&e, safe))?;
        let error = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        // The Prometheus API has a shape of its own.
        if let (Some(kind), Some(message)) = (error["errorType"].as_str(), error["error"].as_str()) {
            let exit = if matches!(kind, "bad_data" | "execution") { Exit::Misuse } else { Exit::Failed };
            return Err(Failure::new(exit, message));
        }
        let error = &error["error"];
        if error.is_null() {
            return Err(Failure::failed(format!("{} answered {status}", self.base)).advice("is this a tenfold server?"));
        }
        let code = text(error, "code");
        let mut advice = text(error, "advice").to_owned();
        if code == "unauthenticated" && !signs_in {
            "sign in with `tenfold login`, or give a token with --token or TENFOLD_TOKEN".clone_into(&mut advice);
        }
        Err(Failure::new(Exit::of_error(code), without_place(text(error, "message"))).advice(advice))
    }

    fn json(&self, body: &[u8]) -> Result<Value, Failure> {
        serde_json::from_slice(body).map_err(|_| {
            Failure::failed(format!("{} did not answer with JSON", self.base)).advice("is this a tenfold server?")
        })
    }

    /// A request that found no answer: a question failed, an order may have been carried out.
    fn broken(&self, error: &reqwest::Error, safe: bool) -> Failure {
        if error.is_connect() || error.is_builder() {
            let tls = if self.base.starts_with("https://") { ", and does it speak TLS there" } else { "" };
            return Failure::failed(format!("{} cannot be reached: {}", self.base, innermost(error)))
                .advice(format!("is the server running{tls}? give its address with --server or TENFOLD_URL"));
        }
        let what =
            if error.is_timeout() { format!("no answer within {ANSWER:?}") } else { "the answer broke off".into() };
        if safe {
            Failure::failed(format!("{}: {what}", self.base))
        } else {
            Failure::new(Exit::Inconclusive, format!("{}: {what}; it may have been done", self.base))
                .advice("look with: tenfold status")
        }
    }

    /// Opens a stream of server-sent events, with a question in its body or without.
    pub async fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        after: Option<i64>,
    ) -> Result<Response, Failure> {
        let path = with_query(path, query);
        let request = match body {
            Some(body) => self.request(Method::POST, &path).json(body),
            None => self.request(Method::GET, &path),
        };
        let mut request = request.header(header::ACCEPT, "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.map_err(|e| self.broken(&e, true))?;
        self.accepted(response, true).await
    }

    /// A request about sessions: the answer and the session it set, as `name=value`.
    pub async fn session(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(Value, Option<String>), Failure> {
        let mut request = self.request(method, path).timeout(ANSWER);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|e| self.broken(&e, true))?;
        let cookies = response.headers().get_all(header::SET_COOKIE).iter();
        let session = cookies
            .filter_map(|v| v.to_str().ok())
            .filter_map(|v| v.split(';').next())
            .find(|v| v.split_once('=').is_some_and(|(name, value)| name.contains("tenfold") && !value.is_empty()))
            .map(str::to_owned);
        Ok((self.answer(response, true).await?, session))
    }
}

/// A token as it goes into a header, without what files and shells leave around it.
fn token_of(given: &str) -> Result<String, Failure> {
    let token = given.trim();
    if token.is_empty() {
        let empty = Failure::new(Exit::Refused, "the token is empty");
        return Err(empty.advice("give one with --token or TENFOLD_TOKEN, or unset that to be who signed in"));
    }
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        let odd = Failure::new(Exit::Refused, "the token has spaces or signs that no token has");
        return Err(odd.advice("it is one word, as `tenfold token create` printed it"));
    }
    Ok(token.to_owned())
}

/// Where a redirect leads, without what was asked for there.
fn moved(response: &Response) -> Option<String> {
    let to = response.headers().get(header::LOCATION).filter(|_| response.status().is_redirection())?;
    let to = to.to_str().ok()?;
    Some(to.split("/api/").next().filter(|base| !base.is_empty()).unwrap_or(to).to_owned())
}

/// A file is sent as JSON of one line: where in that something stands says nothing of the file.
fn without_place(message: &str) -> &str {
    let of_body = message.starts_with("the request body does not fit: ");
    message.rfind(" at line 1 column ").filter(|_| of_body).map_or(message, |at| &message[..at])
}

fn is_loopback(base: &str) -> bool {
    let host = base.split_once("://").map_or(base, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    let name = host
        .strip_prefix('[')
        .and_then(|h| h.split(']').next())
        .unwrap_or_else(|| host.rsplit_once(':').map_or(host, |(name, _)| name));
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A name as one segment of a path.
pub fn segment(name: &str) -> String {
    let out = escape(name);
    // A path of dots would be a path elsewhere.
    if out.bytes().all(|b| b == b'.') { out.replace('.', "%2E") } else { out }
}

/// Percent encoding of everything that is not unreserved (RFC 3986).
fn escape(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_the_path() {
        assert_eq!(segment("photos-1"), "photos-1");
        assert_eq!(segment("../people?x=1#y"), "..%2Fpeople%3Fx%3D1%23y");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(with_query("/x", &[("q", "a b&c=d"), ("n", "1")]), "/x?q=a%20b%26c%3Dd&n=1");
    }

    #[test]
    fn a_token_is_one_word() {
        assert_eq!(token_of("tf_robot_a\r\n"), Ok("tf_robot_a".to_owned()));
        for (wrong, said) in [("", "is empty"), (" \n", "is empty"), ("tf a", "no token has"), ("tf_ä", "no token has")]
        {
            let failure = token_of(wrong).unwrap_err();
            assert!(failure.message.contains(said) && failure.exit == Exit::Refused, "{wrong:?}: {failure}");
        }
    }

    #[test]
    fn only_the_place_in_our_own_json_is_left_out() {
        let fit = "the request body does not fit: steps: missing field `steps` at line 1 column 9";
        assert_eq!(without_place(fit), "the request body does not fit: steps: missing field `steps`");
        let rule = "the rule file z: line 9: `for` at line 1 column 9";
        assert_eq!(without_place(rule), rule);
    }

    #[test]
    fn the_own_machine_is_recognised() {
        assert!(
            is_loopback("http://127.0.0.1:7070") && is_loopback("http://[::1]:7070") && is_loopback("http://localhost")
        );
        assert!(!is_loopback("https://localhost.example.org") && !is_loopback("http://10.0.0.1:7070"));
    }
}
