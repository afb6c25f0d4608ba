//! To which addresses nothing may be sent: the host's own network, but for what the operator
//! allows, and the host itself whatever they allow.

use crate::network::{is_no_host, reserved};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Why an entry of the list is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address; expected one such as `10.0.0.7`, `10.0.0.0/8`, `127.0.0.1:9000` or `[::1]:9000`"
)]
pub struct GuardError(String);

#[derive(Clone, Copy, Debug)]
enum Allowed {
    Network(IpNet),
    Socket(SocketAddr),
}

impl Allowed {
    fn parse(text: &str) -> Option<Self> {
        let one = |address: IpAddr| Self::Network(IpNet::from(address.to_canonical()));
        text.parse()
            .map(Self::Network)
            .or_else(|_| text.parse().map(Self::Socket))
            .or_else(|_| text.parse().map(one))
            .ok()
    }

    fn has(self, address: SocketAddr) -> bool {
        match self {
            Self::Network(network) => network.contains(&address.ip()),
            Self::Socket(socket) => canonical(socket) == address,
        }
    }
}

/// Says where nothing may be sent.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Vec<Allowed>,
    own: Vec<SocketAddr>,
}

impl Guard {
    /// Lets through public addresses, and of the others those in `allowed`: addresses, networks,
    /// addresses with a port. `own` is where this host listens.
    ///
    /// # Errors
    /// [`GuardError`] for an entry that is none of these.
    pub fn new(allowed: &[String], own: Vec<SocketAddr>) -> Result<Self, GuardError> {
        let allowed = allowed
            .iter()
            .map(|text| Allowed::parse(text).ok_or_else(|| GuardError(text.clone())))
            .collect::<Result<_, _>>()?;
        Ok(Self { allowed, own })
    }

    /// The address to connect to, in its usual form, if that is allowed.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, address: SocketAddr) -> Result<SocketAddr, String> {
        let address = canonical(address);
        let ip = address.ip();
        if self.is_own(address, ip.is_loopback()) {
            return Err(own(address));
        }
        let Some(what) = reserved(ip) else {
            return Ok(address);
        };
        if !is_no_host(ip) && self.allowed.iter().any(|allowed| allowed.has(address)) {
            return Ok(address);
        }
        Err(format!(
            "{ip} is {what}; an operator can allow it with `allow_private` under [http]"
        ))
    }

    /// Whether a connection that was made leads out of this host, or to another of its services:
    /// of which interfaces are its own, only the system knows.
    ///
    /// # Errors
    /// Why it must not be used.
    pub fn connected(&self, peer: SocketAddr, local: SocketAddr) -> Result<(), String> {
        let (peer, local) = (canonical(peer), canonical(local));
        let here = peer.ip().is_loopback() || peer.ip() == local.ip();
        if self.is_own(peer, here) {
            return Err(own(peer));
        }
        Ok(())
    }

    fn is_own(&self, address: SocketAddr, here: bool) -> bool {
        self.own.iter().any(|own| {
            let own = canonical(*own);
            own.port() == address.port()
                && (own.ip() == address.ip() || (own.ip().is_unspecified() && here))
        })
    }
}

fn own(address: SocketAddr) -> String {
    format!("{address} is this host itself, which no plugin may call")
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &[&str], own: &[&str]) -> Guard {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        Guard::new(
            &allowed,
            own.iter().map(|own| own.parse().unwrap()).collect(),
        )
        .unwrap()
    }

    fn admits(guard: &Guard, address: &str) -> bool {
        guard.admit(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_what_is_public_or_allowed_is_admitted() {
        let none = guard(&[], &[]);
        assert!(admits(&none, "1.1.1.1:443") && !admits(&none, "10.0.0.1:443"));
        let some = guard(
            &["10.0.0.0/8", "127.0.0.1:9000", "[::1]:9000", "192.168.1.7"],
            &[],
        );
        for address in [
            "10.200.0.1:1",
            "127.0.0.1:9000",
            "[::ffff:127.0.0.1]:9000",
            "[::1]:9000",
            "192.168.1.7:22",
        ] {
            assert!(admits(&some, address), "{address}");
        }
        for address in [
            "127.0.0.1:9001",
            "127.0.0.2:9000",
            "[::1]:1",
            "192.168.1.8:22",
            "[64:ff9b::a00:1]:1",
            "169.254.169.254:80",
        ] {
            assert!(!admits(&some, address), "{address}");
        }
        let told = none
            .admit("169.254.169.254:80".parse().unwrap())
            .unwrap_err();
        assert!(
            told.contains("link-local") && told.contains("allow_private"),
            "{told}"
        );
    }

    #[test]
    fn no_list_opens_what_is_no_host() {
        let all = guard(&["0.0.0.0/0", "::/0"], &[]);
        assert!(admits(&all, "127.0.0.1:1") && admits(&all, "[fd00::1]:1"));
        for address in [
            "0.0.0.0:1",
            "0.1.1.1:1",
            "255.255.255.255:1",
            "224.0.0.1:1",
            "[::]:1",
            "[ff02::1]:1",
        ] {
            assert!(!admits(&all, address), "{address}");
        }
    }

    #[test]
    fn the_host_itself_is_refused_whatever_is_allowed() {
        let one = guard(&["127.0.0.0/8", "::1"], &["127.0.0.1:7300"]);
        assert!(!admits(&one, "127.0.0.1:7300") && !admits(&one, "[::ffff:127.0.0.1]:7300"));
        assert!(admits(&one, "127.0.0.1:7301") && admits(&one, "127.0.0.2:7300"));
        let all = guard(&["0.0.0.0/0", "::/0"], &["0.0.0.0:7300"]);
        assert!(!admits(&all, "127.0.0.2:7300") && !admits(&all, "[::1]:7300"));
        assert!(admits(&all, "10.0.0.5:7300"), "perhaps another machine");
        let connected = |peer: &str, local: &str| {
            all.connected(peer.parse().unwrap(), local.parse().unwrap())
                .is_ok()
        };
        assert!(
            !connected("10.0.0.5:7300", "10.0.0.5:51000"),
            "it is this one"
        );
        assert!(connected("10.0.0.5:7300", "10.0.0.9:51000"));
        assert!(
            connected("10.0.0.5:80", "10.0.0.5:51000"),
            "another service here"
        );
    }

    #[test]
    fn an_entry_that_is_no_address_is_named() {
        let error = Guard::new(&["localhost".to_owned()], Vec::new()).unwrap_err();
        assert!(
            error.to_string().starts_with("`localhost` is no address"),
            "{error}"
        );
    }
}
