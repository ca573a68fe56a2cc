//! The settings that a kernel would read.

use std::net::IpAddr;

use elone_gate::Network;

/// What `ip=` says; a value that cannot be read is reported and DHCP used, as at a boot.
pub(super) fn network(settings: &str) -> Network {
    let pairs = settings.split_ascii_whitespace().rev();
    let Some(value) = pairs.filter_map(|pair| pair.strip_prefix("ip=")).next() else {
        return Network::Dhcp;
    };
    if value == "dhcp" {
        return Network::Dhcp;
    }
    by_hand(value).unwrap_or_else(|| {
        log::warn!("the setting ip={value} is not ADDRESS/PREFIX[,GATEWAY[,DNS]]: using DHCP");
        Network::Dhcp
    })
}

fn by_hand(value: &str) -> Option<Network> {
    let mut parts = value.split(',');
    let (address, prefix) = parts.next()?.split_once('/')?;
    let (address, prefix) = (address.parse().ok()?, prefix.parse().ok()?);
    let mut next = || parts.next().map(str::parse::<IpAddr>).transpose().ok();
    let (gateway, dns) = (next()?, next()?);
    parts.next().is_none().then_some(Network::Static { address, prefix, gateway, dns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_what_follows() {
        let expected = Network::Static {
            address: "10.0.2.15".parse().unwrap(),
            prefix: 24,
            gateway: Some("10.0.2.2".parse().unwrap()),
            dns: None,
        };
        assert_eq!(network("log=info ip=10.0.2.15/24,10.0.2.2"), expected);
    }

    #[test]
    fn nonsense_falls_back_to_dhcp() {
        for value in ["ip=", "ip=10.0.2.15", "ip=1.2.3.4/x", "ip=1.2.3.4/24,,", "ip=1.2.3.4/8,a"] {
            assert_eq!(network(value), Network::Dhcp, "{value}");
        }
    }
}
