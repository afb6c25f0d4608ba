//! How fast acts are sealed, and how long it takes to verify many of them:
//! `cargo run --release --example audit_rate -- 100000`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mandate_kernel::audit::{Audit, verify_directory};
use mandate_store::{NewAct, Write, open_embedded};
use mandate_types::{Act, Actor, Timestamp};
use serde_json::json;
use std::time::Instant;

#[tokio::main]
async fn main() {
    let count: usize = std::env::args()
        .nth(1)
        .map_or(100_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let store = open_embedded(dir.path()).await.unwrap();
    let audit = Audit::open(store.clone(), dir.path()).await.unwrap();
    let begun = Instant::now();
    for portion in (0..count).collect::<Vec<_>>().chunks(1_000) {
        let acts = portion.iter().map(|n| {
            Write::Audit(Box::new(NewAct {
                at: Timestamp::now(),
                actor: Actor::host(),
                act: Act::GRANT_CHANGED,
                subject: format!("plugin/p-{n}"),
                tenant: None,
                data: json!({"before": {"limits": {"steps": n}}, "after": {"limits": {"steps": n + 1}}}),
            }))
        });
        store.commit(None, acts.collect()).await.unwrap();
    }
    println!("written   {:>8.3} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    audit.seal().await.unwrap();
    println!("sealed    {:>8.3} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let found = verify_directory(dir.path(), Vec::new(), None)
        .await
        .unwrap();
    println!(
        "verified  {:>8.3} s, {} acts",
        begun.elapsed().as_secs_f64(),
        found.verified.acts
    );
}
