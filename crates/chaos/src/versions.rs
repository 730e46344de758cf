//! Which versions a run was made with.

use std::collections::BTreeMap;
use std::time::Duration;

use mongodb::bson::doc;
use onboard_ops::Databases;
use serde_json::Value;

use crate::stage::Stage;

/// The versions of the servers and of this program; what does not answer is
/// `unknown`.
pub(crate) async fn versions(stage: &Stage, mongo: &Databases) -> BTreeMap<&'static str, String> {
    let rabbitmq = async { stage.management()?.version().await };
    let (mongodb, rabbitmq, temporal) = tokio::join!(mongodb(mongo), rabbitmq, temporal(stage));
    let unknown = || "unknown".to_owned();
    BTreeMap::from([
        ("onboard", env!("CARGO_PKG_VERSION").to_owned()),
        ("mongodb", mongodb.unwrap_or_else(|_| unknown())),
        ("rabbitmq", rabbitmq.unwrap_or_else(|_| unknown())),
        ("temporal", temporal.unwrap_or_else(|_| unknown())),
    ])
}

async fn mongodb(mongo: &Databases) -> anyhow::Result<String> {
    let info = mongo.auth().run_command(doc! { "buildInfo": 1 }).await?;
    Ok(info.get_str("version")?.to_owned())
}

async fn temporal(stage: &Stage) -> anyhow::Result<String> {
    let url = format!("{}/api/v1/cluster-info", stage.stack().servers().temporal_ui_url());
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).no_proxy().build()?;
    let info: Value = client.get(url).send().await?.error_for_status()?.json().await?;
    let version = info.get("serverVersion").and_then(Value::as_str);
    version.map(str::to_owned).ok_or_else(|| anyhow::anyhow!("Temporal does not tell its version"))
}
