//! What every test needs: servers, an application on them, and patience.

mod accounts;
mod app;
mod audit;
mod broker;
mod canary;
mod collector;
mod eventually;
mod faults;
mod library;
mod matrix;
mod messages;
mod operator;
mod prometheus;
mod proxy;
mod registering;
mod runbook;
mod servers;
mod store;
mod temporal;
mod todos;

pub(crate) use accounts::{Account, Tokens, claims, header};
pub(crate) use app::{App, Options, PASSWORD, Places, is_in, text};
pub(crate) use audit::Finished;
pub(crate) use collector::{Collector, Exported, tree, tree_with_ids};
pub(crate) use eventually::{dwindles, eventually};
pub(crate) use faults::{Load, with_own};
pub(crate) use prometheus::{Prometheus, RULES, tools};
pub(crate) use proxy::{Act, Proxy, Way};
pub(crate) use registering::Heard;
pub(crate) use runbook::{Entry, Operated};
pub(crate) use servers::{ONBOARD, Own, flood, own_servers, shared_servers};
pub(crate) use store::{FailPoint, binary};
pub(crate) use todos::{Desk, Issuer, Person, Reply, reply};
