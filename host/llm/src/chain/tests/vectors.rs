//! Texts whose vectors are wanted: by whom, at what cost, and of what length.

use super::*;

/// Gives these vectors, and says so many tokens of them.
struct Vectored(
    Vec<Vec<f32>>,
    Option<u64>,
    AtomicUsize,
    Price,
    Mutex<Vec<String>>,
);

#[async_trait::async_trait]
impl Provider for Vectored {
    fn id(&self) -> &str {
        "v"
    }
    fn model(&self, class: ModelClass) -> Option<&str> {
        (class == ModelClass::Embed).then_some("e")
    }
    fn price(&self, _: ModelClass) -> Option<Price> {
        Some(self.3)
    }
    async fn complete(&self, _: &Request) -> Result<Answer, Fault> {
        Err(Fault::new(Kind::Model, "none"))
    }
    async fn embed(&self, texts: &[String]) -> Result<Vectors, Fault> {
        self.2.fetch_add(1, Ordering::Relaxed);
        texts.clone_into(&mut self.4.lock().unwrap());
        let usage = self.1.map(|input_tokens| Usage {
            input_tokens,
            ..Usage::default()
        });
        Ok(Vectors {
            vectors: self.0.clone(),
            usage,
        })
    }
}

fn vectored(vectors: &[[f32; 2]], tokens: Option<u64>) -> (Arc<Vectored>, Paid) {
    let vectors: Vec<_> = vectors.iter().map(|vector| vector.to_vec()).collect();
    free_or(price(), vectors, tokens)
}

fn free_or(price: Price, vectors: Vec<Vec<f32>>, tokens: Option<u64>) -> (Arc<Vectored>, Paid) {
    let heard = Mutex::default();
    let provider = Arc::new(Vectored(vectors, tokens, AtomicUsize::new(0), price, heard));
    let chain = Chain::new(vec![provider.clone()], Settings::default());
    (provider, paid(chain))
}

#[tokio::test]
async fn they_have_length_one_and_are_asked_for_once() {
    let all = [[3.0, 4.0], [0.0, 0.0], [f32::MAX, f32::MAX], [0.1, 0.0]];
    let (provider, chain) = vectored(&all, Some(7));
    let texts: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
    let caller = chain.1.caller();
    let first = chain.0.embed(&texts, &caller).await.unwrap();
    assert_eq!(first.vectors[0], [0.6, 0.8]);
    assert_eq!(*provider.4.lock().unwrap(), texts);
    assert_eq!(first.vectors[1], [0.0, 0.0]);
    let half = 0.5_f32.sqrt();
    assert!(
        (first.vectors[2][0] - half).abs() < 1e-6,
        "{:?}",
        first.vectors
    );
    assert_eq!(first.vectors[3], [1.0, 0.0]);
    assert_eq!((first.provider.as_str(), first.model.as_str()), ("v", "e"));
    assert_eq!((first.cost, first.usage.input_tokens), (MicroUsd(7), 7));
    assert!(!first.simulated && !first.cached && first.attempts.is_empty());
    let again = chain.0.embed(&texts, &caller).await.unwrap();
    assert!(again.cached && !again.simulated);
    assert_eq!((again.cost, again.vectors), (MicroUsd::ZERO, first.vectors));
    assert_eq!(provider.2.load(Ordering::Relaxed), 1);
    assert!(chain.0.embed(&[], &caller).await.is_err());
    let only = chain.0.only("v").unwrap();
    assert!(!only.embed(&texts, &caller).await.unwrap().cached);
}

#[tokio::test]
async fn what_nobody_counted_is_booked_in_full_and_told() {
    let (_, chain) = vectored(&[[1.0, 0.0]], None);
    let texts = ["abcd".to_owned()];
    let caller = chain.1.caller();
    let planned = chain.0.first_cost_embed(&texts, &caller);
    assert_eq!(
        (planned.provider.as_str(), planned.model.as_str()),
        ("v", "e")
    );
    let answer = chain.0.embed(&texts, &caller).await.unwrap();
    assert!(answer.is_uncertain() && answer.cost == planned.most);
    assert_eq!(answer.attempts.len(), 1, "what is uncertain is told");
    assert!(planned.most >= MicroUsd(4));
    // What it once cost is paid; given again it is neither paid nor uncertain.
    let again = chain.0.embed(&texts, &caller).await.unwrap();
    assert!(again.cached && !again.is_uncertain());
}

#[tokio::test]
async fn of_what_is_free_it_is_certain_what_it_cost() {
    let (_, chain) = free_or(Price::FREE, vec![vec![1.0]], None);
    let texts = ["abcd".to_owned()];
    let answer = chain.0.embed(&texts, &chain.1.caller()).await.unwrap();
    assert!(!answer.is_uncertain() && answer.attempts.is_empty());
}

#[tokio::test]
async fn who_uses_all_that_can_be_used_is_believed() {
    // A text of a byte, and a token at each end of it.
    for (tokens, cost, uncertain) in [(2, 2, false), (3, 3, false), (4, 3, true)] {
        let (_, chain) = vectored(&[[1.0, 0.0]], Some(tokens));
        let texts = ["a".to_owned()];
        chain.0.embed(&texts, &chain.1.caller()).await.unwrap();
        assert_eq!(chain.1.closed(), [("v".to_owned(), cost, uncertain)]);
    }
}

#[test]
fn four_bytes_are_about_a_token() {
    use crate::chain::question::{Question, Texts};
    let texts = ["a".repeat(30), "b".repeat(10)];
    assert_eq!(Texts(&texts).about(&None), 10);
    let words = Request::new(
        ModelClass::Fast,
        vec![Message::text(Role::User, "a".repeat(40))],
        7,
    );
    let nobody = Scripted::new("a", vec![]);
    let viewer = crate::chain::question::Viewer {
        provider: nobody.as_ref(),
        redacts: false,
        redactor: None,
        without: crate::chain::question::Without::default(),
    };
    assert_eq!(words.about(&words.shown(viewer)), 17);
}
