//! The host dies at named points of an execution with steps of every kind; `make crash` takes all
//! of them, this a sample.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::points::run;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_the_same_wherever_it_dies() {
    let points = [
        "execution.after_end:1",
        "intent.after_commit:1",
        "http.after_answer:2",
        "park.before_commit:1",
        "effect.after_answer:1",
        "answer.before_commit:2",
    ];
    let (expected, runs) = futures::join!(
        run(&[]),
        futures::future::join_all(points.iter().map(|point| run(std::slice::from_ref(point))))
    );
    assert!(expected.wrong.is_empty(), "{:?}", expected.wrong);
    assert_eq!(expected.left.status, "succeeded");
    for (point, run) in points.iter().zip(runs) {
        assert_eq!(run.deaths, 1, "{point} was not passed");
        assert!(run.wrong.is_empty(), "{point}: {:?}", run.wrong);
        assert_eq!(run.left, expected.left, "{point}");
    }
}

/// A human who says that something did not happen lets it happen once, and not whenever the host
/// dies again: the fourth request is the mail, which is not idempotent.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_acted_on_once() {
    let run = run(&["http.before_send:4", "http.after_answer:1"]).await;
    assert_eq!(run.deaths, 2);
    assert!(run.wrong.is_empty(), "{:?}", run.wrong);
    assert_eq!(run.left.status, "succeeded");
}
