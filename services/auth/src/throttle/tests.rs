use onboard_http::Kind;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

fn client(n: u8) -> Client {
    Client::at([198, 51, 100, n].into())
}

/// Fails once; the problem, or how long it waited.
async fn fail(throttle: &Throttle, email: &str, client: Client) -> Result<Duration, Problem> {
    let begun = Instant::now();
    throttle.admit_login(email, client).await?.failed();
    Ok(begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn twenty_failures_of_one_network_are_free_and_then_it_must_wait() {
    let throttle = Throttle::new();
    for _ in 0..20 {
        fail(&throttle, ADA, client(1)).await.unwrap();
    }
    let refused = throttle.admit_login(ADA, client(1)).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::RateLimited);
    for (other, network) in [(BOB, 1), (ADA, 2)] {
        assert!(throttle.admit_login(other, client(network)).await.is_ok());
    }
    tokio::time::advance(SECOND * 15).await;
    throttle.admit_login(ADA, client(1)).await.unwrap().succeeded();
    for _ in 0..20 {
        fail(&throttle, ADA, client(1)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn many_at_once_are_not_more_than_many_in_a_row() {
    let throttle = Throttle::new();
    throttle.admit_login(ADA, client(1)).await.unwrap().succeeded();
    let mut open = Vec::new();
    while let Ok(attempt) = throttle.admit_login(ADA, client(1)).await {
        open.push(attempt);
    }
    assert_eq!(open.len(), 20);
    // What has no outcome, because the database is away, does not count.
    drop(open);
    assert!(throttle.admit_login(ADA, client(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_strangers_fail_makes_strangers_wait_and_refuses_nobody() {
    let throttle = Throttle::new();
    throttle.admit_login(ADA, client(0)).await.unwrap().succeeded();
    let mut waits = Vec::new();
    for n in 1..=200 {
        waits.push(fail(&throttle, ADA, client(n)).await.unwrap());
    }
    assert!(waits[..10].iter().all(Duration::is_zero), "{waits:?}");
    assert!(!waits[10].is_zero() && waits[10] < SECOND, "{waits:?}");
    assert!(waits[199] >= SECOND * 2 && waits[199] <= WAIT_MAX + SECOND / 100, "{waits:?}");

    let begun = Instant::now();
    throttle.admit_login(ADA, client(0)).await.unwrap().succeeded();
    assert!(begun.elapsed().is_zero(), "a network that has logged in before does not wait");
    let begun = Instant::now();
    throttle.admit_login(ADA, client(250)).await.unwrap().succeeded();
    assert!(begun.elapsed() <= WAIT_MAX + SECOND / 100, "a new one gets in after the wait");
    assert!(fail(&throttle, BOB, client(1)).await.unwrap().is_zero(), "others are not touched");
    tokio::time::advance(SECOND * 3600).await;
    assert!(fail(&throttle, ADA, client(1)).await.unwrap().is_zero(), "it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_network_is_known_for_thirty_days() {
    let throttle = Throttle::new();
    throttle.admit_login(ADA, client(1)).await.unwrap().succeeded();
    let visitor = (throttle.account(ADA), client(1).network());
    assert!(throttle.is_known(&visitor, Instant::now() + KNOWN_FOR - SECOND));
    assert!(!throttle.is_known(&visitor, Instant::now() + KNOWN_FOR));
}

#[tokio::test(start_paused = true)]
async fn few_may_wait_for_one_account() {
    let throttle = Throttle::new();
    for n in 1..=100 {
        fail(&throttle, ADA, client(n)).await.unwrap();
    }
    let tries = (101..=110).map(|n| fail(&throttle, ADA, client(n)));
    let mut tries: Vec<_> = tries.map(Box::pin).collect();
    let mut refused = 0;
    for waiting in &mut tries {
        let first = tokio::select! {
            biased;
            done = waiting => Some(done),
            () = std::future::ready(()) => None,
        };
        refused += usize::from(first.is_some_and(|done| done.is_err()));
    }
    assert_eq!(refused, 6, "four wait");
}

#[test]
fn registrations_of_one_address_are_limited_generously() {
    let throttle = Throttle::new();
    let admitted = (0..200).filter(|_| throttle.admit_registration(ADA).is_ok()).count();
    assert_eq!(admitted, 100);
    assert!(throttle.admit_registration(BOB).is_ok());
}

#[test]
fn an_account_is_not_its_address() {
    let throttle = Throttle::new();
    let shown = format!("{:?}", throttle.account(ADA));
    assert!(!shown.contains("ada"), "{shown}");
    assert_ne!(throttle.account(ADA), throttle.account(BOB));
    assert_ne!(throttle.account(ADA), Throttle::new().account(ADA), "each process has its own key");
}
