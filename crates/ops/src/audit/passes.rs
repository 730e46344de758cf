//! The passes of an audit, in order, and what they share.

use onboard_runtime::clock;

use crate::audit::horizon::Horizon;
use crate::audit::progress::{Pass, Progress};
use crate::audit::sample::Sample;
use crate::audit::scope::Scope;
use crate::audit::{
    AuditError, Options, Report, Sources, addresses, histories, inbox, keys, outbox, queues, todos,
    unreadable, users, visibility, workflows,
};

/// An audit under way.
pub(crate) struct Audit<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) scope: Scope,
    /// Workflows of rows that were acknowledged before then may be gone: Temporal has
    /// forgotten them, or lost them with its database.
    pub(crate) workflows_before_ms: i64,
    /// The finished registrations whose history is to be read.
    pub(crate) sample: Sample,
    pub(crate) report: Report,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

/// Audits the system.
///
/// Registrations younger than the grace are not judged, and neither are those
/// from before `since`. `progress` hears of every page that was read.
///
/// # Errors
/// A server cannot be reached or refuses to answer; the error names which.
/// Then there is no verdict, and no partial report either.
pub async fn audit(
    sources: &Sources,
    options: &Options,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Report, AuditError> {
    let began_at_ms = clock::now_ms();
    let retention_ms = visibility::retention_ms(&sources.temporal).await?;
    let lost = Horizon::of_workflows(sources).await?;
    let mut audit = Audit {
        sources,
        scope: Scope::new(options, began_at_ms),
        workflows_before_ms: began_at_ms.saturating_sub(retention_ms).max(lost.ms()),
        sample: Sample::new(options.histories),
        report: Report::new(options, began_at_ms),
        progress: &progress,
    };
    users::judge(&mut audit).await?;
    addresses::judge(&mut audit).await?;
    keys::judge(&mut audit).await?;
    unreadable::judge(&mut audit).await?;
    outbox::judge(&mut audit).await?;
    inbox::judge(&mut audit).await?;
    todos::judge(&mut audit).await?;
    workflows::judge(&mut audit).await?;
    histories::judge_sample(&mut audit).await?;
    queues::judge(&mut audit).await?;
    Ok(audit.report)
}

impl Audit<'_> {
    /// Tells how far a pass is.
    pub(crate) fn tell(&self, pass: Pass, done: u64, total: u64) {
        (self.progress)(Progress { pass, done, total });
    }
}
