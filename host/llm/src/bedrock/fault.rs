//! What a failure of the SDK or a refusal of Bedrock means.

use crate::exchange::chain_of;
use crate::fault::{Billed, Fault, Kind};
use crate::{pause, wire};
use aws_credential_types::provider::error::{CredentialsError, TokenError};
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::event_stream::{Message, RawMessage};
use serde_json::Value;
use std::error::Error;
use std::time::SystemTime;

/// What says that a model cannot be asked in this way or by this account.
const NO_MODEL: [&str; 5] = [
    "throughput isn",
    "inference profile",
    "model identifier is invalid",
    "access to the model",
    "end of its life",
];
/// What says that the request was too long for the model.
const TOO_LONG: [&str; 8] = [
    "input is too long",
    "prompt is too long",
    "too many input tokens",
    "exceeds the maximum number of tokens",
    "maximum tokens you requested exceeds",
    "exceed context limit",
    "context length",
    "context window",
];
/// What says that an account does not pay, or has used up what it may.
const SPENT: [&str; 4] = ["payment", "marketplace", "billing", "per day"];

/// The fault that a call of the SDK's failed with.
pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        // An answer that cannot be read is taken for an error of Bedrock's, too.
        SdkError::ServiceError(told) if !told.raw().status().is_success() => {
            refusal(told.raw(), Some(told.err().meta()))
        }
        SdkError::ResponseError(told) if !told.raw().status().is_success() => {
            refusal(told.raw(), None)
        }
        SdkError::DispatchFailure(_) => unsent(error),
        SdkError::TimeoutError(_) => Fault::arrived(Kind::Interrupted, chain_of(error)),
        SdkError::ConstructionFailure(_) => Fault::new(Kind::Request, chain_of(error)),
        _ => Fault::arrived(Kind::Garbled, chain_of(error)),
    }
}

/// Of what did not come to an answer: what the connector said, or why there is no key to send.
fn unsent(error: &(dyn Error + 'static)) -> Fault {
    let causes = || std::iter::successors(Some(error), |error| (*error).source());
    for cause in causes() {
        let is_missing = if let Some(wrong) = cause.downcast_ref::<CredentialsError>() {
            use CredentialsError::{CredentialsNotLoaded, InvalidConfiguration};
            matches!(wrong, CredentialsNotLoaded(_) | InvalidConfiguration(_))
        } else if let Some(wrong) = cause.downcast_ref::<TokenError>() {
            use TokenError::{InvalidConfiguration, TokenNotLoaded};
            matches!(wrong, TokenNotLoaded(_) | InvalidConfiguration(_))
        } else {
            continue;
        };
        let kind = if is_missing {
            Kind::Key
        } else {
            Kind::Connection
        };
        return Fault::new(kind, chain_of(error));
    }
    let ours = causes().find_map(|cause| cause.downcast_ref::<Fault>());
    ours.cloned()
        .unwrap_or_else(|| Fault::new(Kind::Connection, chain_of(error)))
}

fn refusal(
    response: &HttpResponse,
    told: Option<&aws_sdk_bedrockruntime::error::ErrorMetadata>,
) -> Fault {
    let header = |name: &str| response.headers().get(name);
    let retry_after = pause::of(header, SystemTime::now());
    let status = response.status().as_u16();
    let code = told.and_then(|told| told.code());
    let message = told.and_then(|told| told.message()).unwrap_or_default();
    match code.and_then(|code| Some((code, kind(code, message)?))) {
        Some((code, kind)) => Fault {
            retry_after,
            ..refused(kind, code, message)
        },
        None => {
            let body = response.body().bytes().unwrap_or_default();
            wire::refusal(status, body, retry_after)
        }
    }
}

fn refused(kind: Kind, code: &str, message: &str) -> Fault {
    let mut fault = Fault::new(kind, wire::limited(&format!("{code}: {message}")));
    if kind == Kind::Interrupted {
        // The model worked on it.
        fault.billed = Billed::Unknown;
    }
    fault
}

/// What an error of Bedrock's means; none if it is not known here.
fn kind(code: &str, message: &str) -> Option<Kind> {
    let said = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // In streams they begin with a small letter.
    let kind = match code.to_ascii_lowercase().as_str() {
        "throttlingexception" | "toomanyrequestsexception" if has(&SPENT) => Kind::Spent,
        "validationexception" if has(&NO_MODEL) => Kind::Model,
        "validationexception" if has(&TOO_LONG) => Kind::TooLong,
        "validationexception" => Kind::Request,
        "accessdeniedexception" if has(&SPENT) => Kind::Spent,
        "accessdeniedexception" if has(&NO_MODEL) => Kind::Model,
        "accessdeniedexception"
        | "unrecognizedclientexception"
        | "invalidsignatureexception"
        | "expiredtokenexception"
        | "missingauthenticationtokenexception" => Kind::Key,
        "resourcenotfoundexception" => Kind::Model,
        "modeltimeoutexception" => Kind::Interrupted,
        "throttlingexception"
        | "toomanyrequestsexception"
        | "internalserverexception"
        | "modelerrorexception"
        | "modelnotreadyexception"
        | "modelstreamerrorexception"
        | "servicequotaexceededexception"
        | "serviceunavailableexception" => Kind::Busy,
        _ => return None,
    };
    Some(kind)
}

/// The fault that ended a stream; `begun`: the model had begun to answer.
pub fn of_stream<E>(error: &SdkError<E, RawMessage>, begun: bool) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let told = match error {
        SdkError::ServiceError(told) => Some(told.raw()),
        SdkError::ResponseError(told) => Some(told.raw()),
        _ => None,
    };
    match told {
        Some(RawMessage::Decoded(event)) => match event_error(event) {
            Some((code, message)) => {
                let kind = kind(&code, &message).unwrap_or(Kind::Interrupted);
                let mut fault = refused(kind, &code, &message);
                if begun {
                    fault.billed = Billed::Unknown;
                }
                fault
            }
            None => Fault::arrived(Kind::Garbled, chain_of(error)),
        },
        // What is left over when a stream ends; a whole frame that is broken leaves nothing.
        Some(RawMessage::Invalid(None)) => Fault::arrived(Kind::Garbled, chain_of(error)),
        _ => Fault::arrived(Kind::Interrupted, chain_of(error)),
    }
}

/// Code and message of an event that is an error.
fn event_error(event: &Message) -> Option<(String, String)> {
    let header = |name: &str| {
        let mut headers = event.headers().iter();
        let header = headers.find(|header| header.name().as_str() == name)?;
        let text = header.value().as_string().ok()?;
        Some(text.as_str().to_owned())
    };
    let code = header(":exception-type").or_else(|| header(":error-code"))?;
    let payload: Value = serde_json::from_slice(event.payload()).unwrap_or_default();
    let said = payload.get("message").and_then(Value::as_str);
    let message = said
        .map(str::to_owned)
        .or_else(|| header(":error-message"))
        .unwrap_or_default();
    Some((code, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_taken_for_what_it_is() {
        for (code, message, expected) in [
            (
                "ThrottlingException",
                "Too many requests, please wait",
                Kind::Busy,
            ),
            (
                "ThrottlingException",
                "Too many tokens per day, please wait",
                Kind::Spent,
            ),
            ("throttlingException", "slow down", Kind::Busy),
            (
                "ValidationException",
                "Malformed input request",
                Kind::Request,
            ),
            (
                "ValidationException",
                "Invocation of model ID x with on-demand throughput isn\u{2019}t supported. Retry your request with the ID or ARN of an inference profile that contains this model.",
                Kind::Model,
            ),
            (
                "ValidationException",
                "The provided model identifier is invalid.",
                Kind::Model,
            ),
            (
                "ValidationException",
                "Input is too long for requested model.",
                Kind::TooLong,
            ),
            (
                "ValidationException",
                "prompt is too long: 210000 tokens > 200000 maximum",
                Kind::TooLong,
            ),
            (
                "AccessDeniedException",
                "User x is not authorized to perform: bedrock:InvokeModel",
                Kind::Key,
            ),
            (
                "AccessDeniedException",
                "You don't have access to the model with the specified model ID.",
                Kind::Model,
            ),
            (
                "AccessDeniedException",
                "INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided",
                Kind::Spent,
            ),
            ("ResourceNotFoundException", "", Kind::Model),
            ("ModelTimeoutException", "", Kind::Interrupted),
            ("ModelNotReadyException", "", Kind::Busy),
            ("ServiceUnavailableException", "", Kind::Busy),
            ("InternalServerException", "", Kind::Busy),
            ("ModelErrorException", "", Kind::Busy),
            ("ServiceQuotaExceededException", "", Kind::Busy),
            (
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
                Kind::Key,
            ),
        ] {
            assert_eq!(kind(code, message), Some(expected), "{code} {message}");
        }
        assert_eq!(kind("NewException", ""), None);
    }
}
