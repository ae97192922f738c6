//! Addresses outside of the server's own networks. A browser names the address that it is pushed to, so nothing within
//! may be reached by it: not by its digits, and not by a name that leads there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// A push service that would be found in a network of the server's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the push service's address lies in a network of the server's own")]
pub struct Inside;

/// Whether an address is one of the public internet.
pub fn is_outside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => outside_v4(ip),
        IpAddr::V6(ip) => outside_v6(ip),
    }
}

fn outside_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = a == 192 && b == 0 && c == 0;
    let bench = a == 198 && (b == 18 || b == 19);
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 224
        || shared
        || protocols
        || bench)
}

/// Global unicast is 2000::/3. Addresses that carry one of IPv4 are judged by that.
fn outside_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return outside_v4(v4);
    }
    let parts = ip.segments();
    let v4 = |high: u16, low: u16| outside_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match parts {
        // NAT64 of the well-known prefix, and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Teredo, benchmarks, ORCHID and the like; documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Whether a URL names, by its digits, an address within.
pub fn names_inside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => !outside_v4(ip),
        Some(Host::Ipv6(ip)) => !outside_v6(ip),
        Some(Host::Domain(_)) => false,
        None => true,
    }
}

/// Looks names up and keeps the addresses outside. What is connected to is what was looked at.
pub struct OutsideOnly;

impl Resolve for OutsideOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(look_up(name))
    }
}

async fn look_up(name: Name) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    let mut found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
    found.retain(|address| is_outside(address.ip()));
    if found.is_empty() {
        return Err(Inside.into());
    }
    Ok(Box::new(found.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_ones_own_are_inside() {
        for ip in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "192.0.1.1", "2a00:1450:4001::1", "64:ff9b::808:808"] {
            assert!(is_outside(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "192.0.2.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a01:203",
            "2002:7f00:1::1",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_outside(ip.parse().unwrap()), "{ip}");
        }
        let inside = |url: &str| names_inside(&Url::parse(url).unwrap());
        assert!(inside("https://127.0.0.1/x") && inside("https://[::1]/x") && inside("https://2130706433/x"));
        assert!(!inside("https://push.example.org/x") && !inside("https://8.8.8.8/x"));
    }
}
