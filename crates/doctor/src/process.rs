//! This process, as a service of the same environment would be.

use rustix::process::{Resource, getrlimit};

use crate::{Area, Finding};

const AREA: Area = Area::Process;
/// `CONNECTIONS_MAX` and those to the servers, with room.
const FILES_MIN: u64 = 4_096;

pub(crate) fn examine() -> Vec<Finding> {
    let files = getrlimit(Resource::Nofile).current;
    let disk = "the servers' disks are not visible from here; watch them";
    vec![open_files(files), Finding::not_checked(AREA, "disk space", disk)]
}

fn open_files(limit: Option<u64>) -> Finding {
    const CHECK: &str = "open files";
    match limit {
        None => Finding::ok(AREA, CHECK, "no limit"),
        Some(limit) if limit >= FILES_MIN => Finding::ok(AREA, CHECK, limit.to_string()),
        Some(limit) => {
            let advice = format!("raise the limit to {FILES_MIN} (ulimit -n, LimitNOFILE)");
            Finding::warn(AREA, CHECK, limit.to_string(), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn few_files_are_told() {
        assert_eq!(open_files(Some(1_024)).verdict, Verdict::Warn);
        assert_eq!(open_files(Some(FILES_MIN)).verdict, Verdict::Ok);
        assert_eq!(open_files(None).verdict, Verdict::Ok);
    }
}
