//! What every test needs: servers, an application on them, and patience.

mod app;
mod audit;
mod broker;
mod eventually;
mod faults;
mod library;
mod matrix;
mod operator;
mod proxy;
mod servers;
mod store;
mod temporal;

pub(crate) use app::{App, Options, Places, text};
pub(crate) use audit::{Finished, uuid_of};
pub(crate) use eventually::eventually;
pub(crate) use faults::{Load, with_own};
pub(crate) use proxy::{Act, Proxy, Way};
pub(crate) use servers::{ONBOARD, Own, own_servers, shared_servers};
pub(crate) use store::{FailPoint, binary};
