//! Which addresses are not of the public internet, in every form in which they can be written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What `address` is, if it is none of the public internet; addresses that carry an IPv4 address
/// inside are what that is.
pub fn reserved(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => reserved_v6(address),
    }
}

/// Whether nobody can want to send there: it is not one host, or none that can be named.
pub fn is_no_host(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.is_broadcast())
}

fn reserved_v4(address: Ipv4Addr) -> Option<&'static str> {
    let what = match address.octets() {
        [0, ..] => "an address of no host",
        [127, ..] => "a loopback address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "an address of a provider's own network",
        [169, 254, ..] => "a link-local address, where clouds keep credentials",
        // Azure's; the only one of these that lies in a public range.
        [168, 63, 129, 16] => "a cloud's own service",
        [192, 0, 0, _] | [192, 88, 99, _] => "an address of a protocol",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address for documentation",
        [198, 18..=19, ..] => "an address for benchmarks",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    };
    Some(what)
}

fn reserved_v6(address: Ipv6Addr) -> Option<&'static str> {
    let what = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "an address of no host",
        [0, 0, 0, 0, 0, 0, 0, 1] => "a loopback address",
        // NAT64 and 6to4 lead to the IPv4 address within.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return reserved_v4(within(high, low)),
        [0x2002, high, low, ..] => return reserved_v4(within(high, low)),
        [0xfc00..=0xfdff, ..] => "a private address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "an address for documentation",
        // Teredo and others whose way through the network is not the address's.
        [0x2001, 0..=0x1ff, ..] => "an address of a protocol",
        [0x2000..=0x3fff, ..] => return None,
        _ => "a reserved address",
    };
    Some(what)
}

fn within(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_known_in_every_form() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(reserved(text.parse().unwrap()).is_some(), "{text}");
        }
        for text in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "64:ff9b::101:101",
            "2002:101:101::1",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(reserved(text.parse().unwrap()), None, "{text}");
        }
    }
}
