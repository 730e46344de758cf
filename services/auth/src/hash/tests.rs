//! The pool from outside.

use argon2::{Argon2, Params, PasswordVerifier};

use super::*;

fn password() -> Password {
    Password::attempt("correct horse".into())
}

fn wrong() -> Password {
    Password::attempt("Correct horse".into())
}

fn hasher_of(params: Params, threads: usize, queue: usize) -> Hasher {
    Hasher::new(&HashConfig { params, threads, queue }).unwrap()
}

fn params(memory: u32, iterations: u32) -> Params {
    Params::new(memory, iterations, 1, None).unwrap()
}

fn hasher(threads: usize, queue: usize) -> Hasher {
    hasher_of(params(64, 1), threads, queue)
}

#[tokio::test]
async fn a_hash_verifies_and_is_salted() {
    let hasher = hasher(2, 2);
    let (one, two) = tokio::join!(
        hasher.hash(password(), Purpose::Registration),
        hasher.hash(password(), Purpose::Registration)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one, two);
    assert!(one.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{one}");
    // The library's own verifier agrees.
    let argon2 = Argon2::default();
    assert!(argon2.verify_password(b"correct horse", one.as_str()).is_ok());
    assert!(argon2.verify_password(b"Correct horse", one.as_str()).is_err());
    assert!(hasher.verify(password(), one.clone()).await.unwrap());
    assert!(!hasher.verify(wrong(), one).await.unwrap());
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_verified_with_its_own() {
    let hasher = hasher(1, 1);
    let several = [(8, 1, 1), (16, 3, 1), (128, 1, 1), (1024, 2, 2), (33, 2, 4)];
    for (memory, iterations, lanes) in several {
        let other = Params::new(memory, iterations, lanes, None).unwrap();
        let phc = hasher_of(other, 1, 1).hash(password(), Purpose::Registration).await.unwrap();
        assert!(hasher.verify(password(), phc.clone()).await.unwrap(), "{phc}");
        assert!(!hasher.verify(wrong(), phc.clone()).await.unwrap(), "{phc}");
    }
    let mine = hasher.hash(password(), Purpose::Registration).await.unwrap();
    assert!(hasher.verify(password(), mine).await.unwrap(), "after larger buffers");
}

async fn seconds(hasher: &Hasher, phc: &str) -> f64 {
    let begun = Instant::now();
    assert!(!hasher.verify(wrong(), phc.to_owned()).await.unwrap());
    begun.elapsed().as_secs_f64()
}

/// In turns, and the shortest of each: what else the machine does only adds to it.
#[tokio::test]
async fn a_cheaper_hash_of_earlier_settings_takes_as_long_as_one_of_today() {
    let hasher = hasher_of(params(8_192, 2), 1, 1);
    for earlier in [params(512, 1), params(4_096, 2), params(8_192, 1)] {
        let phc =
            hasher_of(earlier.clone(), 1, 1).hash(password(), Purpose::Registration).await.unwrap();
        let mut shortest = [f64::INFINITY; 2];
        for _ in 0..15 {
            for (shortest, phc) in shortest.iter_mut().zip([hasher.decoy(), &phc]) {
                *shortest = shortest.min(seconds(&hasher, phc).await);
            }
        }
        let ratio = shortest[1] / shortest[0];
        assert!((0.67..1.5).contains(&ratio), "{earlier:?}: {shortest:?}");
    }
}

#[tokio::test]
async fn a_stored_hash_that_asks_for_too_much_is_refused_and_not_obeyed() {
    let hasher = hasher(1, 1);
    let good = hasher.hash(password(), Purpose::Registration).await.unwrap();
    let absurd = ["m=1048577,t=1,p=1", "m=64,t=65,p=1", "m=1048576,t=64,p=1", "m=256,t=1,p=17"];
    for asked in absurd {
        let phc = good.replace("m=64,t=1,p=1", asked);
        let refused = hasher.verify(password(), phc).await.unwrap_err();
        assert!(
            matches!(refused, HashError::Failed(HashFailure::Absurd { .. })),
            "{asked}: {refused:?}"
        );
    }
    let unreadable = [
        String::new(),
        "correct horse".to_owned(),
        good.replace("argon2id", "argon2i"),
        good.replace("v=19", "v=16"),
        good.rsplit_once('$').unwrap().0.to_owned(),
        format!("{good}$x"),
    ];
    for phc in unreadable {
        let refused = hasher.verify(password(), phc.clone()).await.unwrap_err();
        assert!(
            matches!(refused, HashError::Failed(HashFailure::Unreadable)),
            "{phc}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn no_password_fits_the_decoy_and_it_costs_what_a_hash_costs() {
    let hasher = hasher(1, 1);
    assert!(hasher.decoy().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hasher.decoy());
    let written = hasher.hash(password(), Purpose::Registration).await.unwrap();
    assert_eq!(hasher.decoy().len(), written.len());
    assert!(!hasher.verify(password(), hasher.decoy().to_owned()).await.unwrap());
    assert!(!hasher.needs_rehash(hasher.decoy()));
    let another = hasher_of(params(64, 1), 1, 1);
    assert_ne!(hasher.decoy(), another.decoy(), "each process has its own");
}

#[tokio::test]
async fn only_a_weaker_hash_is_to_be_replaced() {
    let old = hasher_of(params(64, 2), 1, 1).hash(password(), Purpose::Registration).await.unwrap();
    let table =
        [((64, 2), false), ((65, 2), true), ((64, 3), true), ((63, 2), false), ((64, 1), false)];
    for ((memory, iterations), weaker) in table {
        let now = hasher_of(params(memory, iterations), 1, 1);
        assert_eq!(now.needs_rehash(&old), weaker, "{memory}/{iterations}");
    }
    assert!(hasher(1, 1).needs_rehash("nothing to read"));
}
