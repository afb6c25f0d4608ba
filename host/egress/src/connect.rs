//! A connection to an address that was looked at, with TLS where the URL says so.

use crate::guard::Guard;
use crate::resolve::Resolver;
use crate::send::SendError;
use mandate_policy::http::Target;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use url::Host;

/// How long one address may take before the next is tried.
const CONNECT: Duration = Duration::from_secs(10);
/// A name may have so many addresses; more are not tried.
const MOST_ADDRESSES: usize = 8;

/// Bytes to and from the other side.
pub trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// Makes connections.
pub struct Connector {
    guard: Guard,
    resolver: Arc<dyn Resolver>,
    tls: OnceCell<TlsConnector>,
}

impl Connector {
    /// Connects to where `guard` lets through; `resolver` knows names.
    pub fn new(guard: Guard, resolver: Arc<dyn Resolver>) -> Self {
        Self {
            guard,
            resolver,
            tls: OnceCell::new(),
        }
    }

    /// A connection to `target`. Names are resolved once, and it is their addresses that are
    /// looked at and connected to: a name that means another host a moment later changes nothing.
    pub async fn connect(&self, target: &Target) -> Result<Pin<Box<dyn Stream>>, SendError> {
        let stream = self.reach(target, self.addresses(target).await?).await?;
        if !target.is_https() {
            return Ok(Box::pin(stream));
        }
        let name = match target.host() {
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|_| SendError::Invalid(format!("url: `{name}` is no name for TLS")))?,
            Host::Ipv4(address) => ServerName::IpAddress((*address).into()),
            Host::Ipv6(address) => ServerName::IpAddress((*address).into()),
        };
        let tls = self.tls.get_or_try_init(tls).await?;
        let stream = tls.connect(name, stream).await.map_err(|error| {
            SendError::Unavailable(format!("no TLS with `{}`: {error}", target.origin()))
        })?;
        Ok(Box::pin(stream))
    }

    /// The addresses of `target` to which the guard lets through.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, SendError> {
        let port = target.port();
        let known = match target.host() {
            Host::Ipv4(address) => vec![SocketAddr::from((*address, port))],
            Host::Ipv6(address) => vec![SocketAddr::from((*address, port))],
            Host::Domain(name) => {
                let unknown = |reason: String| {
                    SendError::Unavailable(format!("`{name}` has no address: {reason}"))
                };
                let known = self.resolver.resolve(name, port).await;
                let known = known.map_err(|error| unknown(error.to_string()))?;
                if known.is_empty() {
                    return Err(unknown("it is known without one".to_owned()));
                }
                known
            }
        };
        let mut refused = None;
        let mut admitted = Vec::new();
        for address in known {
            match self.guard.admit(address) {
                Ok(address) => admitted.push(address),
                Err(reason) => refused = refused.or(Some(reason)),
            }
        }
        match refused {
            Some(reason) if admitted.is_empty() => Err(SendError::guard(format!(
                "sending to `{}`: {reason}",
                target.origin()
            ))),
            _ => Ok(admitted),
        }
    }

    async fn reach(
        &self,
        target: &Target,
        addresses: Vec<SocketAddr>,
    ) -> Result<TcpStream, SendError> {
        let mut last = "it has no address".to_owned();
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            let stream = match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    last = error.to_string();
                    continue;
                }
                Err(_) => {
                    last = format!("no answer in {} s", CONNECT.as_secs());
                    continue;
                }
            };
            let ends = stream
                .peer_addr()
                .and_then(|peer| Ok((peer, stream.local_addr()?)));
            let Ok((peer, local)) = ends else {
                "the connection broke off".clone_into(&mut last);
                continue;
            };
            self.guard
                .connected(peer, local)
                .map_err(SendError::guard)?;
            // A socket that cannot is used all the same.
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
        Err(SendError::Unavailable(format!(
            "`{}` does not answer: {last}",
            target.origin()
        )))
    }
}

/// TLS with the authorities that this machine trusts; read at the first request that needs it.
async fn tls() -> Result<TlsConnector, SendError> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let found = found.map_err(|lost| SendError::Unavailable(lost.to_string()))?;
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        return Err(SendError::Unavailable(
            "this machine trusts no certificate authority: install `ca-certificates`, or name a file of them in SSL_CERT_FILE".to_owned(),
        ));
    }
    trusting(roots)
}

/// TLS that believes these authorities and no others.
fn trusting(roots: RootCertStore) -> Result<TlsConnector, SendError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SendError::Unavailable(format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use std::io;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    struct Here;

    #[async_trait::async_trait]
    impl Resolver for Here {
        async fn resolve(&self, _: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        }
    }

    /// A server that is `good.example`, and connectors that know its authority, or none.
    async fn server() -> (u16, Connector, Connector) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["good.example".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Who does not trust it goes away.
                let _ = acceptor.accept(stream).await;
            }
        });
        let connector = |trusted: bool| {
            let mut roots = RootCertStore::empty();
            if trusted {
                roots.add(cert.der().clone()).unwrap();
            }
            let guard = Guard::new(&["127.0.0.1".to_owned()], Vec::new()).unwrap();
            let mut connector = Connector::new(guard, Arc::new(Here));
            connector.tls = OnceCell::new_with(Some(trusting(roots).unwrap()));
            connector
        };
        (port, connector(true), connector(false))
    }

    #[tokio::test]
    async fn tls_is_with_the_host_that_was_named_and_trusted() {
        let (port, trusting, doubting) = server().await;
        let to = |name: &str| Target::parse(&format!("https://{name}:{port}/")).unwrap();
        assert!(trusting.connect(&to("good.example")).await.is_ok());
        for (connector, name) in [
            (&trusting, "evil.example"),
            (&trusting, "127.0.0.1"),
            (&doubting, "good.example"),
        ] {
            let Err(told) = connector.connect(&to(name)).await else {
                panic!("{name} was believed");
            };
            assert!(told.to_string().contains("certificate"), "{told}");
        }
    }
}
