//! Operations on what the servers hold: a backup, and each server's loss.

use super::SOON;
use crate::harness::{Entry, Operated};

async fn backs_up_and_restores(operated: &Operated) {
    let backup = operated.dir().join("backup").display().to_string();
    let variables = [("BACKUP", backup.as_str())];
    let mut kept = operated.registered(2, "ACKNOWLEDGED").await;
    operated.does("onboard stop todo").await;
    kept.extend(operated.registered(2, "SENT").await);
    operated.performs(&Entry::named("Back up MongoDB"), &variables).await;
    operated.does("onboard start todo").await;
    operated.reach(&kept, "ACKNOWLEDGED").await;
    let mut gone = operated.registered(1, "ACKNOWLEDGED").await;
    operated.does("onboard stop todo").await;
    gone.extend(operated.registered(1, "SENT").await);

    let printed = operated.performs(&Entry::named("Restore a backup of MongoDB"), &variables).await;
    for id in &gone {
        assert!(printed.contains(&format!("lost: registration-{id}")), "{id}: {printed}");
    }
    operated.reach(&kept, "ACKNOWLEDGED").await;
}

async fn loses_temporal(operated: &Operated) {
    operated.does("onboard stop todo").await;
    let ids = operated.registered(2, "SENT").await;
    let entry = Entry::named("Temporal has lost its database");
    operated.run(&entry, "Steps", &[]).await;
    operated.does("onboard start todo").await;
    operated.comes_true(&entry, "Verify", &[]).await;
    operated.reach(&ids, "ACKNOWLEDGED").await;
}

async fn loses_a_queue(operated: &Operated) {
    let entry = Entry::named("RabbitMQ has lost a queue");
    let check = entry.commands("Check").concat();
    operated.does("onboard stop todo").await;
    let ids = operated.registered(2, "SENT").await;
    let here = operated.sh(&format!("eval \"$(onboard env)\"\n{check}"), &[]).await;
    assert!(!here.status.success(), "the queue is there, and the check says so");
    operated
        .does("eval \"$(onboard env)\"; rabbitmqctl -q delete_queue user_registered_queue")
        .await;
    operated.comes_true(&entry, "Check", &[]).await;
    operated.run(&entry, "Steps", &[("REASON", "the queue was lost")]).await;
    operated.does("onboard start todo").await;
    operated.comes_true(&entry, "Verify", &[]).await;
    operated.reach(&ids, "ACKNOWLEDGED").await;
}

async fn fills_the_disk(operated: &Operated) {
    let entry = Entry::named("RabbitMQ's disk is full");
    let full = "eval \"$(onboard env)\"; rabbitmqctl -q set_disk_free_limit 900000GB";
    operated.does(full).await;
    operated.comes_true(&entry, "Check", &[]).await;
    let ids = operated.registered(2, "STARTED").await;
    operated.run(&entry, "Steps", &[("LIMIT", "50MB")]).await;
    operated.comes_true(&entry, "Verify", &[]).await;
    operated.reach(&ids, "ACKNOWLEDGED").await;
}

#[tokio::test]
async fn what_a_server_loses_is_restored_or_rebuilt() {
    let operated = Operated::up(&SOON).await;
    backs_up_and_restores(&operated).await;
    loses_temporal(&operated).await;
    loses_a_queue(&operated).await;
    fills_the_disk(&operated).await;
    operated.down().await;
}
