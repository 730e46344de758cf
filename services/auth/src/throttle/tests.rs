use futures::FutureExt;
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
    throttle.admit_login(email, client, None).await?.failed();
    Ok(begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn twenty_failures_of_one_network_are_free_and_then_it_must_wait() {
    let throttle = Throttle::new();
    for _ in 0..20 {
        fail(&throttle, ADA, client(1)).await.unwrap();
    }
    let refused = throttle.admit_login(ADA, client(1), None).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::RateLimited);
    for (other, network) in [(BOB, 1), (ADA, 2)] {
        assert!(throttle.admit_login(other, client(network), None).await.is_ok());
    }
    tokio::time::advance(SECOND * 15).await;
    throttle.admit_login(ADA, client(1), None).await.unwrap().succeeded();
    for _ in 0..20 {
        fail(&throttle, ADA, client(1)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn many_at_once_are_not_more_than_many_in_a_row() {
    let throttle = Throttle::new();
    throttle.admit_login(ADA, client(1), None).await.unwrap().succeeded();
    let mut open = Vec::new();
    while let Ok(attempt) = throttle.admit_login(ADA, client(1), None).await {
        open.push(attempt);
    }
    assert_eq!(open.len(), 20);
    // What has no outcome, because the database is away, does not count.
    open.into_iter().for_each(Attempt::costs_nothing);
    throttle.admit_login(ADA, client(1), None).await.unwrap().costs_nothing();
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_the_password_was_judged_has_used_a_try() {
    let throttle = Throttle::new();
    let account = throttle.account(ADA);
    let device = DeviceId::numbered(1);
    // Of a stranger, of a device, and of a network that has logged in before.
    throttle.admit_login(ADA, client(3), None).await.unwrap().succeeded();
    for (n, device) in [(1, None), (2, Some(device)), (3, None)] {
        for _ in 0..20 {
            drop(throttle.admit_login(ADA, client(n), device).await.unwrap());
        }
    }
    let abroad = throttle.failures_abroad.level(&account, Instant::now());
    assert_eq!(abroad.remaining, FAILURES_ABROAD.quota, "the account has lost nothing");
    for n in [1, 3] {
        assert!(throttle.admit_login(ADA, client(n), None).await.is_err(), "{n}");
    }
    let of_device = (account, Familiar::Device(device));
    let left = throttle.failures_of_familiars.level(&of_device, Instant::now());
    assert_eq!(left.remaining, 0);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_has_logged_in_is_not_refused_for_its_neighbours() {
    let throttle = Throttle::new();
    throttle.admit_login(ADA, client(1), None).await.unwrap().succeeded();
    let (account, now) = (throttle.account(ADA), Instant::now());
    for neighbour in (2..=17).map(|n| client(n).network()) {
        for _ in 0..20 {
            throttle.failures.take(&account, neighbour, now).unwrap();
        }
    }
    let new = throttle.admit_login(ADA, client(99), None).await.map(drop).unwrap_err();
    assert_eq!(new.kind(), Kind::RateLimited, "the /24 has used up its tries");
    for _ in 0..20 {
        fail(&throttle, ADA, client(1)).await.unwrap();
    }
    let own = throttle.admit_login(ADA, client(1), None).await.map(drop).unwrap_err();
    assert_eq!(own.kind(), Kind::RateLimited, "for its own failures it is");
}

#[tokio::test(start_paused = true)]
async fn what_strangers_fail_makes_strangers_wait_and_refuses_nobody() {
    let throttle = Throttle::new();
    throttle.admit_login(ADA, client(0), None).await.unwrap().succeeded();
    let mut waits = Vec::new();
    for n in 1..=200 {
        waits.push(fail(&throttle, ADA, client(n)).await.unwrap());
    }
    assert!(waits[..10].iter().all(Duration::is_zero), "{waits:?}");
    assert!(!waits[10].is_zero() && waits[10] < SECOND, "{waits:?}");
    assert!(waits[199] >= SECOND * 2 && waits[199] <= WAIT_MAX + SECOND / 100, "{waits:?}");

    let begun = Instant::now();
    throttle.admit_login(ADA, client(0), None).await.unwrap().succeeded();
    assert!(begun.elapsed().is_zero(), "a network that has logged in before does not wait");
    let begun = Instant::now();
    throttle.admit_login(ADA, client(250), None).await.unwrap().succeeded();
    assert!(begun.elapsed() <= WAIT_MAX + SECOND / 100, "a new one gets in after the wait");
    assert!(fail(&throttle, BOB, client(1)).await.unwrap().is_zero(), "others are not touched");
    tokio::time::advance(SECOND * 3600).await;
    assert!(fail(&throttle, ADA, client(1)).await.unwrap().is_zero(), "it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_network_is_known_for_thirty_days() {
    let throttle = Throttle::new();
    throttle.admit_login(ADA, client(1), None).await.unwrap().succeeded();
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
fn registrations_of_one_address_are_limited_generously_for_each_network() {
    let throttle = Throttle::new();
    let admitted = (0..200).filter(|_| throttle.admit_registration(ADA, client(1)).is_ok()).count();
    assert_eq!(admitted, 100);
    assert!(throttle.admit_registration(BOB, client(1)).is_ok());
    assert!(throttle.admit_registration(ADA, client(2)).is_ok(), "others keep nobody out");
}

#[test]
fn an_account_is_not_its_address() {
    let throttle = Throttle::new();
    let shown = format!("{:?}", throttle.account(ADA));
    assert!(!shown.contains("ada"), "{shown}");
    assert_ne!(throttle.account(ADA), throttle.account(BOB));
    assert_ne!(throttle.account(ADA), Throttle::new().account(ADA), "each process has its own key");
}

/// A client in a /24 of its own.
fn far(n: u8) -> Client {
    Client::at([203, n, 113, 7].into())
}

/// Has strangers fail until they have to wait for long.
async fn attacked(throttle: &Throttle) {
    for n in 1..=100 {
        fail(throttle, ADA, far(n)).await.unwrap();
    }
}

/// Begins a login and leaves it waiting.
fn waits(
    throttle: &Throttle,
    client: Client,
) -> impl Future<Output = Result<Attempt<'_>, Problem>> + Unpin {
    let mut waiting = Box::pin(throttle.admit_login(ADA, client, None));
    assert!((&mut waiting).now_or_never().is_none(), "it waits");
    waiting
}

#[tokio::test(start_paused = true)]
async fn a_device_does_not_wait_and_is_refused_for_nothing_that_others_do() {
    let throttle = Throttle::new();
    attacked(&throttle).await;
    let crowd: Vec<_> = (101..=104).map(|n| waits(&throttle, far(n))).collect();
    let stranger = throttle.admit_login(ADA, far(200), None).await.map(drop).unwrap_err();
    assert_eq!(stranger.kind(), Kind::RateLimited, "all places are taken");
    let device = Some(DeviceId::numbered(1));
    let begun = Instant::now();
    throttle.admit_login(ADA, far(201), device).await.unwrap().succeeded();
    assert!(begun.elapsed().is_zero());
    // Nor for what its own network has failed.
    drop(crowd);
    while fail(&throttle, ADA, far(201)).await.is_ok() {}
    throttle.admit_login(ADA, far(201), device).await.unwrap().succeeded();
}

#[tokio::test(start_paused = true)]
async fn a_stolen_device_token_buys_twenty_guesses_and_keeps_its_owner_in() {
    let throttle = Throttle::new();
    attacked(&throttle).await;
    let device = Some(DeviceId::numbered(1));
    let (mut free, begun) = (0, Instant::now());
    while begun.elapsed().is_zero() {
        throttle.admit_login(ADA, far(220), device).await.unwrap().failed();
        free += u32::from(begun.elapsed().is_zero());
    }
    assert_eq!(free, 20, "then its thief waits like any other stranger");
    let waited = Instant::now();
    throttle.admit_login(ADA, far(221), device).await.unwrap().succeeded();
    assert!(waited.elapsed() <= WAIT_MAX + SECOND / 100, "its owner, from elsewhere");
    let new = Some(DeviceId::numbered(2));
    let waited = Instant::now();
    throttle.admit_login(ADA, far(222), new).await.unwrap().succeeded();
    assert!(waited.elapsed().is_zero(), "the next token is another device's");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_or_given_up_costs_the_client_and_not_the_account() {
    let throttle = Throttle::new();
    attacked(&throttle).await;
    let account = throttle.account(ADA);
    tokio::time::advance(SECOND * 36 * 50).await;
    let left = || throttle.failures_abroad.level(&account, Instant::now()).remaining;
    let before = left();
    assert!((40..60).contains(&before), "{before}");
    // One network fills all places and leaves again and again.
    for _ in 0..5 {
        let crowd: Vec<_> = (0..4).map(|_| waits(&throttle, far(210))).collect();
        drop(crowd);
    }
    assert_eq!(left(), before, "the account has lost nothing");
    let refused = throttle.admit_login(ADA, far(210), None).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), Kind::RateLimited, "the network has used up its tries");
    // Others are refused while all places are taken, and pay for it themselves.
    let crowd: Vec<_> = (101..=104).map(|n| waits(&throttle, far(n))).collect();
    for _ in 0..20 {
        assert!(throttle.admit_login(ADA, far(211), None).await.is_err());
    }
    drop(crowd);
    assert_eq!(left(), before);
    assert!(throttle.admit_login(ADA, far(211), None).await.is_err(), "it has no try left");
    assert!(throttle.admit_login(ADA, far(212), None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_customer_with_many_networks_has_no_more_than_a_multiple_of_tries() {
    let throttle = Throttle::new();
    let mut failed = 0;
    for n in 0..=255_u16 {
        let client = Client::at([0x2001, 0xdb8, 1, n, 0, 0, 0, 1].into());
        for _ in 0..2 {
            failed += u32::from(fail(&throttle, ADA, client).await.is_ok());
        }
    }
    // Some come back while it waits.
    assert!((80..180).contains(&failed), "{failed} of 512 tries of a /56");
}
