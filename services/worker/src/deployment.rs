//! Which build this worker is. With both settings it takes part in Temporal's
//! worker versioning: it then receives nothing until its build is made the
//! current one, and runs move to a build only when an operator says so. Without
//! them every worker takes every task.

use onboard_runtime::Problems;
use temporalio_common::worker::{
    VersioningBehavior, WorkerDeploymentOptions, WorkerDeploymentVersion,
};

const NAME: &str = "TEMPORAL_DEPLOYMENT_NAME";
const BUILD: &str = "TEMPORAL_WORKER_BUILD_ID";

/// The build of this worker as text.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Worker versioning")]
pub struct DeploymentArgs {
    /// Name of the deployment this worker belongs to; with it and
    /// `TEMPORAL_WORKER_BUILD_ID` the worker is versioned, and receives nothing
    /// until its build is the current one. Default: none, not versioned.
    #[arg(long, env = NAME)]
    pub temporal_deployment_name: Option<String>,
    /// Name of this build, for example a release or a commit.
    #[arg(long, env = BUILD)]
    pub temporal_worker_build_id: Option<String>,
}

/// The build of a worker that takes part in versioning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    name: String,
    build: String,
}

impl DeploymentArgs {
    /// Checks the settings: both, or none.
    pub(crate) fn check(self, problems: &mut Problems) -> Option<Deployment> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (given(self.temporal_deployment_name), given(self.temporal_worker_build_id)) {
            (None, None) => None,
            (Some(name), Some(build)) => {
                // Temporal writes a version as `<name>.<build>`.
                if name.contains('.') {
                    problems.push(NAME, "must not contain a dot");
                }
                Some(Deployment { name, build })
            }
            (Some(_), None) => {
                problems.push(BUILD, "is missing, and TEMPORAL_DEPLOYMENT_NAME is set");
                None
            }
            (None, Some(_)) => {
                problems.push(NAME, "is missing, and TEMPORAL_WORKER_BUILD_ID is set");
                None
            }
        }
    }
}

impl Deployment {
    /// A run moves to the current build with its next workflow task: it may wait
    /// for hours, and a pinned one would need its old build for as long (ADR 0036).
    pub(crate) fn options(&self) -> WorkerDeploymentOptions {
        let version = WorkerDeploymentVersion::builder()
            .deployment_name(self.name.clone())
            .build_id(self.build.clone())
            .build();
        WorkerDeploymentOptions::new(version)
            .use_worker_versioning(true)
            .default_versioning_behavior(VersioningBehavior::AutoUpgrade)
            .build()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn check(name: Option<&str>, build: Option<&str>) -> Result<Option<Deployment>, String> {
        let mut problems = Problems::default();
        let args = DeploymentArgs {
            temporal_deployment_name: name.map(Into::into),
            temporal_worker_build_id: build.map(Into::into),
        };
        let checked = args.check(&mut problems);
        problems.finish(Some(checked)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_worker_is_versioned_with_both_settings_and_not_with_none() {
        let both = check(Some("registration"), Some("a1")).unwrap().unwrap();
        assert!(both.options().use_worker_versioning);
        assert_eq!(
            both.options().default_versioning_behavior,
            Some(VersioningBehavior::AutoUpgrade)
        );
        assert_eq!(both.options().version.build_id, "a1");
        assert_eq!(check(None, None), Ok(None));
        assert_eq!(check(Some(""), Some("")), Ok(None));
    }

    #[test]
    fn half_of_the_settings_is_refused_and_the_other_half_is_named() {
        assert!(check(Some("registration"), None).unwrap_err().contains(BUILD));
        assert!(check(None, Some("a1")).unwrap_err().contains(NAME));
        assert!(check(Some("a.b"), Some("a1")).unwrap_err().contains(NAME));
    }
}
