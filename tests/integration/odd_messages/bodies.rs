//! Bodies that are larger than any event, at a broker that `onboard` starts. Larger ones
//! at another broker: `endurance::bodies`.

use crate::harness::{App, Options};

#[tokio::test]
async fn a_broker_that_onboard_starts_takes_no_message_of_more_than_a_mebibyte() {
    let app = App::start_with(Options::only(&["todo"])).await;
    assert!(app.publish_bytes(&vec![b'x'; 1024 * 1024]).await.unwrap());
    let refused = app.publish_bytes(&vec![b'x'; 1024 * 1024 + 1]).await.unwrap_err();
    assert!(refused.to_string().contains("PRECONDITION_FAILED"), "{refused}");
    app.dead_letters_are(1).await;
    let reason = app.dead_letters().await[0]["properties"]["headers"]["x-onboard-reason"].clone();
    assert_eq!(reason, "too_large");
    app.purge_dead_letters().await;
    app.remove().await;
}
