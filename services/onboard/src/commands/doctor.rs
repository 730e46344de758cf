//! `onboard doctor`: whether an environment will do, a line per check, and what
//! to do about what does not. It changes nothing.

use std::process::ExitCode;

use onboard_auth::hash::HashArgs;
use onboard_auth::keys::SealedBy;
use onboard_auth::keys::manage::{KeyView, Manager};
use onboard_doctor::{Area, Finding, Patient, Verdict, examine, nobody_answers};
use onboard_ops::{Databases, DatabasesConfig};
use onboard_outbox::ExtraConsumersArgs;
use onboard_runtime::plain::said;
use onboard_runtime::{Exposure, Problems, Secret, SecretArgs, exit};
use onboard_temporal::DeliveryPlanArgs;
use secrecy::SecretString;
use serde_json::json;

use super::columns::{columns, folded};
use super::management::ManagementArgs;
use super::operate::print;
use super::target::TargetArgs;

/// Arguments of `onboard doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    management: ManagementArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    consumers: ExtraConsumersArgs,
    #[command(flatten)]
    plan: DeliveryPlanArgs,
    #[command(flatten)]
    hash: HashArgs,
    #[command(flatten)]
    target: TargetArgs,
}

/// Looks at everything and says what it finds.
pub(crate) fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let DoctorArgs { json, management, mut secret, consumers, plan, hash, target } = args;
    let local = target.local_stack();
    if !secret.names_one() {
        secret.auth_secret_file = target.local_secret();
    }
    let mut problems = Problems::default();
    let consumers = consumers.check(&mut problems);
    let plan = plan.check(&mut problems);
    problems.finish(Some(()))?;
    let target = target.connect_with(management.exposure())?;
    let local_management = local.as_ref().map(|ports| SecretString::from(ports.management_url()));
    let patient = Patient {
        mongo: target.mongo,
        broker: target.broker,
        consumers,
        management: management.url().or(local_management),
        temporal: target.temporal,
        plan,
        environment: target.environment,
    };
    let findings = tokio::runtime::Runtime::new()?.block_on(async {
        let mut findings = Box::pin(examine(&patient)).await;
        let keys = keys(&patient.mongo, secret, &findings).await;
        findings.extend(keys);
        findings.push(hashing(hash));
        if target.environment.is_production() {
            findings.extend(target.exposures.iter().map(exposed));
        }
        findings
    });
    print(&if json { document(&findings) } else { text(&findings) });
    Ok(ExitCode::from(code(&findings)))
}

/// A connection that lacks something; one that is not allowed has ended the doctor.
fn exposed(exposure: &Exposure) -> Finding {
    let advice = "protect the connection, then take the server out of ALLOW_UNPROTECTED";
    Finding::warn(Area::Process, "protection", exposure.to_string(), advice)
}

/// Whether the secret opens every key that signs tokens.
async fn keys(
    mongo: &DatabasesConfig,
    secret: SecretArgs,
    findings: &[Finding],
) -> Option<Finding> {
    const CHECK: &str = KEYS;
    let reached = findings.iter().any(|one| one.area == Area::Mongo && !one.is_bad());
    let mut problems = Problems::default();
    let secret: Option<Secret> = secret.check(&mut problems);
    let Some(secret) = secret.filter(|_| reached) else {
        let why = if reached { "AUTH_SECRET is not given" } else { "MongoDB does not answer" };
        return Some(Finding::not_checked(Area::Keys, CHECK, why));
    };
    let mongo = Databases::new(mongo).await.ok()?;
    let finding = match Manager::new(mongo.of_auth(), secret).list().await {
        Ok(found) if found.keys.is_empty() => {
            Finding::fail(Area::Keys, CHECK, "there are none", "run `onboard setup`")
        }
        Ok(found) => judged(&found.keys),
        Err(error) => Finding::not_checked(Area::Keys, CHECK, said(&error)),
    };
    Some(finding)
}

/// The check of the signing keys.
const KEYS: &str = "signing keys";

fn judged(keys: &[KeyView]) -> Finding {
    let closed = keys.iter().find(|key| key.sealed_by.is_none());
    let previous = keys.iter().filter(|key| key.sealed_by == Some(SealedBy::Previous)).count();
    match (closed, previous) {
        (Some(key), _) => Finding::fail(
            Area::Keys,
            KEYS,
            format!("AUTH_SECRET does not open {}", key.id),
            "give the secret that `onboard setup` had; if it was changed, name the one before in \
             AUTH_SECRET_PREVIOUS; if it is lost, `onboard keys remove --new-secret` the old keys",
        ),
        (None, 0) => Finding::ok(Area::Keys, KEYS, format!("{} can be opened", keys.len())),
        (None, previous) => Finding::warn(
            Area::Keys,
            KEYS,
            format!("{previous} of {} sealed by AUTH_SECRET_PREVIOUS", keys.len()),
            "run `onboard keys rewrap`, before that secret is taken away",
        ),
    }
}

/// Whether passwords would be hashed as strongly as OWASP asks.
fn hashing(hash: HashArgs) -> Finding {
    const CHECK: &str = "password hashing";
    let mut problems = Problems::default();
    let config = hash.check(&mut problems);
    let weak = problems.take_warnings();
    match problems.finish(config) {
        Ok(_) if weak.is_empty() => Finding::ok(Area::Process, CHECK, "at least what OWASP asks"),
        Ok(_) => Finding::warn(
            Area::Process,
            CHECK,
            "ONBOARD_INSECURE_HASHING allows weak hashes",
            "leave it out anywhere but in tests",
        ),
        Err(error) => {
            let found = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            let advice = "leave the ARGON2_ variables out, or let `onboard calibrate` propose them";
            Finding::fail(Area::Process, CHECK, found, advice)
        }
    }
}

fn code(findings: &[Finding]) -> u8 {
    if nobody_answers(findings) {
        exit::UNAVAILABLE
    } else if findings.iter().any(Finding::is_bad) {
        exit::NO
    } else {
        exit::DONE
    }
}

fn document(findings: &[Finding]) -> String {
    let fine = !findings.iter().any(Finding::is_bad);
    format!("{:#}\n", json!({ "fine": fine, "findings": findings }))
}

fn text(findings: &[Finding]) -> String {
    let count = |wanted| findings.iter().filter(|one| one.verdict == wanted).count();
    let (bad, odd) = (count(Verdict::Fail), count(Verdict::Warn));
    let lines: String = findings.iter().map(line).collect();
    format!("{lines}\n{bad} failed, {odd} to look at\n")
}

fn line(finding: &Finding) -> String {
    const INDENT: usize = 16;
    let Finding { area, check, verdict, found, advice } = finding;
    let (area, verdict) = (area.as_str(), verdict.as_str());
    let fold = |words: &str| folded(words, INDENT, columns());
    let found = fold(&format!("{check}: {found}"));
    let advice = advice.as_ref().map(|advice| fold(&format!("to do: {advice}")));
    let advice = advice.map(|advice| format!("{:INDENT$}{advice}\n", ""));
    format!("{verdict:<4}  {area:<8}  {found}\n{}", advice.unwrap_or_default())
}
