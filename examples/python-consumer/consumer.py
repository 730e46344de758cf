"""A consumer of USER_REGISTERED in another language: it needs AMQP and a database.

Each event makes one row of `customers`. The inbox row (event id, unique) and the
effect share one transaction; after the commit the consumer acknowledges over the
exchange `acknowledgements`, and only then acks the delivery. A process that dies
anywhere gets the message again, finds its inbox row and acknowledges again.
"""

import json
import os
import signal
import sqlite3
import time
import uuid

import pika
from pika.exceptions import AMQPError, NackError, UnroutableError

NAME = os.environ.get("CONSUMER", "crm")
AMQP_URL = os.environ["AMQP_URL"]
DATABASE = os.environ.get("DATABASE", f"{NAME}.sqlite3")
PERSISTENT = pika.BasicProperties(delivery_mode=2, content_type="application/json")
PAUSE_S = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (event_id TEXT PRIMARY KEY, ref TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS customers (ref TEXT PRIMARY KEY, user_id TEXT NOT NULL UNIQUE, email TEXT NOT NULL);
"""
stopping = False


def stop(_signal, _frame):
    global stopping
    stopping = True


def read(body):
    """Event id, user id and address; any exception means that it is no such event."""
    event = json.loads(body)
    if (event["eventType"], event["schemaVersion"]) != ("USER_REGISTERED", 1):
        raise ValueError("another event")
    user = event["payload"]
    user["email"].encode()
    return str(uuid.UUID(event["eventId"])), str(uuid.UUID(user["userId"])), user["email"]


def apply(database, event_id, user_id, email):
    """The inbox row and the effect in one transaction; what the event has made."""
    with database:
        database.execute("BEGIN IMMEDIATE")
        done = database.execute("SELECT ref FROM inbox WHERE event_id = ?", (event_id,)).fetchone()
        if done:
            return done[0]
        ref = f"customer-{user_id}"
        database.execute("INSERT OR IGNORE INTO customers VALUES (?, ?, ?)", (ref, user_id, email))
        database.execute("INSERT INTO inbox VALUES (?, ?)", (event_id, ref))
    return ref


def open_outgoing(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    return channel


def acknowledge(connection, outgoing, event_id, ref):
    """Returns the channel to go on with when the broker has it, None when the process stops.
    Waits in place, because a requeue counts as a try, and on a new channel, because RabbitMQ
    goes on refusing on one that has met a full queue."""
    body = json.dumps({"eventId": event_id, "consumer": NAME, "ref": ref}).encode()
    while not stopping:
        try:
            outgoing.basic_publish("acknowledgements", NAME, body, PERSISTENT, mandatory=True)
            return outgoing
        except (NackError, UnroutableError) as refused:
            print(f"the broker refuses the acknowledgement of {event_id}: {refused!r}", flush=True)
            outgoing.close()
            connection.sleep(PAUSE_S)
            outgoing = open_outgoing(connection)
    return None


def consume(database):
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
    outgoing, incoming = open_outgoing(connection), connection.channel()
    incoming.basic_qos(prefetch_count=64)
    for delivery, _, body in incoming.consume(f"{NAME}.user_registered", inactivity_timeout=1):
        if stopping:
            break
        if delivery is None:
            continue
        try:
            event_id, user_id, email = read(body)
        except Exception as unreadable:
            print(f"a dead letter: {type(unreadable).__name__}", flush=True)
            incoming.basic_reject(delivery.delivery_tag, requeue=False)
            continue
        ref = apply(database, event_id, user_id, email)
        outgoing = acknowledge(connection, outgoing, event_id, ref)
        if outgoing is None:
            break
        incoming.basic_ack(delivery.delivery_tag)
    incoming.cancel()
    connection.close()


def main():
    signal.signal(signal.SIGTERM, stop)
    database = sqlite3.connect(DATABASE, timeout=30, isolation_level=None)
    database.executescript(SCHEMA)
    while not stopping:
        try:
            consume(database)
        except AMQPError as lost:
            print(f"RabbitMQ: {lost!r}; again in {PAUSE_S} s", flush=True)
            time.sleep(PAUSE_S)
    database.close()


if __name__ == "__main__":
    main()
