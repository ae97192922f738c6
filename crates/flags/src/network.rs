//! Addresses and address ranges.

use std::net::IpAddr;

/// An address or an address range (`10.0.0.0/8`, `2001:db8::/32`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Some(bits_max), |p| p.parse().ok().filter(|bits| *bits <= bits_max))?;
        Some(Self { address, prefix_bits })
    }

    pub(crate) fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits)).unwrap_or(0);
                (a.to_bits() ^ b.to_bits()) & mask == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits)).unwrap_or(0);
                (a.to_bits() ^ b.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (range, address, inside) in [
            ("0.0.0.0/0", "203.0.113.9", true),
            ("10.1.2.3/8", "10.200.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("10.0.0.1", "10.0.0.1", true),
        ] {
            let network = Network::parse(range).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{address} in {range}");
        }
        for broken in ["10.0.0.0/33", "10.0.0/8", "::/129", "", "/8", "10.0.0.0/-1"] {
            assert!(Network::parse(broken).is_none(), "{broken}");
        }
    }
}
