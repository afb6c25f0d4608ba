//! What a model of Bedrock thought, as JSON there and back: it wants to hear it again with the calls
//! that came of it.

use aws_sdk_bedrockruntime::error::BuildError;
use aws_sdk_bedrockruntime::types::{ContentBlock, ReasoningContentBlock, ReasoningTextBlock};
use aws_smithy_types::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

/// Thoughts that can be read, with the signature that says whose they are.
pub fn readable(text: &str, signature: Option<&str>) -> Value {
    let thought = match signature {
        Some(signature) => json!({"text": text, "signature": signature}),
        None => json!({"text": text}),
    };
    json!({"reasoningContent": {"reasoningText": thought}})
}

/// Thoughts that only their model can read.
pub fn sealed(bytes: &[u8]) -> Value {
    json!({"reasoningContent": {"redactedContent": BASE64.encode(bytes)}})
}

/// As the SDK says it; none of what is no thought.
///
/// # Errors
/// Never: the SDK's word for a field that is not there.
pub fn back(said: &Value) -> Result<Option<ContentBlock>, BuildError> {
    let Some(said) = said.get("reasoningContent") else {
        return Ok(None);
    };
    let text = |place: &str| said.pointer(place).and_then(Value::as_str);
    let thought = if let Some(thought) = text("/reasoningText/text") {
        let signature = text("/reasoningText/signature").map(str::to_owned);
        let thought = ReasoningTextBlock::builder()
            .text(thought)
            .set_signature(signature);
        ReasoningContentBlock::ReasoningText(thought.build()?)
    } else {
        let sealed = text("/redactedContent").and_then(|sealed| BASE64.decode(sealed).ok());
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        ReasoningContentBlock::RedactedContent(Blob::new(sealed))
    };
    Ok(Some(ContentBlock::ReasoningContent(thought)))
}
