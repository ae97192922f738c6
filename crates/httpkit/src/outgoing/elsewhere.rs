//! Addresses of other machines. Where somebody on another machine says what this server is to ask, nothing is asked that
//! only this machine reaches: not by its digits, and not by a name that leads there. A name is looked up once for each
//! connection, and what was looked at is what is connected to: there is no second answer that could be another.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

type Found = BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
/// How names are looked up.
pub type LookUp = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// Where clouds answer a machine about itself, besides 169.254.169.254: AWS over IPv6, and Alibaba.
const METADATA: [IpAddr; 2] =
    [IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200))];

/// Leaves out what no other machine answers at.
#[derive(Clone)]
pub struct Elsewhere {
    look_up: LookUp,
}

impl Default for Elsewhere {
    /// Names are looked up as this machine does.
    fn default() -> Self {
        Self::by(Arc::new(|name: String| as_this_machine(name).boxed()))
    }
}

impl Elsewhere {
    pub fn by(look_up: LookUp) -> Self {
        Self { look_up }
    }

    /// Looks at an address that is written in digits; names are looked at when they are looked up.
    pub(super) fn check(url: &Url) -> Result<(), String> {
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err("the address names no host".to_owned()),
        };
        if is_elsewhere(ip) { Ok(()) } else { Err(refused(&ip.to_string())) }
    }
}

impl Resolve for Elsewhere {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(left_over((self.look_up)(name.clone()), name))
    }
}

async fn as_this_machine(name: String) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect())
}

async fn left_over(found: Found, name: String) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    let mut found = found.await?;
    found.retain(|address| is_elsewhere(address.ip()));
    if found.is_empty() {
        return Err(refused(&name).into());
    }
    Ok(Box::new(found.into_iter()))
}

fn refused(what: &str) -> String {
    format!(
        "{what} leads to the server's own machine, which a host elsewhere may not have asked; start its agent with an \
         --address at which the host is reached from the server, or name the page under metrics.static_targets"
    )
}

/// Whether an address is one of this machine's own: somebody can listen there.
pub fn is_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether another machine may answer at an address, and the answer does not depend on who asks.
fn is_elsewhere(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let near = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(near || ip.is_unspecified() || ip.is_multicast() || METADATA.contains(&ip) || is_this_machine(ip))
}

#[cfg(test)]
mod tests {
    use super::super::{Client, Files, HttpClient, Redirects};
    use super::*;

    /// Every name leads to these.
    fn leads_to(addresses: &[&str]) -> Elsewhere {
        let found: Vec<SocketAddr> = addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Elsewhere::by(Arc::new(move |_: String| std::future::ready(Ok(found.clone())).boxed()))
    }

    #[test]
    fn what_only_this_machine_reaches_is_not_elsewhere() {
        for ip in ["192.0.2.7", "10.255.254.253", "2001:db8::7", "fd12::7"] {
            assert!(is_elsewhere(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "127.8.9.10",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!is_elsewhere(ip.parse().unwrap()), "{ip}");
        }
        let check = |url: &str| Elsewhere::check(&Url::parse(url).unwrap());
        assert!(check("http://192.0.2.7/metrics").is_ok() && check("http://web-1.example:80/").is_ok());
        for url in ["http://127.1:80/", "http://0x7f000001/", "http://[::1]:80/", "http://[::ffff:7f00:1]/"] {
            assert!(check(url).unwrap_err().contains("the server's own machine"), "{url}");
        }
    }

    #[tokio::test]
    async fn of_what_a_name_leads_to_only_other_machines_are_left() {
        let found = leads_to(&["127.0.0.1", "192.0.2.7", "::1"]).resolve("web-1.example".parse().unwrap()).await;
        let found: Vec<IpAddr> = found.map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default();
        assert_eq!(found, [IpAddr::from([192, 0, 2, 7])]);
        let found = leads_to(&["::ffff:127.0.0.1"]).resolve("web-1.example".parse().unwrap()).await;
        let reason = found.map(|_| ()).unwrap_err().to_string();
        assert!(reason.starts_with("web-1.example leads to the server's own machine"), "{reason}");
    }

    /// Answers once; tells whether it was asked.
    async fn server() -> (u16, tokio::task::JoinHandle<bool>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = tokio::spawn(async move {
            let Ok((mut stream, _)) = listener.accept().await else { return false };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return false };
                head.push(byte);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.is_ok()
        });
        (port, served)
    }

    async fn ask(client: &Client, url: &str) -> Result<u16, String> {
        let http = client.http().await?;
        http.send(http.usual.get(url)).await.map(|answer| answer.status().as_u16())
    }

    #[tokio::test]
    async fn a_name_that_leads_here_is_not_asked() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |names: Option<Elsewhere>| {
            let client = Client::new(&HttpClient::default(), Arc::new(Files::Anywhere), Redirects::All);
            match names {
                Some(names) => client.elsewhere(names),
                None => client,
            }
        };
        let (port, served) = server().await;
        let far = client(Some(leads_to(&["127.0.0.1"])));
        for host in ["web-1.example", "localhost", "127.0.0.1", "2130706433"] {
            let reason = ask(&far, &format!("http://{host}:{port}/metrics")).await.unwrap_err();
            assert!(reason.contains("the server's own machine"), "{host}: {reason}");
        }
        assert!(!served.is_finished(), "nobody was asked");
        // who writes the server's configuration may have it ask itself
        assert_eq!(ask(&client(None), &format!("http://127.0.0.1:{port}/metrics")).await, Ok(200));
        assert!(served.await.unwrap());
    }
}
