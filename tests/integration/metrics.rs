//! What the processes say on `/metrics` is what happened, all of it is
//! explained, and there never is more of it the more there is to do.

use std::collections::{BTreeMap, BTreeSet};

use onboard::metrics::catalogue;
use onboard::services::names;
use onboard_runtime::metric::Kind;
use reqwest::Method;
use serde_json::json;

use crate::harness::{App, Options, PASSWORD, eventually};

/// A scrape: each series with its value, and what is explained.
#[derive(Debug)]
struct Scrape {
    series: BTreeMap<String, f64>,
    helped: BTreeSet<String>,
    kinds: BTreeMap<String, String>,
}

impl Scrape {
    fn read(text: &str) -> Self {
        let commented = |word: &'static str| {
            text.lines().filter_map(move |line| line.strip_prefix(word)?.split_once(' '))
        };
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().unwrap()))
        };
        Self {
            series: samples.filter_map(sample).collect(),
            helped: commented("# HELP ").map(|(name, _)| name.to_owned()).collect(),
            kinds: commented("# TYPE ").map(|(n, k)| (n.to_owned(), k.to_owned())).collect(),
        }
    }

    /// The sum over the series of a name whose labels hold all of these.
    fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let of_name = |series: &str| {
            let rest = series.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('{')).then_some(())?;
            labels.iter().all(|label| rest.contains(label)).then_some(())
        };
        let found: Vec<f64> =
            self.series.iter().filter(|(s, _)| of_name(s).is_some()).map(|(_, v)| *v).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    /// Series whose labels are ours to bound.
    fn ours(&self) -> BTreeSet<&str> {
        self.series
            .keys()
            .map(String::as_str)
            .filter(|name| !name.starts_with("temporal_"))
            .collect()
    }
}

async fn scrape(app: &App, service: &str) -> Scrape {
    let answer = app.http.get(format!("{}/metrics", app.url(service))).send().await.unwrap();
    Scrape::read(&answer.text().await.unwrap())
}

/// Waits until a metric is what it should be.
async fn becomes(
    app: &App,
    service: &str,
    name: &str,
    labels: &[&str],
    fits: impl Fn(f64) -> bool,
) {
    eventually(&format!("{service}: {name} {labels:?}"), async || {
        let seen = scrape(app, service).await.sum(name, labels);
        if seen.is_some_and(&fits) { Ok(()) } else { Err(seen) }
    })
    .await;
}

#[expect(clippy::float_cmp, reason = "counts are whole")]
fn is(count: f64) -> impl Fn(f64) -> bool {
    move |seen| seen == count
}

#[tokio::test]
async fn what_is_counted_is_what_was_done() {
    let app = App::start_with(Options::default().in_the_released_plan().each_apart()).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(app.register().await);
    }
    for event in &events {
        app.reaches(*event, "ACKNOWLEDGED").await;
    }
    becomes(&app, "auth", "registrations_total", &["created"], is(3.0)).await;
    becomes(&app, "auth", "password_hash_seconds_count", &["\"hash\""], is(3.0)).await;
    for (name, value) in
        [("hash_busy", 0.0), ("hash_queue_length", 0.0), ("hash_queue_limit", 64.0)]
    {
        becomes(&app, "auth", name, &[], is(value)).await;
    }
    becomes(&app, "auth", "hash_threads", &[], |threads| threads >= 1.0).await;
    becomes(&app, "relay", "relay_starts_total", &["\"started\""], is(3.0)).await;
    becomes(&app, "relay", "relay_start_lag_seconds_count", &[], is(3.0)).await;
    becomes(&app, "relay", "workflows_failed", &[], is(0.0)).await;
    for kind in ["\"workflow\"", "\"activity\""] {
        becomes(&app, "relay", "task_queue_pollers", &[kind], is(1.0)).await;
    }
    becomes(&app, "worker", "broker_publishes_total", &["confirmed"], is(3.0)).await;
    becomes(&app, "worker", "broker_publish_seconds_count", &[], is(3.0)).await;
    becomes(&app, "worker", "broker_blocked", &[], is(0.0)).await;
    let published = ["publish_user_registered", "\"ok\""];
    becomes(&app, "worker", "activity_seconds_count", &published, is(3.0)).await;
    let polled = "temporal_workflow_task_schedule_to_start_latency_seconds_count";
    becomes(&app, "worker", polled, &[], |tasks| tasks >= 3.0).await;
    becomes(&app, "worker", "temporal_num_pollers", &["workflow_task"], |n| n >= 1.0).await;
    let starts = ["StartWorkflowExecution"];
    becomes(&app, "relay", "temporal_request_total", &starts, |n| n >= 3.0).await;
    becomes(&app, "todo", "todo_welcome_tasks_created_total", &[], is(3.0)).await;
    becomes(&app, "todo", "todo_message_seconds_count", &[], is(3.0)).await;
    becomes(&app, "todo", "registration_to_task_seconds_count", &[], is(3.0)).await;
    let lag = scrape(&app, "todo").await.sum("registration_to_task_seconds_sum", &[]).unwrap();
    assert!(lag > 0.0 && lag < 3.0 * 300.0, "{lag}");

    assert!(app.publish_by_hand("poison").await);
    let (queue, dead) = ("\"user_registered_queue\"", "\"user_registered_queue.dlq\"");
    becomes(&app, "worker", "queue_messages", &[dead], is(1.0)).await;
    becomes(&app, "worker", "queue_messages", &[queue], is(0.0)).await;
    becomes(&app, "worker", "queue_consumers", &[queue], is(1.0)).await;
    becomes(&app, "todo", "todo_messages_total", &["dead_letter"], is(1.0)).await;
    app.purge_dead_letters().await;

    app.unbind().await;
    let unroutable = app.register().await;
    becomes(&app, "worker", "broker_publishes_total", &["returned"], |n| n >= 1.0).await;
    becomes(&app, "worker", "activity_seconds_count", &["\"retry\""], |n| n >= 1.0).await;
    app.bind().await;
    app.reaches(unroutable, "ACKNOWLEDGED").await;

    app.component("worker").stop().await.unwrap();
    for kind in ["\"workflow\"", "\"activity\""] {
        becomes(&app, "relay", "task_queue_pollers", &[kind], is(0.0)).await;
    }
    app.component("worker").start().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn everything_is_explained_and_everything_explained_is_there() {
    let app = App::start_with(Options::default().each_apart()).await;
    let event = app.register().await;
    app.reaches(event, "ACKNOWLEDGED").await;
    // A gauge is there from the first look of whoever sets it.
    for name in [
        "workflows_failed",
        "registrations_quarantined",
        "relay_room_full",
        "consumer_awaited",
        "consumer_awaited_oldest_age_seconds",
    ] {
        becomes(&app, "relay", name, &[], is(0.0)).await;
    }
    becomes(&app, "worker", "queue_consumers", &["\"user_registered_queue\""], is(1.0)).await;
    for service in names() {
        needs_are_up(&app, service).await;
        let seen = scrape(&app, service).await;
        let what: Vec<_> = catalogue()
            .into_iter()
            .filter_map(|(metric, services)| services.contains(&service).then_some(metric))
            .collect();
        for metric in &what {
            let begins = metric.labels.iter().all(|(_, values)| !values.is_empty());
            if metric.kind == Kind::Gauge || begins {
                assert!(seen.kinds.contains_key(metric.name), "{service} lacks {}", metric.name);
            }
        }
        for (name, kind) in &seen.kinds {
            assert!(seen.helped.contains(name), "{service}: {name} has no help");
            let known = what.iter().find(|metric| metric.name == name);
            assert!(
                known.is_some_and(|metric| metric.kind.as_str() == kind)
                    || name.starts_with("process_")
                    || name.starts_with("temporal_"),
                "{service}: {name} ({kind}) is not in the catalogue"
            );
        }
        assert_eq!(seen.sum("onboard_build_info", &[service]), Some(1.0));
        for name in
            ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"]
        {
            assert!(seen.sum(name, &[]).is_some_and(|value| value > 0.0), "{service}: {name}");
        }
        assert!(seen.kinds.contains_key("process_cpu_seconds_total"), "{service}");
    }
    app.finish().await;
}

/// Waits until a service says of every server it needs that it is there.
async fn needs_are_up(app: &App, service: &str) {
    let needs: &[&str] = match service {
        "auth" => &["mongo"],
        "relay" => &["mongo", "temporal"],
        "worker" | "todo" => &["mongo", "temporal", "rabbitmq"],
        other => panic!("what {other} needs is not written down"),
    };
    for server in needs {
        becomes(app, service, "dependency_up", &[server], is(1.0)).await;
    }
}

#[tokio::test]
async fn a_hundred_more_registrations_make_no_more_series() {
    let options = Options::default().with("REGISTRATION_OVERDUE", "1h");
    let app = App::start_with(options).await;
    // Everything happens once that happens at all, being asked for metrics too.
    load(&app).await;
    scrapes(&app).await;
    let before = scrapes(&app).await;
    load(&app).await;
    let after = scrapes(&app).await;
    for (service, after) in &after {
        let before = &before[service];
        let new: Vec<_> = after.ours().difference(&before.ours()).copied().collect::<Vec<_>>();
        // What a busy machine does for the first time, a retry for one, may make
        // one or the other; an id in a label would make a hundred.
        assert!(families(&new) < 5, "{service} has more series: {new:?}");
        let all = after.series.len();
        eprintln!("{service}: {all} series, {} of them ours", after.ours().len());
        assert!(all < 1_500, "{service} has {all} series");
    }
    app.finish().await;
}

/// How many these are when a histogram counts as one.
fn families(series: &[&str]) -> usize {
    let family = |series: &&str| {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let of = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let labels = labels.trim_end_matches('}').split(',');
        let labels: Vec<String> =
            labels.filter(|label| !label.starts_with("le=")).map(str::to_owned).collect();
        (of.unwrap_or(name).to_owned(), labels)
    };
    series.iter().map(family).collect::<BTreeSet<_>>().len()
}

async fn scrapes(app: &App) -> BTreeMap<&'static str, Scrape> {
    let mut all = BTreeMap::new();
    for service in names() {
        all.insert(service, scrape(app, service).await);
    }
    all
}

/// A hundred registrations and as many requests that make no sense, then
/// waits until everything has come to rest.
async fn load(app: &App) {
    let one = async |n: usize| {
        let event = app.register().await;
        let junk = uuid::Uuid::new_v4();
        let method = Method::from_bytes(format!("JUNK{n}").as_bytes()).unwrap();
        for service in names() {
            let url = format!("{}/{junk}?{junk}={n}", app.url(service));
            app.http.request(method.clone(), &url).send().await.unwrap();
            app.http.get(&url).bearer_auth(junk).send().await.unwrap();
        }
        let login = json!({ "email": format!("{junk}@example.com"), "password": PASSWORD });
        app.post("auth", "/api/v1/auth/login", &login).await;
        app.ask("todo", &format!("/api/v1/todos/{junk}"), "no token").await;
        event
    };
    for begun in (0..100).step_by(10) {
        let events = futures::future::join_all((begun..begun + 10).map(one)).await;
        for event in events {
            app.reaches(event, "ACKNOWLEDGED").await;
        }
    }
}
