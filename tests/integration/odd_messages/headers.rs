//! Headers and properties of every kind: a valid event is applied, junk becomes a dead
//! letter that tools read and remove, and no connection ends.

use onboard_stack::Server;

use super::event;
use crate::harness::{App, Options, Proxy, Raw, RawPublisher, entry, long};

/// Headers that a client library reads badly or not at all.
fn odd() -> Vec<(&'static str, Raw)> {
    let with = |headers: Vec<u8>| Raw { headers, ..Raw::default() };
    let mut deep = long(b'A', b"");
    while deep.len() < 100_000 {
        deep = (0..100).fold(deep, |inner, _| long(b'A', &inner));
    }
    let death = long(
        b'F',
        &[entry(b"count", b"l\0\0\0\0\0\0\0\x01"), entry(b"queue", &long(b'S', b"q"))].concat(),
    );
    let typed: [(&[u8], &[u8]); 6] = [
        (b"time", b"T\xff\xff\xff\xff\xff\xff\xff\xff"),
        (b"price", b"D\x02\0\0\0\x07"),
        (b"nothing", b"V"),
        (b"number", b"d\x3f\xf8\0\0\0\0\0\0"),
        (b"table", b"F\0\0\0\x04\x02ab\x56"),
        (b"traceparent", b"t\x01"),
    ];
    vec![
        ("20,000 bytes", with(entry(b"large", &long(b'S', &vec![b'x'; 20_000])))),
        ("125,000 bytes", with(entry(b"large", &long(b'S', &vec![b'x'; 125_000])))),
        ("a whole frame", with(entry(b"large", &long(b'S', &vec![b'x'; 131_020])))),
        (
            "1,000 headers",
            with((0..1_000).flat_map(|n: u32| entry(&n.to_be_bytes(), b"V")).collect()),
        ),
        ("many values", with(entry(b"many", &long(b'A', &vec![b'V'; 100_000])))),
        ("deep", with(entry(b"deep", &deep))),
        ("types", with(typed.iter().flat_map(|(name, value)| entry(name, value)).collect())),
        ("a name that is no text", with(entry(b"\xff\xfe", b"V"))),
        ("a message id that is no text", Raw { message_id: b"\xff\xfe".into(), ..Raw::default() }),
        ("a death of no form", with(entry(b"x-death", &long(b'S', b"\xff")))),
        ("many deaths", with(entry(b"x-death", &long(b'A', &death.repeat(1_000))))),
    ]
}

/// Publishes a message; says which one RabbitMQ refuses, and goes on.
async fn publish(app: &App, exchange: &str, key: &[u8], messages: &[(&'static str, Raw)]) {
    let (mut publisher, mut refused) = (RawPublisher::of(app).await, Vec::new());
    for (what, raw) in messages {
        if !publisher.publish(exchange, key, raw).await {
            refused.push(*what);
            publisher = RawPublisher::of(app).await;
        }
    }
    assert_eq!(refused, Vec::<&str>::new(), "RabbitMQ refuses them");
}

#[tokio::test]
async fn a_valid_event_with_odd_headers_is_applied_and_no_connection_ends() {
    let proxy = Proxy::before(Server::Rabbitmq).await;
    let app = App::start_with(Options::only(&["todo"]).amqp_through("todo", &proxy)).await;
    app.ready("todo").await;
    let connections = proxy.connections();
    let (mut users, mut messages) = (Vec::new(), Vec::new());
    for (what, raw) in odd().into_iter().flat_map(|odd| [odd, ("plain", Raw::default())]) {
        let (_, user, body) = event();
        users.push((what, user));
        messages.push((what, Raw { body: body.to_string().into_bytes(), ..raw }));
    }
    publish(&app, "user.events", b"user.registered", &messages).await;
    let headers = entry(b"large", &long(b'S', &vec![b'x'; 131_072]));
    let larger = Raw { headers, ..Raw::default() };
    let mut publisher = RawPublisher::of(&app).await;
    let taken = publisher.publish("user.events", b"user.registered", &larger).await;
    assert!(!taken, "RabbitMQ takes no headers of more than a frame");
    app.acked(users.len() as u64).await;
    for (what, user) in users {
        assert_eq!(app.todos_of(user).await, 1, "{what}");
    }
    assert_eq!(proxy.connections(), connections, "nobody has waited for a new connection");
    assert_eq!(app.queue_depths().await, (0, 0));
    app.remove().await;
}

#[tokio::test]
async fn tools_read_and_remove_letters_with_odd_headers() {
    let proxy = Proxy::before(Server::Rabbitmq).await;
    let app = App::start_with(Options::only(&["todo"]).amqp_through("todo", &proxy)).await;
    app.ready("todo").await;
    let connections = proxy.connections();
    let junk = |(what, raw)| (what, Raw { body: b"junk".into(), ..raw });
    let odd: Vec<_> = odd().into_iter().map(junk).collect();
    publish(&app, "user.events", b"user.registered", &odd).await;
    publish(&app, "user.events.dlx", b"\xff\xfe", &odd).await;
    let letters = u32::try_from(odd.len() * 2).unwrap();
    app.dead_letters_are(letters).await;
    assert_eq!(proxy.connections(), connections, "nobody has waited for a new connection");

    let listed = app.tool(&["list"]).await.yes();
    assert_eq!(listed["deadLetters"]["total"], letters, "{listed}");
    assert_eq!(listed["deadLetters"]["byReason"]["not_json"], letters / 2, "{listed}");
    let (code, report) = app.audit(&[]).await;
    assert_eq!((code, &report["unexpected"]), (1, &letters.into()), "{report:#}");
    let order = ["redrive", "--dead-letters", "--discard", "--reason", "they are no events"];
    let done = app.tool(&order).await.yes();
    assert_eq!(done["acts"]["discard"], letters, "{done}");
    assert_eq!(app.queue_depths().await, (0, 0));
    app.remove().await;
}
