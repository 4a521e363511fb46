//! From where a request comes: the connection says so, or a proxy of ours.

use crate::settings::{ForwardedField, Proxies};
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use amrutam_kernel::Network;
use ipnet::{IpNet, Ipv6Net};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// Networks hand out 64 bits to each customer, who can use any address in them.
const CUSTOMER_BITS: u8 = 64;

/// Where a caller is, as far as we know. Shown as what is counted: the address, or the customer's network (IPv6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(Option<IpAddr>);

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(IpAddr::V4(address)) => address.fmt(f),
            Some(IpAddr::V6(address)) => match Ipv6Net::new(address, CUSTOMER_BITS) {
                Ok(network) => network.trunc().fmt(f),
                Err(_) => address.fmt(f),
            },
            None => f.write_str("unknown"),
        }
    }
}

impl ClientAddress {
    /// As coarse as the audit trail keeps it.
    pub(crate) fn network(self) -> Option<Network> {
        self.0.map(Network::of)
    }
}

impl Proxies {
    /// The last party in the chain that is not a proxy of ours. Whatever it says of those before it may be made up.
    pub(crate) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> ClientAddress {
        let Some(mut client) = peer.map(|peer| peer.to_canonical()) else { return ClientAddress(None) };
        if self.trusts(client) {
            for hop in self.hops(headers).iter().rev() {
                // What can't be read was not written by a proxy of ours: the one that passed it on is as far as we see.
                let Some(address) = address(hop) else { break };
                client = address;
                if !self.trusts(client) {
                    break;
                }
            }
        }
        ClientAddress(Some(client))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network: &IpNet| network.contains(&address))
    }

    /// As written, the caller's first, each proxy's peer after it.
    fn hops(&self, headers: &HeaderMap) -> Vec<String> {
        let (name, read): (HeaderName, fn(&str) -> &str) = match self.field {
            ForwardedField::XForwardedFor => (X_FORWARDED_FOR, |element| element),
            ForwardedField::Forwarded => (FORWARDED, node),
        };
        let mut hops = Vec::new();
        for line in headers.get_all(name) {
            // A caller may send what is no text; what our proxy has added to it is.
            let line = String::from_utf8_lossy(line.as_bytes());
            // A quote that a caller has left open must not hide what our proxy has added; one of the fields has none at all.
            let quotes = self.field == ForwardedField::Forwarded && line.matches('"').count().is_multiple_of(2);
            let elements = split(&line, ',', quotes).map(str::trim).filter(|element| !element.is_empty());
            hops.extend(elements.map(|element| read(element).to_owned()));
        }
        hops
    }
}

/// The `for` of a `Forwarded` element, empty when it has none.
fn node(element: &str) -> &str {
    if !element.matches('"').count().is_multiple_of(2) {
        return "";
    }
    let pairs = split(element, ';', true).filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    nodes.next().map_or("", |(_, value)| value.trim().trim_matches('"'))
}

/// At each `separator`, outside of a quoted string where there are `quotes`.
fn split(text: &str, separator: char, quotes: bool) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        quoted ^= quotes && character == '"';
        character == separator && !quoted
    })
}

/// With or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    const PROXY: &str = "10.0.0.7";

    fn proxies(field: ForwardedField) -> Proxies {
        let trusted = ["10.0.0.0/8", "192.0.2.4/32", "fd00::/8"].map(|network| network.parse().unwrap());
        Proxies { trusted: trusted.into(), field }
    }

    fn seen(proxies: &Proxies, peer: &str, lines: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.client(Some(peer.parse().unwrap()), &headers).to_string()
    }

    #[test]
    fn only_our_proxies_are_believed_and_only_their_own_word() {
        let proxies = proxies(ForwardedField::XForwardedFor);
        for (peer, lines, client) in [
            // No proxy of ours: nothing it says counts.
            ("203.0.113.9", &["1.2.3.4"][..], "203.0.113.9"),
            ("203.0.113.9", &["10.0.0.1"], "203.0.113.9"),
            ("192.0.2.5", &["1.2.3.4"], "192.0.2.5"),
            // A proxy of ours: what it has added is the last.
            (PROXY, &["203.0.113.9"], "203.0.113.9"),
            (PROXY, &["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
            (PROXY, &["1.2.3.4", "203.0.113.9"], "203.0.113.9"),
            (PROXY, &["203.0.113.9", "1.2.3.4"], "1.2.3.4"),
            (PROXY, &["1.2.3.4,203.0.113.9,,"], "203.0.113.9"),
            ("192.0.2.4", &["203.0.113.9"], "203.0.113.9"),
            // Through two of ours; and a caller who names one of ours.
            (PROXY, &["1.2.3.4, 203.0.113.9, 192.0.2.4"], "203.0.113.9"),
            (PROXY, &["1.2.3.4, 10.0.0.1, 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
            (PROXY, &["10.0.0.1, 203.0.113.9"], "203.0.113.9"),
            // One of ours asks for itself.
            (PROXY, &[], PROXY),
            (PROXY, &[""], PROXY),
            (PROXY, &["10.0.0.1"], "10.0.0.1"),
            (PROXY, &["10.0.0.1, 192.0.2.4"], "10.0.0.1"),
            // What is no address is nobody's word.
            (PROXY, &["1.2.3.4, unknown"], PROXY),
            (PROXY, &["1.2.3.4, x, 192.0.2.4"], "192.0.2.4"),
            (PROXY, &["1.2.3.4, 999.1.1.1"], PROXY),
            (PROXY, &["1.2.3.4, 203.0.113.9 evil"], PROXY),
            (PROXY, &["\", 203.0.113.9"], "203.0.113.9"),
            (PROXY, &["1.2.3.4\", \"5.6.7.8, 203.0.113.9"], "203.0.113.9"),
            (PROXY, &["1.2.3.4, \u{fc}"], PROXY),
            (PROXY, &["1.2.3.4", "\u{fc}"], PROXY),
            (PROXY, &["1.2.3.4, \u{fc}, 203.0.113.9"], "203.0.113.9"),
            // Ports, brackets, and IPv4 in IPv6.
            (PROXY, &["203.0.113.9:1234"], "203.0.113.9"),
            (PROXY, &["[2001:db8:1:2:3::4]:1234"], "2001:db8:1:2::/64"),
            (PROXY, &["[2001:db8:1:2:3::4]"], "2001:db8:1:2::/64"),
            (PROXY, &["2001:db8:1:2:ffff::"], "2001:db8:1:2::/64"),
            (PROXY, &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.7", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:203.0.113.9", &["1.2.3.4"], "203.0.113.9"),
            ("fd00::1", &["203.0.113.9, fd12::1"], "203.0.113.9"),
            ("2001:db8:1:3::1", &["1.2.3.4"], "2001:db8:1:3::/64"),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            assert_eq!(seen(&proxies, peer, &lines), client, "{lines:?} by {peer}");
        }
    }

    #[test]
    fn forwarded_is_read_with_its_quotes_and_parameters() {
        let proxies = proxies(ForwardedField::Forwarded);
        for (line, client) in [
            ("for=203.0.113.9", "203.0.113.9"),
            ("For=\"203.0.113.9:47011\";proto=https;by=10.0.0.7", "203.0.113.9"),
            ("for=1.2.3.4, proto=https; for=\"[2001:db8:1:2::17]:4711\"", "2001:db8:1:2::/64"),
            ("for=1.2.3.4;host=\"a, for=5.6.7.8\", for=203.0.113.9", "203.0.113.9"),
            ("for=203.0.113.9;host=\"a, for=5.6.7.8\"", "203.0.113.9"),
            ("for=203.0.113.9;host=\"a; for=5.6.7.8\"", "203.0.113.9"),
            ("for=1.2.3.4, for=203.0.113.9, for=192.0.2.4", "203.0.113.9"),
            ("for=1.2.3.4, for=unknown", PROXY),
            ("for=1.2.3.4, for=_hidden, for=192.0.2.4", "192.0.2.4"),
            ("for=1.2.3.4, proto=https", PROXY),
            ("for=1.2.3.4, \"for=5.6.7.8", PROXY),
            ("for=1.2.3.4;x=\", for=203.0.113.9", "203.0.113.9"),
            ("for=\", for=\"[2001:db8:1:2::17]:4711\"", "2001:db8:1:2::/64"),
            ("for=1.2.3.4;x=\"\\\", for=203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(seen(&proxies, PROXY, &[("forwarded", line)]), client, "{line}");
            assert_eq!(seen(&proxies, "203.0.113.77", &[("forwarded", line)]), "203.0.113.77", "{line}");
        }
    }

    #[test]
    fn the_field_our_proxies_do_not_write_is_not_read() {
        let both = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=2.2.2.2"), ("x-real-ip", "3.3.3.3")];
        assert_eq!(seen(&proxies(ForwardedField::XForwardedFor), PROXY, &both), "1.1.1.1");
        assert_eq!(seen(&proxies(ForwardedField::Forwarded), PROXY, &both), "2.2.2.2");
        assert_eq!(seen(&Proxies::default(), PROXY, &both), PROXY);
    }

    #[test]
    fn who_comes_from_nowhere_is_one_caller() {
        assert_eq!(Proxies::default().client(None, &HeaderMap::new()).to_string(), "unknown");
    }
}
