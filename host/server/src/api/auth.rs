//! Who calls, and what they may do and see. A tenant that is not the caller's does not exist
//! for the caller: its things are not found, rather than forbidden.

use super::Api;
use super::error::{ApiError, ApiResult};
use super::limit::Rates;
use super::sign_in::SignIns;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use mandate_store::{Principal, SharedStore};
use mandate_types::{Digest, Problem, Role, TenantId, Timestamp};
use sha2::{Digest as _, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a principal is believed without looking again. Changes on this host count at once.
const BELIEVED: Duration = Duration::from_secs(5);
const MOST_KNOWN: u64 = 10_000;

/// SHA-256 of a token.
pub type TokenKey = [u8; 32];

/// Finds out who calls.
pub struct Door {
    store: SharedStore,
    known: moka::future::Cache<TokenKey, (u64, Arc<Principal>)>,
    /// Goes up with each change of principals: whom we read before it is not known any more,
    /// however late that was kept.
    generation: AtomicU64,
    rates: Rates,
    sign_ins: SignIns,
    changing: tokio::sync::Mutex<()>,
}

impl Door {
    /// A door to what `store` knows.
    pub fn new(store: SharedStore, rates: Rates) -> Self {
        let known = moka::future::Cache::builder()
            .max_capacity(MOST_KNOWN)
            .time_to_live(BELIEVED)
            .build();
        Self {
            sign_ins: SignIns::new(store.clone()),
            store,
            known,
            generation: AtomicU64::new(0),
            rates,
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Forgets whom it knows: somebody's rights changed.
    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// To be held by whoever looks at the principals in order to change them.
    pub async fn changing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// How often callers may ask.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Who has this token now; none if nobody has, or not any more.
    ///
    /// # Errors
    /// When the database does not answer, or strangers come too often from `peer`.
    pub async fn principal(
        &self,
        key: &TokenKey,
        peer: Option<IpAddr>,
    ) -> ApiResult<Option<Caller>> {
        let generation = self.generation.load(Ordering::Acquire);
        let known = self.known.get(key).await;
        let mut looked_up = false;
        let principal = match known {
            Some((then, principal)) if then == generation => principal,
            _ => {
                if let Some(peer) = peer {
                    self.rates.stranger(peer)?;
                }
                let digest = Digest::parse(&hex::encode(key))
                    .map_err(|error| Problem::internal(error.to_string()))?;
                let Some(found) = self.store.principal_by_token(&digest).await? else {
                    return Ok(None);
                };
                let found = Arc::new(found);
                looked_up = true;
                self.known.insert(*key, (generation, found.clone())).await;
                found
            }
        };
        let end = principal.expires_at;
        let expired = end.is_some_and(|end| end <= Timestamp::now());
        if expired {
            return Ok(None);
        }
        if looked_up {
            self.sign_ins.came(*key, &principal, peer).await;
        }
        Ok(Some(Caller(principal)))
    }

    /// Who calls with this token, if they do not call too often.
    ///
    /// # Errors
    /// 401 for nobody, 429 for too often.
    pub async fn enter(&self, key: &TokenKey, peer: Option<IpAddr>) -> ApiResult<Caller> {
        let caller = self.principal(key, peer).await?.ok_or_else(|| {
            self.sign_ins.refused(peer);
            Problem::unauthorized("the token is not one of this host, or has ended or was removed")
        })?;
        self.rates.principal(&caller.name)?;
        Ok(caller)
    }
}

/// The key of a token.
pub fn token_key(token: &str) -> TokenKey {
    Sha256::digest(token.as_bytes()).into()
}

/// The token of the `Authorization` header.
///
/// # Errors
/// 401 when there is none, or it is of another scheme.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(Problem::unauthorized(
            "send the header `Authorization: Bearer TOKEN`; the administrator's token is in the data directory, in `admin.token`",
        ));
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| Problem::unauthorized("expected the header `Authorization: Bearer TOKEN`"))
}

/// Where a request comes from, if the listener says so.
pub fn peer(parts: &Parts) -> Option<IpAddr> {
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip())
}

/// A principal who is known and may come in.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Principal>);

impl Deref for Caller {
    type Target = Principal;
    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl Caller {
    /// Checks the role.
    ///
    /// # Errors
    /// 403 that names the role it takes.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "this takes the role {role}, and `{}` has the role {}",
            self.name, self.role
        )))
    }

    /// Whether nothing is hidden: operators and admins who are bound to no tenant. Others who
    /// are bound to none have the tenant `default` only.
    pub fn sees_all(&self) -> bool {
        self.tenants.is_empty() && self.role >= Role::Operator
    }

    /// The tenants the caller may see; none is all.
    pub fn tenants(&self) -> Option<Vec<TenantId>> {
        if self.sees_all() {
            None
        } else if self.tenants.is_empty() {
            Some(vec![TenantId::default_tenant()])
        } else {
            Some(self.tenants.clone())
        }
    }

    /// Whether the caller may see what belongs to `tenant`.
    pub fn sees(&self, tenant: &TenantId) -> bool {
        self.sees_all()
            || self.tenants.contains(tenant)
            || (self.tenants.is_empty() && tenant.as_str() == "default")
    }

    /// For whom the caller works: the tenant that was named, or the only one, or `default`.
    ///
    /// # Errors
    /// 404 for a tenant of others, 422 when one must be named.
    pub fn tenant(&self, named: Option<TenantId>) -> Result<TenantId, Problem> {
        let default = TenantId::default_tenant();
        match (named, self.tenants.as_slice()) {
            (Some(named), _) if self.sees(&named) => Ok(named),
            (Some(named), _) => Err(Problem::not_found(format!("tenant `{named}`"))),
            (None, [only]) => Ok(only.clone()),
            (None, _) if self.sees(&default) => Ok(default),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(TenantId::as_str).collect();
                Err(Problem::invalid_field(
                    "tenant",
                    format!("one of {}", names.join(", ")),
                ))
            }
        }
    }

    /// The tenants of a listing: the one that was named, or all that the caller may see.
    ///
    /// # Errors
    /// 404 for a tenant of others.
    pub fn scope(&self, named: Option<TenantId>) -> Result<Option<Vec<TenantId>>, Problem> {
        match named {
            Some(named) => self.tenant(Some(named)).map(|tenant| Some(vec![tenant])),
            None => Ok(self.tenants()),
        }
    }
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        pub struct $name(pub Caller);

        impl Deref for $name {
            type Target = Caller;
            fn deref(&self) -> &Caller {
                &self.0
            }
        }

        impl FromRequestParts<Api> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
                let key = token_key(bearer(&parts.headers)?);
                let caller = api.door.enter(&key, peer(parts)).await?;
                caller.require(Role::$name)?;
                Ok(Self(caller))
            }
        }
    )+};
}

roles! {
    /// A caller who may read.
    Viewer
    /// A caller who may submit tasks, call tools and write records.
    Client
    /// A caller who may answer decisions and questions.
    Approver
    /// A caller who may install and grant.
    Operator
    /// A caller who may make and remove tokens.
    Admin
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use mandate_types::PrincipalName;

    fn caller(role: Role, tenants: &[&str]) -> Caller {
        Caller(Arc::new(Principal {
            name: PrincipalName::parse("p").unwrap(),
            role,
            tenants: tenants.iter().map(|t| tenant(t)).collect(),
            token: Digest::of(b""),
            created_at: Timestamp::from_micros(0),
            expires_at: None,
        }))
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    #[test]
    fn another_tenant_does_not_exist() {
        let one = caller(Role::Admin, &["acme"]);
        assert!(one.sees(&tenant("acme")) && !one.sees(&tenant("default")));
        assert_eq!(one.tenant(None).unwrap(), tenant("acme"));
        assert_eq!(one.tenant(Some(tenant("other"))).unwrap_err().status, 404);
        assert_eq!(one.scope(Some(tenant("other"))).unwrap_err().status, 404);
        assert_eq!(one.scope(None).unwrap(), Some(vec![tenant("acme")]));
    }

    #[test]
    fn only_operators_without_tenants_see_all() {
        let all = caller(Role::Operator, &[]);
        assert!(all.sees(&tenant("acme")) && all.tenants().is_none());
        assert_eq!(all.tenant(None).unwrap(), tenant("default"));
        let bound = caller(Role::Client, &[]);
        assert!(bound.sees(&tenant("default")) && !bound.sees(&tenant("acme")));
        assert_eq!(bound.tenants(), Some(vec![tenant("default")]));
    }

    #[test]
    fn who_has_several_tenants_names_one() {
        let two = caller(Role::Client, &["acme", "beta"]);
        let problem = two.tenant(None).unwrap_err();
        assert_eq!(problem.status, 422);
        assert!(problem.detail.contains("acme, beta"), "{}", problem.detail);
        assert_eq!(two.tenant(Some(tenant("beta"))).unwrap(), tenant("beta"));
        assert_eq!(
            caller(Role::Client, &["acme", "default"])
                .tenant(None)
                .unwrap(),
            tenant("default")
        );
    }

    #[test]
    fn a_role_includes_those_before_it() {
        assert!(caller(Role::Admin, &[]).require(Role::Viewer).is_ok());
        let problem = caller(Role::Viewer, &[]).require(Role::Client).unwrap_err();
        assert!(problem.status == 403 && problem.detail.contains("client"));
    }

    #[test]
    fn tokens_come_as_bearer() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))])
        };
        assert_eq!(bearer(&headers("Bearer abc")).unwrap(), "abc");
        assert_eq!(bearer(&headers("bearer  abc ")).unwrap(), "abc");
        for bad in ["Basic abc", "abc", "Bearer "] {
            assert_eq!(bearer(&headers(bad)).unwrap_err().status, 401, "{bad}");
        }
        assert_eq!(bearer(&HeaderMap::new()).unwrap_err().status, 401);
        assert_eq!(hex::encode(token_key("abc")), Digest::of(b"abc").as_str());
    }
}
