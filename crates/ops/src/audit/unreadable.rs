//! Every document of an account can be read by the service that uses it. Users, rows,
//! records and todos have passes of their own, which name theirs.

use crate::audit::{AuditError, Kind};
use onboard_auth::store::{IDEMPOTENCY_KEYS, REFRESH_TOKENS, SESSIONS, SIGNING_KEYS};

use crate::audit::passes::Audit;
use crate::audit::progress::Pass;

/// Names each document that cannot be read.
pub(crate) async fn judge(audit: &mut Audit<'_>) -> Result<(), AuditError> {
    for kind in [SESSIONS, REFRESH_TOKENS, SIGNING_KEYS, IDEMPOTENCY_KEYS] {
        let scanned = audit.sources.mongo.scan(kind, usize::MAX).await;
        let scanned = scanned.map_err(AuditError::Store)?;
        for document in &scanned.unreadable {
            let name = format!("{} {}", document.collection, document.id);
            audit.report.violation(Kind::DocumentUnreadable, name, document.why.to_string());
        }
        let unnamed = scanned.count.saturating_sub(scanned.unreadable.len());
        audit.report.unnamed_violations(Kind::DocumentUnreadable, unnamed as u64);
        audit.tell(Pass::Documents, scanned.read as u64, scanned.read as u64);
    }
    Ok(())
}
