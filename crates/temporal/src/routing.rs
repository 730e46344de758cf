//! Which version of the workers the task queue hands its tasks to, where no worker of that
//! version polls: the workers that do poll get nothing. Nothing is written here.

use onboard_runtime::clock;
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::deployment::v1::WorkerDeploymentVersion;
use temporalio_common::protos::temporal::api::enums::v1::{TaskQueueType, WorkerVersioningMode};
use temporalio_common::protos::temporal::api::taskqueue::v1::{
    PollerInfo, TaskQueue, TaskQueueVersioningInfo,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeTaskQueueRequest, DescribeWorkerDeploymentRequest,
};

use crate::census::{called, is_there};
use crate::execution::ms;
use crate::{Pause, Temporal, TemporalError};

/// The task queue hands tasks to a version of the workers that nobody polls with.
#[derive(Debug, Clone, PartialEq)]
pub struct Unserved {
    /// The deployment of the version.
    pub deployment: String,
    /// Its build.
    pub build: String,
    /// How many of the tasks, in percent.
    pub percent: f32,
    /// Whether it is the current version, and not one that is being tried.
    pub is_current: bool,
    /// The build of the deployment that polls; none when workers without a version do.
    pub instead: Option<String>,
    /// Who has changed the deployment last, and since when the tasks go there.
    pub set: Pause,
}

impl Temporal {
    /// The version that gets tasks of workflows and does not poll, while others do.
    ///
    /// # Errors
    /// See [`TemporalError`].
    pub async fn unserved(&self) -> Result<Option<Unserved>, TemporalError> {
        let mut client = self.client()?;
        let namespace = client.options().namespace.clone();
        let queue = TaskQueue { name: self.task_queue.to_string(), ..Default::default() };
        let request = DescribeTaskQueueRequest {
            namespace: namespace.clone(),
            task_queue: Some(queue),
            task_queue_type: TaskQueueType::Workflow as i32,
            ..Default::default()
        };
        let asking = WorkflowService::describe_task_queue(&mut client, request.into_request());
        let answer = called("describe the task queue", asking).await?;
        let Some(routing) = answer.versioning_info else { return Ok(None) };
        let now_ms = clock::now_ms();
        let there = answer.pollers.iter().filter(|poller| is_there(poller, now_ms));
        let polling: Vec<Polling> = there.map(Polling::of).collect();
        let Some(mut found) = find(&routing, &polling) else { return Ok(None) };
        let deployment_name = found.deployment.clone();
        let request = DescribeWorkerDeploymentRequest { namespace, deployment_name };
        let asking =
            WorkflowService::describe_worker_deployment(&mut client, request.into_request());
        // It is only about who did it.
        let deployment = called("describe the deployment", asking).await.ok();
        let deployment = deployment.and_then(|answer| answer.worker_deployment_info);
        found.set.by = deployment.map(|info| info.last_modifier_identity).unwrap_or_default();
        Ok(Some(found))
    }
}

/// The version that a worker polls with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Polling {
    Unversioned,
    Version(WorkerDeploymentVersion),
}

impl Polling {
    fn of(poller: &PollerInfo) -> Self {
        let versioned = poller.deployment_options.as_ref();
        match versioned.filter(|of| of.worker_versioning_mode() == WorkerVersioningMode::Versioned)
        {
            None => Self::Unversioned,
            Some(of) => Self::Version(WorkerDeploymentVersion {
                deployment_name: of.deployment_name.clone(),
                build_id: of.build_id.clone(),
            }),
        }
    }
}

fn find(routing: &TaskQueueVersioningInfo, polling: &[Polling]) -> Option<Unserved> {
    let ramped = routing.ramping_version_percentage;
    let current = routing.current_deployment_version.as_ref().filter(|_| ramped < 100.0);
    let ramping = routing.ramping_deployment_version.as_ref().filter(|_| ramped > 0.0);
    let all = current.map(|version| (version, 100.0 - ramped, true)).into_iter();
    let mut all = all.chain(ramping.map(|version| (version, ramped, false)));
    let (version, percent, is_current) =
        all.find(|(version, ..)| !polling.contains(&Polling::Version((*version).clone())))?;
    let of_deployment = |one: &Polling| match one {
        Polling::Version(of) if of.deployment_name == version.deployment_name => {
            Some(of.build_id.clone())
        }
        _ => None,
    };
    let instead = polling.iter().find_map(of_deployment);
    if instead.is_none() && !polling.contains(&Polling::Unversioned) {
        return None;
    }
    let since_ms = routing.update_time.as_ref().map(|at| ms(at.seconds, at.nanos));
    Some(Unserved {
        deployment: version.deployment_name.clone(),
        build: version.build_id.clone(),
        percent,
        is_current,
        instead,
        set: Pause { since_ms, ..Pause::default() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(deployment: &str, build: &str) -> WorkerDeploymentVersion {
        WorkerDeploymentVersion { deployment_name: deployment.into(), build_id: build.into() }
    }

    fn routing(current: Option<&str>, ramping: Option<(&str, f32)>) -> TaskQueueVersioningInfo {
        TaskQueueVersioningInfo {
            current_deployment_version: current.map(|build| version("d", build)),
            ramping_deployment_version: ramping.map(|(build, _)| version("d", build)),
            ramping_version_percentage: ramping.map_or(0.0, |(_, percent)| percent),
            ..Default::default()
        }
    }

    #[test]
    fn a_version_that_nobody_polls_with_is_found_while_others_poll() {
        let (plain, seven) = (Polling::Unversioned, Polling::Version(version("d", "7")));
        let other = Polling::Version(version("other", "1"));
        let alone = std::slice::from_ref(&plain);
        assert_eq!(find(&routing(None, None), alone), None);
        assert_eq!(find(&routing(Some("7"), None), &[seven.clone(), plain.clone()]), None);
        for nobody in [&[][..], &[other]] {
            assert_eq!(find(&routing(Some("7"), None), nobody), None, "nobody else polls");
        }
        let found = find(&routing(Some("7"), None), alone).unwrap();
        assert_eq!((found.build.as_str(), found.is_current, found.instead), ("7", true, None));
        let found = find(&routing(Some("8"), None), &[plain, seven.clone()]).unwrap();
        assert_eq!(found.instead.as_deref(), Some("7"));
        let tried = routing(Some("7"), Some(("9", 5.0)));
        let found = find(&tried, &[seven]).unwrap();
        assert_eq!((found.build.as_str(), found.is_current), ("9", false));
        assert!((found.percent - 5.0).abs() < f32::EPSILON);
        let all = routing(Some("7"), Some(("9", 100.0)));
        let nine = Polling::Version(version("d", "9"));
        assert_eq!(find(&all, &[nine]), None, "the current one gets nothing");
    }
}
