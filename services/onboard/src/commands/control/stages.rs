//! The lines of `onboard status` about registrations: how many are in each
//! stage, and how long the oldest has been there.

use std::time::Duration;

use onboard_contract::workflow::OVERDUE_MS_DEFAULT;
use onboard_ops::{Databases, DatabasesArgs};
use onboard_outbox::stages::COUNT_MAX;
use onboard_outbox::{InStage, Stages};
use onboard_runtime::Problems;
use onboard_stack::ports::Ports;

/// How long MongoDB may take; `status` is for looking, not for waiting.
const PATIENCE: Duration = Duration::from_secs(3);

/// The lines, or why there are none.
pub(super) async fn summary(ports: &Ports) -> String {
    match tokio::time::timeout(PATIENCE, look(ports)).await {
        Ok(Some(stages)) => lines(&stages),
        Ok(None) | Err(_) => "\nregistrations: MongoDB does not answer\n".to_owned(),
    }
}

async fn look(ports: &Ports) -> Option<Stages> {
    let args = DatabasesArgs::at(ports.mongodb_uri());
    let config = args.check(&mut Problems::default())?;
    let mongo = Databases::new(&config).await.ok()?;
    let overdue = Duration::from_millis(OVERDUE_MS_DEFAULT);
    mongo.deliveries().stages(overdue).await.ok()
}

fn lines(stages: &Stages) -> String {
    let head = format!("\n{:<13} {:>9} {:>12}\n", "registrations", "count", "oldest");
    let quarantined = (stages.quarantined > 0)
        .then(|| format!("{} quarantined: onboard list --stuck\n", count(stages.quarantined)));
    std::iter::once(head).chain(stages.stages.iter().map(line)).chain(quarantined).collect()
}

fn line(of: &InStage) -> String {
    let oldest = of.oldest.map_or_else(|| "-".to_owned(), age);
    format!("{:<13} {:>9} {oldest:>12}\n", of.stage.as_str(), count(of.count))
}

fn count(count: u64) -> String {
    if count >= COUNT_MAX { format!("{count}+") } else { count.to_string() }
}

/// Two units are enough: `3m 12s`.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (big, small) = match seconds {
        0..60 => return format!("{seconds}s"),
        60..3_600 => ((seconds / 60, 'm'), (seconds % 60, 's')),
        3_600..86_400 => ((seconds / 3_600, 'h'), (seconds % 3_600 / 60, 'm')),
        _ => ((seconds / 86_400, 'd'), (seconds % 86_400 / 3_600, 'h')),
    };
    format!("{}{} {}{}", big.0, big.1, small.0, small.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use onboard_contract::Stage;

    #[test]
    fn the_lines_fit_a_terminal() {
        let of = |stage, count, oldest: Option<u64>| InStage {
            stage,
            count,
            oldest: oldest.map(Duration::from_secs),
        };
        let stages = Stages {
            stages: [
                of(Stage::Pending, 0, None),
                of(Stage::Started, 3, Some(59)),
                of(Stage::Sent, 10_000, Some(192)),
                of(Stage::Stalled, 1, Some(90_000)),
            ],
            quarantined: 2,
        };
        let shown = "
registrations     count       oldest
PENDING               0            -
STARTED               3          59s
SENT             10000+       3m 12s
STALLED               1        1d 1h
2 quarantined: onboard list --stuck
";
        assert_eq!(lines(&stages), shown);
    }
}
