//! The head of a request: what the plugin says of it, what it may not say, the secrets, and what is
//! signed with them.

use crate::mask::Mask;
use crate::secrets::Secrets;
use crate::send::{Request, SendError};
use crate::template::{Part, parts};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

const MOST: usize = 64;
const MOST_BYTES: usize = 32 << 10;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What says where a message ends, or who is connected to whom, is the host's.
const OWN: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// With these an answer could hold a secret that nobody finds in it.
const HIDING: [HeaderName; 3] = [header::ACCEPT_ENCODING, header::RANGE, header::IF_RANGE];

/// The head to send, and what is to be taken out of the answer.
pub async fn head(request: &Request, secrets: &Secrets) -> Result<(HeaderMap, Mask), SendError> {
    let invalid = |reason: String| SendError::Invalid(format!("headers: {reason}"));
    let size = |(name, value): &(String, String)| name.len() + value.len();
    if request.headers.len() > MOST || request.headers.iter().map(size).sum::<usize>() > MOST_BYTES
    {
        return Err(invalid(format!(
            "at most {MOST} are sent, of {MOST_BYTES} bytes together"
        )));
    }
    let (mut head, mut mask) = (HeaderMap::new(), Mask::default());
    for (name, value) in &request.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid(format!("`{name}` is no name of a header")))?;
        if OWN.contains(&key.as_str()) {
            return Err(invalid(format!("`{name}` is set by the host alone")));
        }
        let value = filled(value, request, secrets, &mut mask).await?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            invalid(format!(
                "the value of `{name}` has other characters than visible ASCII"
            ))
        })?;
        value.set_sensitive(true);
        head.append(key, value);
    }
    if !mask.is_empty()
        && let Some(hiding) = HIDING.iter().find(|name| head.contains_key(*name))
    {
        return Err(invalid(format!(
            "`{hiding}` is not sent together with a secret: the answer could not be looked through"
        )));
    }
    if !head.contains_key(header::USER_AGENT) {
        head.insert(header::USER_AGENT, HeaderValue::from_static("mandate"));
    }
    if let Some(key) = &request.idempotency_key
        && !head.contains_key(IDEMPOTENCY_KEY)
    {
        let key = HeaderValue::from_str(key)
            .map_err(|_| SendError::Invalid("the idempotency key is no header".to_owned()))?;
        head.insert(IDEMPOTENCY_KEY, key);
    }
    let host = HeaderValue::from_str(&request.target.authority())
        .map_err(|_| SendError::Invalid("url: the host is no header".to_owned()))?;
    head.insert(header::HOST, host);
    head.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok((head, mask))
}

/// `value` with its secrets put in, each of which may go to the target.
async fn filled(
    value: &str,
    request: &Request,
    secrets: &Secrets,
    mask: &mut Mask,
) -> Result<String, SendError> {
    let mut filled = String::with_capacity(value.len());
    for part in parts(value).map_err(SendError::Invalid)? {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Secret(name) => {
                let value = secret(name, request, secrets).await?;
                mask.add(name, &value);
                filled.push_str(&value);
            }
            // Nothing of the secret leaves the host, so nothing has to be taken out of the answer.
            Part::Signature(name) => {
                let key = secret(name, request, secrets).await?;
                filled.push_str(&signature(
                    &key,
                    request.body.as_deref().unwrap_or_default(),
                )?);
            }
        }
    }
    Ok(filled)
}

/// The value of a secret that may go to the target.
async fn secret(name: &str, request: &Request, secrets: &Secrets) -> Result<String, SendError> {
    secrets
        .admit(name, &request.target)
        .map_err(SendError::secret)?;
    secrets.value(name).await.map_err(SendError::secret)
}

/// HMAC-SHA256 of `body`, in hexadecimal.
fn signature(key: &str, body: &[u8]) -> Result<String, SendError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .map_err(|error| SendError::Invalid(format!("headers: {error}")))?;
    mac.update(body);
    Ok(hex::encode(mac.finalize().into_bytes()))
}
