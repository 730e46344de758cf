#![allow(clippy::all, clippy::pedantic, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, clippy::let_underscore_must_use, missing_docs, clippy::allow_attributes_without_reason)]
use onboard_broker::*;
use onboard_contract::*;
use onboard_runtime::*;
use std::sync::Arc;
use std::sync::atomic::*;
use std::time::*;
use std::collections::{HashMap,HashSet};
use std::sync::Mutex;

fn config() -> BrokerConfig {
    let mut p = Problems::default();
    BrokerArgs { amqp_url: Some(std::env::var("AMQP_URL").unwrap()), amqp_url_file: None, amqp_confirm_timeout: None }.check(&mut p).unwrap()
}
fn message() -> Message {
    let e = UserRegistered { event_id: clock::ordered_id().into(), occurred_at: Some("2026-01-01T00:00:00Z".into()), user_id: clock::random_id().into(), email: Some("a@example.com".into()) };
    Message::user_registered(&e, None)
}
#[tokio::main]
async fn main() {
    onboard_runtime::telemetry::install(onboard_runtime::telemetry::LogFormat::Pretty, Some("info,lapin=error"));
    let mode = std::env::args().nth(1).unwrap();
    let secs: u64 = std::env::args().nth(2).map_or(10, |s| s.parse().unwrap());
    let shutdown = Shutdown::new();
    let tasks = Tasks::new(shutdown.clone());
    onboard_runtime::lifecycle::listen_for_signals(&tasks).unwrap();
    match mode.as_str() {
        "setup" => {
            let c = config();
            let (a, b, d) = tokio::join!(setup(&c), setup(&c), setup(&c));
            println!("{a:?} {b:?} {d:?}");
        }
        "publish" => {
            let n: usize = std::env::args().nth(3).map_or(32, |s| s.parse().unwrap());
            let p = Publisher::start(&config(), "trial publisher", &tasks, shutdown.clone());
            let counts: Arc<Mutex<HashMap<String, u64>>> = Default::default();
            let lat: Arc<Mutex<Vec<u128>>> = Default::default();
            let end = Instant::now() + Duration::from_secs(secs);
            let mut js = tokio::task::JoinSet::new();
            let ready = Readiness::new(vec![p.check()]);
            for _ in 0..n { let (p, counts, lat, sd) = (p.clone(), counts.clone(), lat.clone(), shutdown.clone()); js.spawn(async move {
                while Instant::now() < end && !sd.has_begun() {
                    let m = message(); let t = Instant::now();
                    let r = p.publish(&m).await; lat.lock().unwrap().push(t.elapsed().as_micros());
                    let k = match r { Ok(()) => "ok".to_string(), Err(e) => { let k = e.to_string().replace(&m.event_id.to_string(), "<id>"); tokio::time::sleep(Duration::from_millis(100)).await; k } };
                    *counts.lock().unwrap().entry(k).or_default() += 1;
                }
            }); }
            let mut last = HashMap::new();
            while !js.is_empty() {
                tokio::select! { _ = js.join_next() => continue, _ = tokio::time::sleep(Duration::from_secs(1)) => () }
                let now = counts.lock().unwrap().clone();
                let delta: Vec<_> = now.iter().map(|(k, v)| (k.clone(), v - last.get(k).copied().unwrap_or(0))).filter(|x| x.1 > 0).collect();
                let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
                println!("{delta:?} ready={:?} threads={threads}", ready.check().await[0].problem); last = now;
            }
            let mut l = lat.lock().unwrap(); l.sort(); println!("total {:?} n={} p50={}us p99={}us max={}us", counts.lock().unwrap(), l.len(), l[l.len()/2], l[l.len()*99/100], l[l.len()-1]);
            p.close().await;
        }
        "consume" => {
            let p = Publisher::start(&config(), "trial dead letters", &tasks, shutdown.clone());
            let c = Consumer::new(&config(), "trial consumer", 64, p.clone());
            let ready = Readiness::new(vec![c.check()]);
            let seen: Arc<Mutex<HashSet<String>>> = Default::default();
            let (n, dead, redel) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let (s2, n2, d2, r2) = (seen.clone(), n.clone(), dead.clone(), redel.clone());
            tasks.spawn("consumer", c.run(move |i: Incoming| { let (seen, n, dead, redel) = (s2.clone(), n2.clone(), d2.clone(), r2.clone()); async move {
                n.fetch_add(1, Ordering::SeqCst); if i.redelivered { redel.fetch_add(1, Ordering::SeqCst); }
                tokio::time::sleep(Duration::from_millis(2)).await;
                if i.body == b"panic" { panic!("on purpose"); }
                match UserRegistered::parse(&i.body) { Ok(e) => { seen.lock().unwrap().insert(e.event_id.to_string()); Verdict::Ack }
                    Err(e) => { dead.fetch_add(1, Ordering::SeqCst); Verdict::DeadLetter { reason: e.reason(), detail: e.to_string() } } }
            } }, shutdown.clone()));
            let end = Instant::now() + Duration::from_secs(secs);
            while Instant::now() < end && !shutdown.has_begun() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
                let (uniq, rd) = (seen.lock().unwrap().len(), ready.check().await[0].problem.clone());
                println!("handled={} unique={} redelivered={} dead={} ready={:?} threads={threads}", n.load(Ordering::SeqCst), uniq, redel.load(Ordering::SeqCst), dead.load(Ordering::SeqCst), rd);
            }
            shutdown.begin();
            println!("drained={}", tasks.drain(Duration::from_secs(10)).await);
            p.close().await;
        }
        "junk" => {
            use lapin::options::*;
            let c = lapin::Connection::connect(&std::env::var("AMQP_URL").unwrap(), Default::default()).await.unwrap();
            let ch = c.create_channel().await.unwrap();
            let big = vec![b'x'; 1 << 20];
            for b in [b"null".as_slice(), b"{", b"[]", b"\xff\xfe", b"", &big] {
                ch.basic_publish("user.events".into(), "user.registered".into(), BasicPublishOptions::default(), b, lapin::BasicProperties::default().with_user_id("guest".into())).await.unwrap();
            }
            if std::env::args().nth(3).is_some() { ch.basic_publish("user.events".into(), "user.registered".into(), BasicPublishOptions::default(), b"panic", Default::default()).await.unwrap(); }
            ch.close(200, "".into()).await.unwrap(); c.close(200, "".into()).await.unwrap();
        }
        "mixup" => {
            // many publishes in flight on one lapin channel, every 5th unroutable
            use lapin::options::*;
            let c = lapin::Connection::connect(&std::env::var("AMQP_URL").unwrap(), Default::default()).await.unwrap();
            let ch = c.create_channel().await.unwrap();
            ch.confirm_select(Default::default()).await.unwrap();
            let ch = Arc::new(ch); let mut js = tokio::task::JoinSet::new();
            for i in 0..2000u32 { let ch = ch.clone(); js.spawn(async move {
                let bad = i % 5 == 0;
                let r = ch.basic_publish("user.events".into(), if bad {"nowhere"} else {"user.registered"}.into(), BasicPublishOptions{mandatory:true,..Default::default()}, b"{}", lapin::BasicProperties::default().with_delivery_mode(2)).await.unwrap().await.unwrap();
                (bad, matches!(r, lapin::Confirmation::Ack(Some(_))))
            }); }
            let (mut lost, mut wrong) = (0, 0);
            while let Some(r) = js.join_next().await { match r.unwrap() { (true, false) => lost += 1, (false, true) => wrong += 1, _ => () } }
            println!("of 400 unroutable, {lost} were told 'delivered'; of 1600 delivered, {wrong} were told 'unroutable'");
        }
        _ => panic!(),
    }
}
