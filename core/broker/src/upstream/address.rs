//! Which addresses we connect to at all: the guard against server-side request forgery.
//!
//! An upstream is declared by an operator, so private networks are allowed; what no upstream may ever be is the
//! metadata service of a cloud, a link-local or multicast neighbour, or this machine unless the declaration says so
//! literally. IPv4 hidden in IPv6 (mapped, compatible, NAT64, 6to4, Teredo) is judged as the IPv4 it is.

use super::Host;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why an upstream's address is not connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Never, whoever declares it.
    #[error("the name resolves to an address that is never connected to")]
    Never,
    /// Loopback behind a name that does not say so.
    #[error("the name resolves to this machine")]
    Loopback,
    /// Nothing.
    #[error("the name does not resolve")]
    Unresolved,
}

/// How far away an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Never connected to, whoever declares it: link-local, multicast, unspecified, reserved, metadata of a cloud.
    Never,
    /// This machine.
    Loopback,
    /// A network of one's own: RFC 1918, RFC 4193, and the carriers' range of RFC 6598.
    Private,
    /// Anything else.
    Public,
}

/// Metadata and platform services of clouds outside the link-local ranges.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// All of `resolved`, or why not: one bad address refuses the name, so that answers cannot be mixed.
pub fn checked(host: &Host, resolved: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
    if resolved.is_empty() {
        return Err(Forbidden::Unresolved);
    }
    for address in &resolved {
        judge(host, address.ip())?;
    }
    Ok(resolved)
}

fn judge(host: &Host, address: IpAddr) -> Result<(), Forbidden> {
    match reach(address) {
        Reach::Never => Err(Forbidden::Never),
        at if (at == Reach::Loopback) != host.is_loopback() => Err(Forbidden::Loopback),
        Reach::Loopback | Reach::Private | Reach::Public => Ok(()),
    }
}

/// How far away it is.
pub fn reach(address: IpAddr) -> Reach {
    let address = match address {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => hidden_v4(address).map_or(IpAddr::V6(address), IpAddr::V4),
    };
    let (never, private) = match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let reserved = first == 0 || first >= 240 || METADATA_V4.contains(&v4);
            let shared = first == 100 && second & 0xc0 == 64;
            (
                v4.is_link_local() || v4.is_multicast() || reserved,
                v4.is_private() || shared,
            )
        }
        IpAddr::V6(v6) => (
            v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified() || v6 == METADATA_V6,
            v6.is_unique_local(),
        ),
    };
    match (never, address.is_loopback(), private) {
        (true, ..) => Reach::Never,
        (false, true, _) => Reach::Loopback,
        (false, false, true) => Reach::Private,
        (false, false, false) => Reach::Public,
    }
}

/// The IPv4 address that an IPv6 address stands for.
fn hidden_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Compatible, translated, mapped, NAT64, 6to4.
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low]
        | [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, .., high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        // Teredo hides its client's address by inverting it.
        [0x2001, 0, .., high, low] => Some(v4(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(host: &str, address: &str) -> Result<(), Forbidden> {
        judge(&host.parse().unwrap(), address.parse().unwrap())
    }

    #[test]
    fn metadata_and_link_local_are_never_connected_to() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "ff02::1",
            "::",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001:0:1:2:3:4:5601:5601",
        ] {
            assert_eq!(
                verdict("erp.example.com", address),
                Err(Forbidden::Never),
                "{address}"
            );
            assert_eq!(verdict("localhost", address), Err(Forbidden::Never), "{address}");
        }
    }

    #[test]
    fn loopback_only_for_those_who_say_so() {
        for address in [
            "127.0.0.1",
            "127.8.9.10",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
        ] {
            assert_eq!(
                verdict("rebinding.example.com", address),
                Err(Forbidden::Loopback),
                "{address}"
            );
        }
        assert_eq!(verdict("localhost", "127.0.0.1"), Ok(()));
        assert_eq!(verdict("127.0.0.1", "127.0.0.1"), Ok(()));
        assert_eq!(verdict("[::1]", "::1"), Ok(()));
        assert_eq!(verdict("localhost", "93.184.216.34"), Err(Forbidden::Loopback));
    }

    #[test]
    fn networks_of_ones_own_are_told_from_the_rest() {
        for (address, wanted) in [
            ("10.1.2.3", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("192.168.0.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("fd12::1", Reach::Private),
            ("::ffff:10.1.2.3", Reach::Private),
            ("64:ff9b::c0a8:1", Reach::Private),
            ("127.0.0.1", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("169.254.169.254", Reach::Never),
            ("100.100.100.200", Reach::Never),
            ("fe80::1", Reach::Never),
            ("93.184.216.34", Reach::Public),
            ("100.128.0.1", Reach::Public),
            ("2606:2800:220:1::1", Reach::Public),
        ] {
            assert_eq!(reach(address.parse().unwrap()), wanted, "{address}");
        }
    }

    #[test]
    fn one_bad_answer_refuses_the_name() {
        let host: Host = "erp.example.com".parse().unwrap();
        let good: SocketAddr = "10.1.2.3:443".parse().unwrap();
        let bad: SocketAddr = "169.254.169.254:443".parse().unwrap();
        assert_eq!(checked(&host, vec![good]), Ok(vec![good]));
        assert_eq!(checked(&host, vec![good, bad]), Err(Forbidden::Never));
        assert_eq!(checked(&host, vec![]), Err(Forbidden::Unresolved));
    }
}
