//! Messages that no client library makes, byte by byte, and bodies of any size.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::App;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
/// What a frame of RabbitMQ's default size carries.
const PAYLOAD_MAX: usize = 128 * 1024 - 8;
const BASIC_ACK: [u8; 4] = [0, 60, 0, 80];

/// A message with these headers, each as it stands on the wire.
#[derive(Debug, Clone, Default)]
pub(crate) struct Raw {
    pub(crate) headers: Vec<u8>,
    pub(crate) message_id: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// A header, its value as it stands on the wire.
pub(crate) fn entry(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&short(name), value].concat()
}

/// A value of a type that has a length.
pub(crate) fn long(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// A publisher that writes AMQP byte by byte, on one channel in confirm mode.
pub(crate) struct RawPublisher(TcpStream);

impl RawPublisher {
    pub(crate) async fn of(app: &App) -> Self {
        Self::connect(&app.places.amqp_address, &app.names).await
    }

    async fn connect(address: &str, vhost: &str) -> Self {
        let mut this = Self(TcpStream::connect(address).await.unwrap());
        this.0.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
        this.answer().await;
        let plain = [&[0; 4][..], &short(b"PLAIN"), &long(b' ', b"\0guest\0guest")[1..]].concat();
        this.ask(0, [0, 10, 0, 11], &[plain, short(b"en_US")].concat()).await;
        this.send(METHOD, 0, &[&[0, 10, 0, 31, 7, 255][..], &[0, 2, 0, 0, 0, 0]].concat()).await;
        this.ask(0, [0, 10, 0, 40], &[short(vhost.as_bytes()), vec![0, 0]].concat()).await;
        this.ask(1, [0, 20, 0, 10], &[0]).await;
        this.ask(1, [0, 85, 0, 10], &[0]).await;
        this
    }

    /// Publishes through an exchange; whether RabbitMQ has confirmed it.
    pub(crate) async fn publish(&mut self, exchange: &str, key: &[u8], message: &Raw) -> bool {
        let Raw { headers, message_id, body } = message;
        let to = [&[0, 60, 0, 40, 0, 0][..], &short(exchange.as_bytes()), &short(key), &[0]];
        self.send(METHOD, 1, &to.concat()).await;
        let mut content = vec![0, 60, 0, 0];
        content.extend((body.len() as u64).to_be_bytes());
        // Headers, delivery mode, message id.
        content.extend((1u16 << 13 | 1 << 12 | 1 << 7).to_be_bytes());
        content.extend(&long(b' ', headers)[1..]);
        content.push(2);
        content.extend(short(message_id));
        self.send(HEADER, 1, &content).await;
        for part in body.chunks(PAYLOAD_MAX) {
            self.send(BODY, 1, part).await;
        }
        self.answer().await.starts_with(&BASIC_ACK)
    }

    async fn ask(&mut self, channel: u16, method: [u8; 4], arguments: &[u8]) {
        self.send(METHOD, channel, &[&method[..], arguments].concat()).await;
        self.answer().await;
    }

    async fn send(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame.push(0xCE);
        // When RabbitMQ has closed the connection, the answer says why.
        self.0.write_all(&frame).await.ok();
    }

    /// The payload of the next frame; empty when the connection has ended.
    async fn answer(&mut self) -> Vec<u8> {
        let mut head = [0; 7];
        if self.0.read_exact(&mut head).await.is_err() {
            return Vec::new();
        }
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; size as usize + 1];
        self.0.read_exact(&mut payload).await.unwrap();
        payload.pop();
        payload
    }
}

impl App {
    /// Publishes a body of any size by hand; whether RabbitMQ takes it.
    pub(crate) async fn publish_bytes(&self, body: &[u8]) -> lapin::Result<bool> {
        let channel = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_delivery_mode(2);
        let (exchange, key) = ("user.events".into(), "user.registered".into());
        let sent = channel.basic_publish(exchange, key, options, body, properties).await?;
        Ok(matches!(sent.await?, Confirmation::Ack(_)))
    }
}
