//! From a name to addresses, once for each request.

use async_trait::async_trait;
use std::io;
use std::net::SocketAddr;

/// Who knows the addresses of names.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of `host`, each with `port`.
    ///
    /// # Errors
    /// When the name is not known, or nobody answers.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's own: hosts file, DNS and whatever else it is set to ask.
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}
