//! Integration tests on real servers: mongod as a replica set, `RabbitMQ` and
//! Temporal, and the services as processes of their own.
//!
//! The servers are started once and shared; each test has its own databases,
//! virtual host and task queue. A test that breaks a server starts its own.

#![allow(missing_docs, reason = "the names of the tests say it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod abandoned;
mod abuse;
mod accounts;
mod acknowledging;
mod addresses;
mod api;
mod audit;
mod bench;
mod cache;
mod canary;
mod chaos;
mod clocks;
mod closing;
mod conflicts;
mod consumers;
mod deployment;
mod desk;
mod disaster;
mod doctor;
mod drain;
mod duplicates;
mod enumeration;
mod faults;
mod flood;
mod following;
mod full_queue;
#[allow(dead_code, unused_imports, reason = "the other binary of tests uses the rest")]
mod harness;
mod held;
mod histories;
mod house;
mod http;
mod idempotency;
mod jwks;
mod jwt;
mod kill_points;
mod launcher;
mod limits;
mod local_activities;
mod looking;
mod management;
mod memory;
mod metrics;
mod missing_rows;
mod odd;
mod odd_messages;
mod odd_rows;
mod operator;
mod outages;
mod passwords;
mod poison;
mod queries;
mod redrive;
mod references;
mod registration;
mod relay;
mod retention;
mod rolling;
mod schemas;
mod second_consumer;
mod second_event;
mod secrets;
mod setup;
mod strangers;
mod stuck;
mod terminal;
mod todos;
mod tracing;
mod undone;
mod worker;
