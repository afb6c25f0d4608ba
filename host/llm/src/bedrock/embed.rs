//! Vectors from Titan, which takes one text at a time.

use super::fault;
use crate::Usage;
use crate::fault::{Billed, Fault, Kind};
use crate::wire::Vectors;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::primitives::Blob;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;

/// So many texts are on their way at once.
const AT_ONCE: usize = 4;
const JSON: &str = "application/json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    embedding: Vec<f32>,
    input_text_token_count: Option<u64>,
}

/// One vector per text, in order.
///
/// # Errors
/// [`Fault`] of the first text that failed, billed for the others too.
pub async fn vectors(client: &Client, model: &str, texts: &[String]) -> Result<Vectors, Fault> {
    let mut vectors = Vec::with_capacity(texts.len());
    // None once somebody did not say it.
    let mut used = Some(0);
    // A group after the other: once one fails, nobody is on his way whose bill nobody knows.
    for group in texts.chunks(AT_ONCE) {
        let asked = group.iter().map(|text| vector(client, model, text));
        let mut failed: Vec<Fault> = Vec::new();
        for said in join_all(asked).await {
            match said {
                Ok(said) => {
                    used = used.zip(said.input_text_token_count).map(|(a, b)| a + b);
                    vectors.push(said.embedding);
                }
                Err(fault) => failed.push(fault),
            }
        }
        if let Some(first) = failed.first() {
            let mut billed = match used {
                Some(0) => Billed::Nothing,
                Some(tokens) => Billed::Used(usage(tokens)),
                None => Billed::Unknown,
            };
            if failed.iter().any(|fault| fault.billed != Billed::Nothing) {
                billed = Billed::Unknown;
            }
            return Err(Fault {
                billed,
                ..first.clone()
            });
        }
    }
    Ok(Vectors {
        vectors,
        usage: used.map(usage),
    })
}

fn usage(tokens: u64) -> Usage {
    Usage {
        input_tokens: tokens,
        ..Usage::default()
    }
}

async fn vector(client: &Client, model: &str, text: &str) -> Result<Said, Fault> {
    let body = json!({"inputText": text}).to_string();
    let said = client
        .invoke_model()
        .model_id(model)
        .content_type(JSON)
        .accept(JSON)
        .body(Blob::new(body))
        .send()
        .await
        .map_err(|error| fault::of(&error))?;
    let said: Said = serde_json::from_slice(said.body.as_ref()).map_err(|error| {
        let told = format!("the answer is no vector: {error}");
        Fault::arrived(Kind::Garbled, told)
    })?;
    if !said.embedding.iter().all(|number| number.is_finite()) {
        let told = "the answer is no vector: a number is not finite";
        return Err(Fault::arrived(Kind::Garbled, told));
    }
    Ok(said)
}
