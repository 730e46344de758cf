//! More passwords than can be hashed.

use futures::future::join_all;

use super::Watched;
use crate::harness::Entry;

#[tokio::test]
async fn a_wave_of_passwords_is_seen_and_ends() {
    let settings = [
        ("HASH_THREADS", "1"),
        ("HASH_QUEUE", "6"),
        ("ARGON2_MEMORY_KIB", "65536"),
        ("ARGON2_ITERATIONS", "6"),
    ];
    let watched = Watched::up(&settings).await;
    let entry = Entry::named("Registering is slow or refused");
    let wave = async {
        loop {
            join_all((0..12).map(|_| watched.post_register())).await;
        }
    };
    let alarmed = async {
        watched.alarmed(&entry, "HashQueueFull").await;
        watched.alarmed(&entry, "RegisterSlow").await;
        watched.check(&entry, &[]).await;
    };
    tokio::select! {
        () = alarmed => (),
        () = wave => (),
    }
    watched.mend(&entry, &[]).await;
    watched.prometheus.ends("HashQueueFull").await;
    watched.prometheus.ends("RegisterSlow").await;
    watched.down().await;
}
